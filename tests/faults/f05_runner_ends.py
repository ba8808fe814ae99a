"""F5: the process that runs the notebook is told to end, or is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

from harness import Attempt, Fault, Means, Outcome, Trial, Variant, held_or
from notebooks import read_cells, text_of, write_notebook
from run_by_others import cleared, end_all, launch, left, start, status_of, wait_until

from dagbook.execution.place import recover_runs

GRACEFUL_SECONDS = 10
GONE_SECONDS = 5
LONGEST = 60
WAITS = "time.sleep(600)"
HOLDS_GIL = "import ctypes; ctypes.PyDLL(None).sleep(600)"
CHILDREN = """\
for deep in (False, True):
    if os.fork() == 0:
        os.setsid()
        if deep and os.fork():
            os._exit(0)
        os.execvp("sleep", ["sleep", "600"])
"""
#: A parent to which all orphans below come, and which knows nothing of them, as in many a
#: container.
SUBREAPER = """
import ctypes, subprocess, sys, time
ctypes.CDLL(None).prctl(36, 1, 0, 0, 0)
print(subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL).pid, flush=True)
time.sleep(600)
"""


def _notebook(folder: Path, *, children: str = "", waits: str = WAITS) -> Path:
    return write_notebook(
        folder / "n.ipynb",
        "print('finished')",
        f"import os, time\nprint('running', flush=True)\n{children}time.sleep(0.2)\n"
        f"open('began', 'w').close()\n{waits}",
        "print('never')",
    )


def _started(folder: Path, process: subprocess.Popen[str]) -> str:
    if wait_until((folder / "began").exists, LONGEST) is not None:
        return ""
    process.kill()
    return f"the cell never began: {process.communicate()[1][-200:]}"


def _told_to_end(number: signal.Signals, contestant: str) -> Attempt:
    def attempt(trial: Trial) -> Outcome:
        folder = trial.folder
        source = _notebook(folder, children=CHILDREN)
        with cleared(folder):
            if contestant == "dagbook":
                output = folder / "out.ipynb"
                command = [sys.executable, "-m", "dagbook", "run", str(source)]
                process = launch([*command, "--output", str(output)], folder)
            else:
                process, output = start(contestant, source)
            if problem := _started(folder, process):
                return Outcome(False, problem)
            process.send_signal(number)
            sent = time.monotonic()
            try:
                process.communicate(timeout=LONGEST)
            except subprocess.TimeoutExpired:
                return Outcome(False, f"it still ran after {LONGEST} s")
            seconds = time.monotonic() - sent
            problems = [_left(folder)]
            if not output.exists():
                return held_or(*problems, "no notebook is stored", seconds=seconds)
            cells = read_cells(output)
            statuses = [status_of(cell) for cell in cells]
            problems += [
                "" if text_of(cells[0]) == "finished\n" else "a finished cell's output is missing",
                "" if text_of(cells[1]) == "running\n" else "the running cell's output is missing",
                ""
                if statuses == ["completed", "cancelled", "not_run"]
                else f"the cells are marked {', '.join(statuses)}",
            ]
            if contestant == "dagbook" and process.returncode != 130:
                problems.append(f"its exit status is {process.returncode}")
            return held_or(*problems, seconds=seconds)

    return attempt


def _killed(
    contestant: str,
    *,
    whom: str = "runner",
    subreaper: bool = False,
    waits: str = WAITS,
    children: str = "",
    another_user: bool = False,
) -> Attempt:
    def attempt(trial: Trial) -> Outcome:
        folder = trial.folder
        source = _notebook(folder, children=children, waits=waits)
        under = (sys.executable, "-c", SUBREAPER) if subreaper else ()
        with cleared(folder):
            process, _ = start(contestant, source, another_user=another_user, under=under)
            try:
                runner = _below(process) if subreaper else process.pid
                if problem := _started(folder, process):
                    return Outcome(False, problem)
                traces = _traces(folder)
                for pid in _victims(whom, runner):
                    os.kill(pid, signal.SIGKILL)
                killed = time.monotonic()
                # The subreaper itself goes on, as it would, and a runner without its guardian.
                ours = {process.pid} if subreaper or whom == "guardian" else set()
                wait_until(lambda: not set(left(folder)) - ours, 2 * GONE_SECONDS)
                seconds = time.monotonic() - killed
                problems = [_left(folder, but=ours)]
                if not subreaper:
                    process.wait(LONGEST)
                if contestant == "dagbook":
                    problems.append(_kept(folder, runner_killed=whom != "guardian"))
                    problems += [f"{path} is left" for path in traces if path.exists()]
                return held_or(*problems, seconds=seconds)
            finally:
                end_all(folder)
                process.communicate()

    return attempt


def _below(process: subprocess.Popen[str]) -> int:
    assert process.stdout is not None
    return int(process.stdout.readline())


def _victims(whom: str, runner: int) -> list[int]:
    if whom == "runner":
        return [runner]
    children = Path(f"/proc/{runner}/task/{runner}/children").read_text("utf-8").split()
    guardian = next(
        int(pid)
        for pid in children
        if Path(f"/proc/{pid}/comm").read_text("utf-8").startswith("dagbook-guard")
    )
    return [guardian] if whom == "guardian" else [runner, guardian]


def _traces(folder: Path) -> list[Path]:
    """Where the run has its sockets and control groups, as its journal says."""
    journal = folder / ".out.running" / "journal.jsonl"
    paths: list[Path] = []
    if journal.exists():
        for line in journal.read_text("utf-8").splitlines():
            event = json.loads(line)
            if event[0] == "sockets":
                paths.append(Path(event[1]))
            elif event[0] == "groups":
                paths += map(Path, event[1])
    return paths


def _kept(folder: Path, *, runner_killed: bool) -> str:
    """What is wrong with the notebook; when the runner was killed, the next look makes it."""
    if runner_killed:
        recover_runs(folder)
    output = folder / "out.ipynb"
    if not output.exists():
        return "there is no notebook"
    cells = read_cells(output)
    # What of the rest had reached the journal by then is F11's.
    return "" if status_of(cells[2]) == "not_run" else f"cell 3 is {status_of(cells[2])}"


def _left(folder: Path, but: Collection[int] = ()) -> str:
    found = set(left(folder)) - set(but)
    return f"{len(found)} processes are left" if found else ""


def _graceful(number: signal.Signals, sample: int) -> Variant:
    return Variant(
        f"{number.name} to the runner", 100,
        *(_told_to_end(number, by) for by in ("dagbook", "papermill", "dagstermill")),
        within=GRACEFUL_SECONDS, sample=sample,
    )  # fmt: skip


def _kill(name: str, *, sample: int = 0, **options: Any) -> Variant:
    return Variant(
        f"SIGKILL to the runner{name}", 100,
        *(_killed(by, **options) for by in ("dagbook", "papermill", "dagstermill")),
        within=GONE_SECONDS, sample=sample,
    )  # fmt: skip


FAULT = Fault(
    "F5",
    "the process that runs the notebook is told to end, or is killed",
    "told to end: the notebook is stored, its cell marked cancelled, the process gone within 10 s; "
    "killed: no process is left after 5 s, and the next look makes the notebook of what was there",
    (
        _graceful(signal.SIGTERM, 1),
        _graceful(signal.SIGINT, 0),
        _kill(""),
        _kill(", with children in new sessions", children=CHILDREN),
        _kill(", with a kernel that holds the GIL", waits=HOLDS_GIL),
        _kill(
            " under a subreaper, with all of that",
            sample=1, subreaper=True, children=CHILDREN, waits=HOLDS_GIL,
        ),
        # Nobody but Linux is left to end anything: with a namespace or a control group all of
        # it, on the floor the kernel.
        *(
            Variant(
                f"SIGKILL to {name}, with {what}", 100,
                _killed("dagbook", whom=whom, children=children, waits=HOLDS_GIL),
                within=GONE_SECONDS, means=(means,), sample=sample,
            )
            for name, whom in (("the guardian", "guardian"), ("runner and guardian", "both"))
            for what, children, means, sample in (
                ("children in new sessions", CHILDREN, Means.BEST, int(whom == "both")),
                ("the kernel alone", "", Means.FLOOR, int(whom == "both")),
            )
        ),
        Variant(
            "SIGKILL to the runner, as another user", 20,
            _killed("dagbook", children=CHILDREN, another_user=True),
            within=GONE_SECONDS, means=(Means.BEST,), needs=("other-uid",),
        ),
    ),
)  # fmt: skip
