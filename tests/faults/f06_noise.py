"""F6: a cell puts out far more than anybody can read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import Attempt, Fault, Means, Outcome, Trial, Variant, held_or, run_python
from notebooks import read_cells, text_of, write_notebook

#: What the process that runs the notebook may have held at most, in bytes.
MOST_MEMORY = 500_000_000
#: A notebook of one noisy cell, capped: what it keeps, and what is written around it.
MOST_STORED = 5_000_000
SECONDS = 900

_PEAK = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))
"""

BY_DAGBOOK = f"""
import json, sys
from pathlib import Path
from dagbook.execution import run_notebook
{_PEAK}
result = run_notebook(sys.argv[1], output=Path(sys.argv[2]))
print(json.dumps({{"status": str(result.status), "reason": result.reason, "peak": peak()}}))
"""

#: Somebody who listens to what happens, and is slow: a log on a disk that is busy.
WITH_A_SLOW_LISTENER = BY_DAGBOOK.replace(
    "run_notebook(sys.argv[1],", "run_notebook(sys.argv[1], on_event=lambda _: time.sleep(3),"
).replace("import json, sys", "import json, sys, time")

BY_PAPERMILL = f"""
import json, sys
import papermill
{_PEAK}
papermill.execute_notebook(sys.argv[1], sys.argv[2], progress_bar=False, log_output=False)
print(json.dumps({{"status": "succeeded", "reason": "", "peak": peak()}}))
"""


@dataclass(frozen=True)
class Noise:
    """A noisy cell, and what must be seen of it.

    Attributes:
        shows: what the stored cell must show, None when it is; else what is missing.
        other: what the cell after it must show; "after" when nothing else is said.
    """

    cell: str
    shows: Callable[[Any], str]


def lines(count: int) -> Noise:
    """Lines of 100 bytes."""
    return Noise(
        f"for i in range({count}):\n    print(f'{{i:08d}}' + 'x' * 91)",
        lambda cell: _both_ends(cell, f"{0:08d}xxx", f"{count - 1:08d}" + "x" * 91 + "\n"),
    )


def one_print(size: int) -> Noise:
    """One text, printed at once."""
    return Noise(
        f"print('first' + 'x' * {size} + 'last')",
        lambda cell: _both_ends(cell, "firstxxx", "xxxlast\n"),
    )


def one_display(size: int) -> Noise:
    """One output of another kind, such as a plot with all its points in it."""
    return Noise(
        f"display({{'text/html': 'y' * {size}, 'text/plain': 'small'}}, raw=True)\nprint('shown')",
        lambda cell: _named(cell, size) or ("" if "shown" in text_of(cell) else "lost a line"),
    )


def one_repr(size: int) -> Noise:
    """The value of a cell's last line."""
    return Noise(
        f"class Huge:\n    def __repr__(self):\n        return 'é' * {size}\nHuge()",
        lambda cell: _named(cell, size),
    )


def one_error(size: int) -> Noise:
    """An expected exception whose message is a whole data set."""
    return Noise(
        f"try:\n    raise ValueError('first' + 'x' * {size} + 'last')\n"
        "except ValueError:\n    get_ipython().showtraceback()",
        lambda cell: "" if cell.outputs[0].ename == "ValueError" else "lost the error",
    )


def updates(count: int) -> Noise:
    """A progress bar that is quick."""
    return Noise(
        "h = display('never', display_id='d')\n"
        f"for i in range({count}):\n    h.update(f'step {{i}}')",
        lambda cell: "" if text_of(cell) == f"'step {count - 1}'" else f"shows {text_of(cell)!r}",
    )


def flushed_lines(count: int) -> Noise:
    """Short lines, each sent at once: together below the cap."""
    return Noise(
        f"for i in range({count}):\n    print(i, flush=True)",
        lambda cell: _every_line(text_of(cell), count),
    )


def to_a_slow_listener(count: int) -> Noise:
    """Lines sent one by one while somebody is told of a measurement, and takes his time."""
    plain = flushed_lines(count)
    return Noise(
        f"import dagbook\ndagbook.log_metric('a', 1)\n{plain.cell}",
        lambda cell: _every_line(cell.outputs[0].text, count),
    )


