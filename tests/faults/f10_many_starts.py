"""F10: many runs start at once."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

from f06_noise import BY_PAPERMILL
from harness import Attempt, Fault, Means, Outcome, Trial, Variant, held_or
from notebooks import processes_with, read_cells, text_of, write_notebook

AT_ONCE = 10
SECONDS = 300


def _judged(number: int, executed: Path | None) -> str:
    if executed is None:
        return f"run {number} has no notebook"
    [cell] = read_cells(executed)
    shown = text_of(cell)
    return "" if shown == f"run {number}\n" else f"run {number} shows {shown!r}"


def _source(trial: Trial, number: int) -> Path:
    return write_notebook(trial.folder / f"n{number}.ipynb", f"print('run {number}')")


def threads(count: int) -> Attempt:
    """So many in one process, each in a thread of its own."""

    def attempt(trial: Trial) -> Outcome:
        from dagbook.execution import run_notebook

        ready = Barrier(count)

        def one(number: int) -> str:
            source = _source(trial, number)
            ready.wait(60)
            result = run_notebook(source)
            if not result.succeeded:
                return f"run {number} {result.status}: {result.reason}"
            return _judged(number, result.executed_notebook)

        with ThreadPoolExecutor(count) as pool:
            problems = [*pool.map(one, range(count))]
        return held_or(*problems, *_left(trial))

    return attempt


def processes(count: int, command: tuple[str, ...], *, options: tuple[str, ...] = ()) -> Attempt:
    """So many at once, each in a process of its own."""

    def attempt(trial: Trial) -> Outcome:
        outputs = [trial.folder / f"out{number}.ipynb" for number in range(count)]
        started = [
            subprocess.Popen(
                [sys.executable, *command, str(_source(trial, number)), *options, str(output)],
                cwd=trial.folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            )
            for number, output in enumerate(outputs)
        ]  # fmt: skip
        problems = []
        for number, process in enumerate(started):
            _, said = process.communicate(timeout=SECONDS)
            failed = process.returncode != 0
            problems.append(said.strip()[-150:] if failed else _judged(number, outputs[number]))
        return held_or(*problems, *_left(trial))

    return attempt


def _left(trial: Trial) -> list[str]:
    left = [path.name for path in trial.folder.rglob("*.running")]
    left += [f"process {pid}" for pid in processes_with(str(trial.folder))]
    return [f"left {left}"] if left else []


BY_CLI = ("-m", "dagbook", "run", "--json")

FAULT = Fault(
    "F10",
    "100 runs start, 10 at once",
    "all of them succeed",
    (
        # A trial is ten starts.
        Variant("10 threads of one process", 10, threads(AT_ONCE), sample=0),
        Variant(
            "10 processes", 10, processes(AT_ONCE, BY_CLI, options=("--output",)),
            processes(AT_ONCE, ("-c", BY_PAPERMILL)), sample=0,
        ),
        Variant("4 threads of one process", 1, threads(4), means=(Means.BEST,)),
    ),
)  # fmt: skip
