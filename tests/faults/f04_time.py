"""F4: more time than a run or a cell has."""

from __future__ import annotations

from pathlib import Path

from harness import Attempt, Fault, Outcome, Trial, Variant, held_or
from notebooks import text_of, write_notebook
from run_by_others import Told, cleared, left, run, status_of

#: Seconds. A run's count from its start, with that of the kernel in them.
LIMITS = {"run": 6.0, "cell": 2.0}
GRACE = 2.0
WAYS = {
    "sleeping": "time.sleep(60)",
    "swallowing KeyboardInterrupt": (
        "while True:\n    try:\n        time.sleep(60)\n    except KeyboardInterrupt:\n        pass"
    ),
    # PyDLL keeps the GIL: no Python code of the kernel runs, in no thread.
    "in C, SIGINT blocked": (
        "import ctypes, signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])\n"
        "ctypes.PyDLL(None).sleep(60)"
    ),
}
REASONS = {
    "run": "ended after 6 s, the limit of size short",
    "cell": "cell 2 ended after 2 s, the limit per cell",
}


def _judge(folder: Path, told: Told, limit: str) -> Outcome:
    cells = told.cells()
    stored = len(cells) == 3
    status = told.result.get("status", "failed" if told.said else "succeeded")
    cell_began = folder / "began"
    began = told.began
    if limit == "cell" and cell_began.exists():
        began = float(cell_began.read_text("utf-8"))
    return held_or(
        "" if told.said == REASONS[limit] else f"it says: {told.in_short}",
        "" if status == "timed_out" else f"it ended {status}",
        "" if stored else "no notebook is stored",
        "" if stored and text_of(cells[0]) == "finished\n" else "cell 1's output is missing",
        "" if stored and text_of(cells[1]).startswith("on\n") else "cell 2's output is missing",
        ""
        if stored and [status_of(c) for c in cells[1:]] == ["timed_out", "not_run"]
        else "the cells are not marked timed_out and not_run",
        f"{len(left(folder))} processes are left" if left(folder) else "",
        seconds=told.at - began - LIMITS[limit] if began else None,
    )


def _attempt(way: str, limit: str, contestant: str) -> Attempt:
    def attempt(trial: Trial) -> Outcome:
        # The limit of a run counts from its start, that of a cell from the cell's.
        began = trial.folder / "began"
        source = write_notebook(
            trial.folder / "n.ipynb",
            "import time\nprint('finished')",
            "from pathlib import Path\n"
            f"Path({str(began)!r}).exists() or Path({str(began)!r}).write_text("
            # The kernel needs the GIL to send it.
            "repr(time.monotonic()))\nprint('on', flush=True)\ntime.sleep(0.3)\n"
            f"{WAYS[way]}",
            "1",
        )
        with cleared(trial.folder):
            if contestant == "papermill":
                return _judge(
                    trial.folder, run("papermill", source, execution_timeout=LIMITS[limit], timeout=60),
                    limit,
                )  # fmt: skip
            size = {
                "name": "short", "cpus": 2, "memory_bytes": 2**32, "grace_seconds": GRACE,
                "max_runtime_seconds": LIMITS["run"] if limit == "run" else 600,
            }  # fmt: skip
            more = {"cell_timeout": LIMITS["cell"]} if limit == "cell" else {}
            return _judge(trial.folder, run("dagbook", source, size=size, **more), limit)

    return attempt


FAULT = Fault(
    "F4",
    "more time than the run or a cell has",
    "ended at most the size's grace (2 s here) after the limit and told as timed_out, whatever the "
    "cell does with the interrupt; its output is kept; no process is left",
    tuple(
        Variant(
            f"{way}, limit per {limit}", 10, _attempt(way, limit, "dagbook"),
            # papermill has a limit per cell only, and takes whole seconds.
            _attempt(way, limit, "papermill") if limit == "cell" else None,
            within=GRACE,
            sample=int((way, limit) == ("in C, SIGINT blocked", "cell")),
        )
        for way in WAYS
        for limit in REASONS
    ),
)  # fmt: skip
