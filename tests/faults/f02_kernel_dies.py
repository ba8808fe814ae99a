"""F2: the kernel is killed, crashes, or ends itself."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from harness import Attempt, Fault, Means, Outcome, Trial, Variant, held_or
from notebooks import text_of, write_notebook
from run_by_others import Told, cleared, left, run, status_of

ENDS = {
    "SIGKILL": ("os.kill(os.getpid(), signal.SIGKILL)", "kernel killed (signal 9) in cell 2"),
    "segmentation fault": (
        "import ctypes; ctypes.string_at(0)",
        "kernel killed (signal 11) in cell 2",
    ),
    "os._exit": ("os._exit(7)", "kernel ended by itself (exit code 7) in cell 2"),
}


def _notebook(folder: Path, how: str) -> Path:
    return write_notebook(
        folder / "n.ipynb",
        "import os, signal, subprocess, time\n"
        "subprocess.Popen(['sleep', '600'], start_new_session=True)\nprint('finished')",
        "print('running', flush=True)\ntime.sleep(0.3)\n"
        f"open('died', 'w').write(repr(time.monotonic()))\n{ENDS[how][0]}",
        "print('never')",
    )


def _judge(folder: Path, told: Told, how: str) -> Outcome:
    problems = ["" if told.said == ENDS[how][1] else f"it says: {told.in_short}"]
    cells = told.cells()
    if len(cells) == 3:
        problems += [
            "" if text_of(cells[0]) == "finished\n" else "a finished cell's output is missing",
            "" if text_of(cells[1]) == "running\n" else "the running cell's output is missing",
            "" if status_of(cells[2]) == "not_run" else f"cell 3 is marked {status_of(cells[2])}",
        ]
    else:
        problems.append("no notebook is stored")
    problems.append(f"{len(left(folder))} processes are left" if left(folder) else "")
    died = folder / "died"
    if not died.exists():
        return held_or(*problems, "the kernel did not die")
    return held_or(*problems, seconds=told.at - float(died.read_text("utf-8")))


def _attempt(how: str, contestant: str, *, another_user: bool = False) -> Attempt:
    def attempt(trial: Trial) -> Outcome:
        with ExitStack() as stack:
            stack.enter_context(cleared(trial.folder))
            source = _notebook(trial.folder, how)
            told = run(contestant, source, another_user=another_user)
            floor = told.result.get("resources", {}).get("enforced_by") == "sampling"
            if another_user and not floor:
                return Outcome(False, "an ordinary user did not get the floor")
            return _judge(trial.folder, told, how)

    return attempt


FAULT = Fault(
    "F2",
    "the kernel is killed, crashes or ends itself",
    "noticed in under 2 s and told with the signal and the cell; outputs of finished cells and "
    "of the running one are kept; later cells are not_run; no process is left",
    (
        *(
            Variant(
                how, trials, _attempt(how, "dagbook"), _attempt(how, "papermill"),
                _attempt(how, "dagstermill"), within=2, sample=sample,
            )
            for how, trials, sample in (
                ("SIGKILL", 34, 1), ("segmentation fault", 33, 0), ("os._exit", 33, 0),
            )
        ),
        Variant(
            "SIGKILL, as another user", 10, _attempt("SIGKILL", "dagbook", another_user=True),
            within=2, means=(Means.BEST,), needs=("other-uid",),
        ),
    ),
)  # fmt: skip
