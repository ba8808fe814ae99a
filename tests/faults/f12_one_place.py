"""F12: two runs want to write to one place."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier
from typing import Any

from f06_noise import BY_PAPERMILL
from harness import Fault, Means, Outcome, Trial, Variant, held_or
from notebooks import read_cells, text_of, write_notebook

#: Longer than the difference with which two processes started at once get there.
CELL = "import time\ntime.sleep({seconds})\nprint('run {number}')"

#: Waits for a file that says go, so that both begin at the same moment.
BY_DAGBOOK = """
import json, os, sys, time
from pathlib import Path
from dagbook.errors import DagbookError
from dagbook.execution import run_notebook
source, go, options = sys.argv[1], Path(sys.argv[2]), json.loads(sys.argv[3])
options = {name: Path(v) if isinstance(v, str) else v for name, v in options.items()}
Path(sys.argv[1] + ".ready").touch()
while not go.exists():
    time.sleep(0.001)
try:
    result = run_notebook(source, **options)
    told = {"status": str(result.status), "reason": result.reason,
            "notebook": str(result.executed_notebook)}
except DagbookError as error:
    told = {"status": "refused", "reason": str(error), "notebook": None}
print(json.dumps(told))
"""

Told = dict[str, Any]
Together = Callable[[Trial, dict[str, Any]], list[Told]]


def sources(trial: Trial) -> list[Path]:
    """Two notebooks, each saying which it is."""
    seconds = 1.5
    return [
        write_notebook(
            trial.folder / f"n{number}.ipynb", CELL.format(seconds=seconds, number=number)
        )
        for number in range(2)
    ]


def in_threads(trial: Trial, options: dict[str, Any]) -> list[Told]:
    """Run both at once in one process."""
    from dagbook.errors import DagbookError
    from dagbook.execution import run_notebook

    ready = Barrier(2)

    def one(source: Path) -> Told:
        ready.wait(60)
        try:
            result = run_notebook(source, **options)
        except DagbookError as error:
            return {"status": "refused", "reason": str(error), "notebook": None}
        return {
            "status": str(result.status),
            "reason": result.reason,
            "notebook": str(result.executed_notebook),
        }

    with ThreadPoolExecutor(2) as pool:
        return [*pool.map(one, sources(trial))]


def in_processes(trial: Trial, options: dict[str, Any]) -> list[Told]:
    """Run both at once, each in a process of its own."""
    go, given = trial.folder / "go", json.dumps(options, default=str)
    notebooks = sources(trial)
    started = [
        subprocess.Popen(
            [sys.executable, "-c", BY_DAGBOOK, str(source), str(go), given],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for source in notebooks
    ]  # fmt: skip
    try:
        while not all(Path(f"{source}.ready").exists() for source in notebooks):
            time.sleep(0.01)
            assert all(process.poll() is None for process in started), "it did not start"
    finally:
        go.touch()
    told = []
    for process in started:
        out, error = process.communicate(timeout=240)
        assert process.returncode == 0, f"it ended with {process.returncode}: {error[-300:]}"
        told.append(json.loads(out.splitlines()[-1]))
    return told


def one_output(together: Together) -> Callable[[Trial], Outcome]:
    """Both are to write one file: one does, the other is refused."""

    def attempt(trial: Trial) -> Outcome:
        output = trial.folder / "out.ipynb"
        other = trial.folder / "link.ipynb"
        if trial.number % 2:
            # Under another name, and with a notebook there already.
            write_notebook(output, "print('before')")
            other.symlink_to(output)
        told = together(trial, {"output": output, "html": trial.number % 4 < 2})
        refused = [t for t in told if t["status"] == "refused"]
        stored = [n for n, t in enumerate(told) if t["status"] == "succeeded"]
        if len(refused) != 1 or len(stored) != 1:
            return Outcome(False, f"{[(t['status'], t['reason']) for t in told]}")
        expected = f"{output}: another run is writing it now. Wait for it, or choose another name."
        page = output.with_suffix(".html")
        return held_or(
            "" if refused[0]["reason"] == expected else refused[0]["reason"],
            _shows(output, stored[0]),
            "" if not page.exists() else _page_shows(page, stored[0]),
            _left(trial),
        )

    return attempt


def one_folder(together: Together) -> Callable[[Trial], Outcome]:
    """Both are of one partition, so of one folder, in one second: both are kept."""

    def attempt(trial: Trial) -> Outcome:
        folder = trial.folder / "runs"
        told = together(trial, {"output_folder": folder, "html": True})
        problems = [t["reason"] for t in told if t["status"] != "succeeded"]
        paths = [Path(t["notebook"]) for t in told]
        for number, path in enumerate(paths):
            problems += [_shows(path, number), _page_shows(path.with_suffix(".html"), number)]
        there = sorted(path.name for path in folder.iterdir())
        return held_or(
            *problems,
            "" if len(set(paths)) == 2 else "both wrote one file",
            "" if len(there) == 4 else f"there are {there}",
            _left(trial),
        )

    return attempt


def _shows(path: Path, number: int) -> str:
    shown = text_of(read_cells(path)[-1])
    return "" if shown == f"run {number}\n" else f"the notebook of run {number} shows {shown!r}"


def _page_shows(page: Path, number: int) -> str:
    text = page.read_text("utf-8") if page.exists() else ""
    whole = text.rstrip().endswith("</html>") and f"<pre>run {number}\n" in text
    return "" if whole else f"the page of run {number} is not its own"


def _left(trial: Trial) -> str:
    left = [path.name for path in trial.folder.rglob(".*") if path.name.startswith(".")]
    return f"left {left}" if left else ""


def by_papermill(trial: Trial) -> Outcome:
    """Both write one file, by papermill."""
    output = trial.folder / "out.ipynb"
    started = [
        subprocess.Popen(
            [sys.executable, "-c", BY_PAPERMILL, str(source), str(output)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        )
        for source in sources(trial)
    ]  # fmt: skip
    codes = [process.wait(240) for process in started]
    shown = text_of(read_cells(output)[-1])
    both = codes == [0, 0]
    return held_or(f"both succeeded, and what is there is {shown!r}" if both else "")


def _variant(name: str, attempt: Callable[[Trial], Outcome], **more: Any) -> Variant:
    return Variant(name, 20, attempt, means=(Means.BEST,), **more)


FAULT = Fault(
    "F12",
    "two runs with one place to write to",
    "neither overwrites the other",
    (
        _variant("one output, in threads", one_output(in_threads)),
        _variant(
            "one output, in processes", one_output(in_processes), papermill=by_papermill, sample=0
        ),
        _variant("one partition, in threads", one_folder(in_threads), sample=0),
        _variant("one partition, in processes", one_folder(in_processes)),
    ),
)
