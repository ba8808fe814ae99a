"""F11: SIGKILL of the runner, its guardian, the kernel and all children, at a random moment."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from f06_noise import BY_PAPERMILL
from harness import Fault, Outcome, Trial, Variant, held_or, run_python
from notebooks import processes_with, read_cells, text_of, write_notebook

GOOD = "the last good version"
BY_DAGBOOK = """
import sys
from pathlib import Path
from dagbook.execution import run_notebook
run_notebook(sys.argv[1], output=Path(sys.argv[2]), html=True)
"""
IN_FOLDER = BY_DAGBOOK.replace("output=Path", "output_folder=Path")
LOOK = """
import sys
from pathlib import Path
from dagbook.execution.recovery import recover_runs
recover_runs(Path(sys.argv[1]))
"""

CELLS = 12
#: Says on a disk of its own, past all of our doing, how far it is.
CELL = """
import os
def say(what):
    file = os.open({side!r}, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
    os.write(file, (what + chr(10)).encode())
    os.fsync(file)
    os.close(file)
say('start {number}')
import time
print('first of {number}')
display({{'text/plain': 'shown by {number}', 'text/html': 'x' * {size}}}, raw=True)
time.sleep({seconds})
print('last of {number}')
say('end {number}')
"""


def source(trial: Trial, side: Path) -> Path:
    """A notebook of quick and slow cells, with little and much output."""
    chance = random.Random(trial.number)
    cells = [
        CELL.format(
            side=str(side), number=number, size=chance.choice([10, 10, 1000, 300_000]),
            seconds=chance.choice([0, 0, 0.01, 0.3]),
        )
        for number in range(CELLS)
    ]  # fmt: skip
    return write_notebook(trial.folder / "n.ipynb", *cells)


def killed_at_random(trial: Trial, code: str, output: Path, side: Path) -> str:
    """Run it, and kill all of it at a moment from before its start to after its end."""
    # Every process below it has that in its command line or its environment.
    marker = str(trial.folder)
    runner = subprocess.Popen(
        [sys.executable, "-c", code, str(source(trial, side)), str(output)],
        cwd=trial.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_for_a_moment(trial, runner, side)
    finally:
        _kill_all(runner, marker)
    left = processes_with(marker)
    return f"processes left: {left}" if left else ""


def _wait_for_a_moment(trial: Trial, runner: subprocess.Popen[bytes], side: Path) -> None:
    chance = random.Random()
    kind = trial.number % 4
    if kind == 0:  # at any time from the very start
        time.sleep(chance.uniform(0, 4))
        return
    # In the middle of some cell, or after the last: while the notebook and its page are written.
    line = "start" if kind < 3 else "end"
    number = chance.randrange(CELLS) if kind < 3 else CELLS - 1
    deadline = time.monotonic() + 60
    while f"{line} {number}\n" not in _said(side) and time.monotonic() < deadline:
        if runner.poll() is not None:
            return
        time.sleep(0.001)
    time.sleep(chance.uniform(0, 0.05 if kind < 3 else 1.0))


def _kill_all(runner: subprocess.Popen[bytes], marker: str) -> None:
    from dagbook.execution.guardian import descendants

    for pid in (runner.pid, *descendants(runner.pid)):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    runner.wait()
    deadline = time.monotonic() + 10
    while (left := processes_with(marker)) and time.monotonic() < deadline:
        for pid in left:  # born in the very moment
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        time.sleep(0.01)


def _said(side: Path) -> str:
    return side.read_text("utf-8") if side.exists() else ""


def readable(folder: Path) -> str:
    """Nothing, when every notebook there is a valid one."""
    for path in folder.rglob("*.ipynb"):
        try:
            read_cells(path)
        except Exception as error:
            return f"{path.name} is unreadable ({type(error).__name__})"
    return ""


def all_there(path: Path, side: Path) -> str:
    """Nothing, when all that cells had put out is there whose successor had started."""
    said = _said(side)
    cells = {
        text_of(cell).split("\n")[0].removeprefix("first of "): cell
        for cell in read_cells(path)
        if cell.outputs
    }
    for number in range(CELLS):
        if f"start {number + 1}\n" not in said:
            break
        cell = cells.get(str(number))
        expected = f"first of {number}\nshown by {number}last of {number}\n"
        if cell is None or text_of(cell) != expected:
            return f"cell {number + 1} had ended, and its output is not there"
        status = cell.metadata.get("papermill", {}).get("status")
        if status != "completed":
            return f"cell {number + 1} had ended, and is told as {status}"
    return ""


def _look_by_itself(folder: Path) -> None:
    done = run_python(LOOK, folder, cwd=folder)
    assert done.returncode == 0, f"looking ended with {done.returncode}: {done.stderr[-300:]}"


def _look_by_the_next_run(folder: Path) -> None:
    notebook = write_notebook(folder.parent / "next.ipynb", "1")
    done = run_python(BY_DAGBOOK, notebook, folder / "next.ipynb", cwd=folder)
    assert done.returncode == 0, f"the next run ended with {done.returncode}: {done.stderr[-300:]}"
    for name in ("next.ipynb", "next.html"):
        (folder / name).unlink()


def _look_twice_at_once(folder: Path) -> None:
    looking = [subprocess.Popen([sys.executable, "-c", LOOK, str(folder)]) for _ in range(2)]
    assert [process.wait(60) for process in looking] == [0, 0]


def _look_and_be_killed(folder: Path) -> None:
    for _ in range(3):
        looking = subprocess.Popen([sys.executable, "-c", LOOK, str(folder)])
        time.sleep(random.uniform(0.1, 0.5))
        looking.kill()
        looking.wait()
        assert not readable(folder), readable(folder)
    _age(folder)
    _look_by_itself(folder)


def _age(folder: Path) -> None:
    # What is temporary and new may be somebody's: the next look an hour later removes it.
    for left in folder.glob(".dagbook-*.tmp"):
        os.utime(left, (time.time() - 3600,) * 2)


LOOKS: tuple[Callable[[Path], None], ...] = (
    _look_by_itself,
    _look_by_the_next_run,
    _look_twice_at_once,
    _look_and_be_killed,
)


def with_a_good_version(trial: Trial) -> Outcome:
    """The run was to replace a notebook."""
    folder, side = trial.folder / "out", trial.folder / "side"
    output = write_notebook(folder / "out.ipynb", f"print({GOOD!r})")
    problems = [killed_at_random(trial, BY_DAGBOOK, output, side), readable(folder)]
    _age(folder)
    LOOKS[trial.number // 4 % 4](folder)
    problems += [readable(folder), _only(folder, {"out.ipynb", "out.html"})]
    if GOOD in read_cells(output)[0].source:
        problems.append("nothing is recovered" if "start" in _said(side) else "")
    else:
        problems.append(all_there(output, side))
    return held_or(*problems)


def in_a_folder(trial: Trial) -> Outcome:
    """The run was to get a notebook of its own."""
    folder, side = trial.folder / "out", trial.folder / "side"
    folder.mkdir()
    problems = [killed_at_random(trial, IN_FOLDER, folder, side), readable(folder)]
    _age(folder)
    LOOKS[trial.number // 4 % 4](folder)
    notebooks = [*folder.glob("*.ipynb")]
    problems += [
        readable(folder),
        _only(folder, {path.name for path in (*notebooks, *folder.glob("*.html"))}),
    ]
    if len(notebooks) != 1:
        started = "start" in _said(side)
        problems.append(f"there are {len(notebooks)} notebooks" if notebooks or started else "")
    else:
        problems.append(all_there(notebooks[0], side))
        told = json.loads(notebooks[0].read_text("utf-8"))["metadata"]["dagbook"]
        ended = f"end {CELLS - 1}\n" in _said(side)
        if told["status"] == "succeeded" and not ended:
            problems.append("it is said to have succeeded")
    return held_or(*problems)


def _only(folder: Path, names: set[str]) -> str:
    there = {path.name for path in folder.iterdir()} - names
    return f"left {sorted(there)}" if there else ""


def by_papermill(trial: Trial) -> Outcome:
    """The same by papermill, which has nothing to recover from."""
    folder, side = trial.folder / "out", trial.folder / "side"
    output = write_notebook(folder / "out.ipynb", f"print({GOOD!r})")
    problem = killed_at_random(trial, BY_PAPERMILL, output, side)
    unreadable = readable(folder)
    if unreadable or "start 1\n" not in _said(side):
        return held_or(unreadable)
    return held_or(problem, all_there(output, side))


FAULT = Fault(
    "F11",
    "everything is killed at a random moment",
    "no notebook is unreadable; every finished cell is there after recovery, which the next look "
    "does by itself",
    (
        Variant("in place of a good version", 100, with_a_good_version, by_papermill, sample=0),
        Variant("in a folder of runs", 100, in_a_folder),
    ),
)
