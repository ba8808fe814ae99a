"""What a fault is, how it is tried, and what came of it.

Every fault of the list is one module ``fNN_….py`` with a `Fault` named ``FAULT``. `faults.py`
tries all of them as often as the list says (``make faults``); `test_faults.py` tries each a few
times with the tests. A trial provokes the fault for real and looks at what is left: files,
processes, messages. It never asserts a time; the time a row speaks of is measured, and judged by
``make faults`` only.
"""

from __future__ import annotations

import atexit
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
#: Where ``make`` puts the environment of the packages that dagstermill pins.
DAGSTERMILL_PYTHON = ROOT / ".venv-dagstermill" / "bin" / "python"
#: Switches off what the runner would use; see `dagbook.execution.means`.
WITHOUT_VARIABLE = "DAGBOOK_WITHOUT"

#: Ends what many trials share, in reverse order: with this process, unless somebody does before.
LASTING = ExitStack()
atexit.register(LASTING.close)


class Means(StrEnum):
    """What the runner may use to hold a run."""

    BEST = "best"  # whatever the machine has
    FLOOR = "floor"  # what an ordinary user has anywhere: no cgroups, no namespaces

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Have everything that is started in here use these means."""
        before = os.environ.get(WITHOUT_VARIABLE)
        if self is Means.FLOOR:
            os.environ[WITHOUT_VARIABLE] = "cgroups,namespaces"
        try:
            yield
        finally:
            os.environ.pop(WITHOUT_VARIABLE, None)
            if before is not None:
                os.environ[WITHOUT_VARIABLE] = before


@dataclass(frozen=True)
class Trial:
    """One try: its number from 0, and a fresh folder of its own."""

    number: int
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """What one trial came to.

    Attributes:
        held: whether everything the row promises was so.
        note: what was seen instead, in one line.
        seconds: the time the row speaks of, where it speaks of one.
    """

    held: bool
    note: str = ""
    seconds: float | None = None


Attempt = Callable[[Trial], Outcome]


@dataclass(frozen=True)
class Variant:
    """One way in which a fault happens.

    Attributes:
        trials: how often ``make faults`` tries it, with each means.
        sample: how often the tests try it, with each means; 0 for what takes too long there.
        papermill, dagstermill: the same tried with them, where it applies.
        within: seconds the row allows, judged by ``make faults``.
        means: the means to try it with; one only where they make no difference.
        needs: what `tests/conftest.py` must find for it.
    """

    name: str
    trials: int
    dagbook: Attempt
    papermill: Attempt | None = None
    dagstermill: Attempt | None = None
    sample: int = 1
    within: float | None = None
    means: tuple[Means, ...] = (Means.BEST, Means.FLOOR)
    needs: tuple[str, ...] = ()

    def attempt(self, contestant: str) -> Attempt | None:
        """What tries this with `contestant`."""
        found: dict[str, Attempt | None] = {
            "dagbook": self.dagbook,
            "papermill": self.papermill,
            "dagstermill": self.dagstermill,
        }
        return found[contestant]


@dataclass(frozen=True)
class Fault:
    """A row of the list: what goes wrong, and what must hold all the same."""

    number: str
    title: str
    promise: str
    variants: tuple[Variant, ...] = field(default=())


def all_faults() -> list[Fault]:
    """Every fault there is a module for, in the order of their numbers."""
    return [
        importlib.import_module(path.stem).FAULT for path in sorted(HERE.glob("f[0-9][0-9]*_*.py"))
    ]


def run_python(
    code: str, *arguments: object, cwd: Path, timeout: float = 120, python: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run Python code in a process of its own and wait for it."""
    return subprocess.run(
        [python or sys.executable, "-c", code, *map(str, arguments)],
        cwd=cwd, capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip


def held_or(*problems: str, seconds: float | None = None) -> Outcome:
    """Held when there is no problem; empty texts are none."""
    found = [problem for problem in problems if problem]
    return Outcome(not found, "; ".join(found), seconds)
