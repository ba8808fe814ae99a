"""Runs a notebook in a process of its own: as dagbook, papermill and dagstermill do it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness import DAGSTERMILL_PYTHON, ROOT
from notebooks import processes_with, read_cells

#: Everything a trial starts has it in its environment, with the trial's folder.
MARK = "DAGBOOK_ENVIRONMENT_TRIAL"
ANOTHER_UID = 65534
DAGSTERMILL_ASSET = ROOT / "tests" / "benchmarks" / "dagstermill_asset.py"
PAPERMILL = """
import json, sys, time, papermill
try:
    papermill.execute_notebook(sys.argv[1], sys.argv[2], progress_bar=False, **json.loads(sys.argv[3]))
    said = ""
except BaseException as error:
    said = f"{type(error).__name__}: {error}"
print(json.dumps([said, time.monotonic()]))
"""
DAGBOOK = """
import json, sys, time
from pathlib import Path
from dagbook.execution import run_notebook
from dagbook.policy import Size
options = json.loads(sys.argv[3])
if "size" in options:
    options["size"] = Size(**options["size"])
began = time.monotonic()
result = run_notebook(sys.argv[1], output=Path(sys.argv[2]), **options)
print(json.dumps([result.to_json(), time.monotonic(), began]))
"""


@dataclass(frozen=True)
class Told:
    """What somebody who ran a notebook says of it, and what is left.

    Attributes:
        said: the reason it gives, empty when it succeeded.
        at: when it said so, in monotonic time.
        output: the executed notebook, which may not be there.
        result: dagbook's result as JSON.
        began: when dagbook was told to begin.
    """

    said: str
    at: float
    output: Path
    result: dict[str, Any]
    began: float = 0.0

    @property
    def in_short(self) -> str:
        """What it says, for a note."""
        return self.said.split("\n")[0][:90] or "all is well"

    def cells(self) -> list[Any]:
        """The code cells it stored; none when it stored nothing."""
        return read_cells(self.output) if self.output.exists() else []


def start(
    contestant: str,
    source: Path,
    *,
    another_user: bool = False,
    under: tuple[str, ...] = (),
    options: dict[str, Any] | None = None,
) -> tuple[subprocess.Popen[str], Path]:
    """Start a run of `source`, as a child of the command `under` if there is one.

    Returns:
        The process, and where the executed notebook will be.
    """
    folder = source.parent
    output = folder / "out.ipynb"
    given = json.dumps(options or {})
    if contestant == "dagbook":
        command = [sys.executable, "-c", DAGBOOK, str(source), str(output), given]
    elif contestant == "papermill":
        command = [sys.executable, "-c", PAPERMILL, str(source), str(output), given]
    else:
        output = folder / "dagstermill" / "subject"
        command = [
            str(DAGSTERMILL_PYTHON), str(DAGSTERMILL_ASSET), str(source), str(output.parent)
        ]  # fmt: skip
    return launch([*under, *command], folder, another_user=another_user), output


def launch(
    command: list[str], folder: Path, *, another_user: bool = False
) -> subprocess.Popen[str]:
    """Start a process whose descendants are found by `left`."""
    environment = {**os.environ, MARK: str(folder)}
    if another_user:
        os.chown(folder, ANOTHER_UID, ANOTHER_UID)
        environment["HOME"] = str(folder)
        # The right to read is left to it, because the interpreter may lie in root's home.
        command = [
            "setpriv", f"--reuid={ANOTHER_UID}", f"--regid={ANOTHER_UID}", "--clear-groups",
            "--bounding-set=-all,+dac_read_search", "--inh-caps=-all,+dac_read_search",
            "--ambient-caps=-all,+dac_read_search", *command,
        ]  # fmt: skip
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def run(contestant: str, source: Path, *, timeout: float = 120, **options: Any) -> Told:
    """Run `source` to its end."""
    another_user = bool(options.pop("another_user", False))
    process, output = start(contestant, source, another_user=another_user, options=options)
    try:
        out, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        return Told(f"nothing within {timeout:g} s", time.monotonic(), output, {})
    at = time.monotonic()
    if contestant == "dagstermill":
        raised = re.findall(r"^[\w.]+Error: .*", errors, re.MULTILINE)
        said = "" if process.returncode == 0 else (raised or [errors[-300:]])[-1]
        return Told(said, at, output, {})
    try:
        said, at, *began = json.loads(out.splitlines()[-1])
    except (IndexError, ValueError):
        return Told(f"no answer: {errors[-300:]}", at, output, {})
    if contestant == "papermill":
        return Told(said, at, output, {})
    return Told(said["reason"], at, output, said, *began)


def left(folder: Path) -> list[int]:
    """Processes a trial in `folder` started that still run."""
    return processes_with(f"{MARK}={folder}")


@contextmanager
def cleared(folder: Path) -> Iterator[None]:
    """End what others leave of a trial: it is not there when the next one looks."""
    try:
        yield
    finally:
        end_all(folder)


def end_all(folder: Path) -> None:
    """Kill what a trial left."""
    for pid in left(folder):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def wait_until(condition: Callable[[], bool], seconds: float) -> float | None:
    """How long it took to come about; None when it did not in time."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if condition():
            return time.monotonic() - began
        time.sleep(0.01)
    return None


def status_of(cell: Any) -> str:
    """How papermill's field says that a cell ended."""
    return str(cell.metadata.get("papermill", {}).get("status"))
