"""F3: more memory than the size, in the kernel or in a child."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

from harness import Attempt, Fault, Means, Outcome, Trial, Variant, held_or
from notebooks import text_of, write_notebook
from run_by_others import Told, cleared, left, run, status_of

SIZE = {
    "name": "tiny", "cpus": 2, "memory_bytes": 300 * 1024**2, "max_runtime_seconds": 60,
    "grace_seconds": 10,
}  # fmt: skip
GROWS = "import time\nhoard = [bytearray(20_000_000) for _ in range(40) if not time.sleep(0.02)]\n"
AT_ONCE = "import time\nhoard = bytearray(800_000_000)\ntime.sleep(2)\n"


def _in_child(code: str) -> str:
    # The cell takes the child's end for nothing special: the run must not.
    return f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {code!r}])\n"


USES = {
    "kernel, bit by bit": GROWS,
    "kernel, at once": AT_ONCE,
    "child, bit by bit": _in_child(GROWS),
    "child, at once": _in_child(AT_ONCE),
}


def _judge(folder: Path, told: Told, neighbour: Told | None) -> Outcome:
    cells = told.cells()
    stored = len(cells) == 3
    document = told.output.read_text("utf-8") if stored else ""
    problems = [
        ""
        if told.said.startswith("exceeded 300 MiB of size tiny, peak ")
        else f"it says: {told.in_short}",
        "" if stored else "no notebook is stored",
        "" if stored and text_of(cells[0]) == "500\n" else "cell 1's output is missing",
        "" if stored and status_of(cells[2]) == "not_run" else "cell 3 is not marked not_run",
        "" if "Next size up: small" in document else "no larger size is named",
        f"{len(left(folder))} processes are left" if left(folder) else "",
    ]
    if neighbour is not None and (neighbour.said or text_of(neighbour.cells()[1]) != "fine\n"):
        problems.append(f"the neighbour was harmed: {neighbour.said[:60]}")
    return held_or(*problems)


def _attempt(where: str, contestant: str, *, another_user: bool = False) -> Attempt:
    def attempt(trial: Trial) -> Outcome:
        # Of its kernels and of nobody else the system makes its victims.
        first = "print(open('/proc/self/oom_score_adj').read().strip())"
        source = write_notebook(trial.folder / "a" / "n.ipynb", first, USES[where], "1")
        other = write_notebook(
            trial.folder / "b" / "n.ipynb", first,
            "import time\nheld = bytearray(100_000_000)\ntime.sleep(1.5)\nprint('fine')",
        )  # fmt: skip
        options = {"size": SIZE} if contestant == "dagbook" else {}
        beside: list[Told] = []
        with cleared(source.parent), cleared(other.parent):
            thread = Thread(
                target=lambda: beside.append(
                    run(contestant, other, another_user=another_user, **options)
                )
            )
            thread.start()
            told = run(contestant, source, another_user=another_user, **options)
            thread.join()
            return _judge(source.parent, told, beside[0])

    return attempt


def _variants() -> tuple[Variant, ...]:
    return tuple(
        Variant(
            where, 5, _attempt(where, "dagbook"), _attempt(where, "papermill"),
            sample=int(where == "child, bit by bit"),
        )
        for where in USES
    )  # fmt: skip


FAULT = Fault(
    "F3",
    "more memory than the size has, in the kernel or in a child",
    "the run is ended, and told apart from a kernel that was killed: exceeded 300 MiB of size "
    "tiny, peak …; the runner and a run beside it are unharmed; the next larger size is named",
    (
        *_variants(),
        Variant(
            "kernel, at once, as another user", 5,
            _attempt("kernel, at once", "dagbook", another_user=True),
            means=(Means.BEST,), needs=("other-uid",), sample=0,
        ),
    ),
)  # fmt: skip