def into_a_widget(count: int) -> Noise:
    """Lines of 100 bytes, printed into an Output widget."""
    return Noise(
        "import ipywidgets\nwidget = ipywidgets.Output()\ndisplay(widget)\nwith widget:\n"
        f"    for i in range({count}):\n        print(f'{{i:08d}}' + 'x' * 91)",
        lambda cell: "" if f"\n{count - 1:08d}xxx" in text_of(cell) else f"{text_of(cell)[-99:]}",
    )


def _both_ends(cell: Any, first: str, last: str) -> str:
    text = text_of(cell)
    if not text.startswith(first):
        return f"the beginning is {text[:20]!r}"
    if not text.endswith(last):
        return f"the end is {text[-20:]!r}"
    return "" if "left out" in text else "it does not say what is left out"


def _named(cell: Any, size: int) -> str:
    said = re.match(r"\[dagbook left out an output of ([\d,]+) bytes", text_of(cell))
    if said is None:
        return f"shows {text_of(cell)[:80]!r}"
    told = int(said[1].replace(",", ""))
    return "" if size <= told < 2.1 * size else f"says that {told:,} bytes are left out"


def _every_line(text: str, count: int) -> str:
    there = text.split("\n")[:-1]
    missing = count - len(there)
    if there == [str(number) for number in range(count)]:
        return ""
    return f"{missing} lines are missing" if missing else "lines are not as they were printed"


def attempt(code: str, noise: Noise) -> Attempt:
    """Run a notebook with that cell in a process of its own, with `code`."""

    def tried(trial: Trial) -> Outcome:
        source = write_notebook(trial.folder / "n.ipynb", noise.cell, "print('after')")
        output = trial.folder / "out.ipynb"
        done = run_python(code, source, output, cwd=trial.folder, timeout=SECONDS)
        if done.returncode:
            return Outcome(False, f"it ended with {done.stderr.strip()[-150:]!r}")
        told = json.loads(done.stdout.splitlines()[-1])
        return _judged(noise, told, output)

    return tried


def _judged(noise: Noise, told: dict[str, Any], output: Path) -> Outcome:
    first, after = read_cells(output)
    peak, stored = told["peak"], output.stat().st_size
    print(f"    peak {peak / 1e6:.0f} MB, stored {stored / 1e6:.1f} MB", flush=True)
    return held_or(
        "" if told["status"] == "succeeded" else f"{told['status']}: {told['reason']}",
        "" if stored <= MOST_STORED else f"the notebook has {stored / 1e6:.0f} MB",
        "" if peak <= MOST_MEMORY else f"the runner held {peak / 1e6:.0f} MB",
        noise.shows(first),
        "" if text_of(after) == "after\n" else "the cell after it shows nothing",
    )


def _variants() -> list[Variant]:
    full = {
        "1 GB of prints": lines(10_000_000),
        "one print of 200 MB": one_print(200_000_000),
        "one display of 200 MB": one_display(200_000_000),
        "one repr of 200 MB": one_repr(100_000_000),
        "one error of 200 MB": one_error(100_000_000),
        "100,000 display updates": updates(100_000),
        "30,000 flushed lines": flushed_lines(30_000),
    }
    small = {
        "20 MB of prints": lines(200_000),
        "one display of 20 MB": one_display(20_000_000),
        "5,000 display updates": updates(5_000),
        "5,000 flushed lines": flushed_lines(5_000),
    }
    ours = {
        "20 MB into a widget": attempt(BY_DAGBOOK, into_a_widget(200_000)),
        "flushed lines to a slow listener": attempt(
            WITH_A_SLOW_LISTENER, to_a_slow_listener(15_000)
        ),
    }
    return [
        *(
            Variant(
                name, 3, attempt(BY_DAGBOOK, noise), attempt(BY_PAPERMILL, noise),
                sample=0, means=(Means.BEST,),
            )
            for name, noise in full.items()
        ),
        *(
            Variant(name, 3, attempt(BY_DAGBOOK, noise), means=(Means.BEST,))
            for name, noise in small.items()
        ),
        *(Variant(name, 3, tried, sample=0, means=(Means.BEST,)) for name, tried in ours.items()),
    ]  # fmt: skip


FAULT = Fault(
    "F6",
    "a cell puts out far too much",
    "capped, nothing is lost below the cap, the run goes on, the runner stays under 500 MB",
    tuple(_variants()),
)
