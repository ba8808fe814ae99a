"""F13: many runs in one process, and as many processes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

from harness import Attempt, Fault, Means, Outcome, Trial, Variant, held_or
from notebooks import read_cells, text_of, write_notebook
from run_by_others import MARK, cleared, launch, left

from dagbook.execution.cgroups import GROUP_PREFIX, find_controllers

#: Before memory is measured: imports, caches and the allocator's pools have settled by then.
WARM_UP = 8
GROWTH = 0.05
RUNS_IN_ONE_PROCESS = """
import gc, json, os, sys, threading
from pathlib import Path

def memory():
    gc.collect()
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))

def run(number):
    output = Path(sys.argv[3]) / f"{number}.ipynb"
    if sys.argv[1] == "dagbook":
        from dagbook.execution import run_notebook
        assert run_notebook(sys.argv[2], output=output).succeeded
    else:
        import papermill
        papermill.execute_notebook(sys.argv[2], str(output), progress_bar=False)

def children():
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()

runs, warm_up = int(sys.argv[4]), int(sys.argv[5])
for number in range(warm_up):
    run(number)
before = memory(), len(os.listdir("/proc/self/fd")), threading.active_count()
for number in range(warm_up, warm_up + runs):
    run(number)
after = memory(), len(os.listdir("/proc/self/fd")), threading.active_count()
print(json.dumps([before, after, len(children())]))
"""


def _notebook(folder: Path) -> Path:
    return write_notebook(
        folder / "n.ipynb",
        "import subprocess\n_ = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
        "print(open('/proc/self/cgroup').read())",
        "print('x' * 200_000)",
        "list(range(10_000))",
    )


def _traces(folder: Path, temporary: Path) -> list[str]:
    """What is left of the runs in `folder`, whose temporary folder was `temporary`."""
    files = [str(path.relative_to(temporary)) for path in temporary.rglob("*")]
    hidden = [path.name for path in folder.rglob(".*") if path.name.endswith(".running")]
    seen = {
        name
        for path in (folder / "out").glob("*.ipynb")
        for name in re.findall(f"{GROUP_PREFIX}\\\\w+", text_of(read_cells(path)[0]))
    }
    places = {controller.parent for controller in find_controllers().values()}
    groups = [name for name in seen for place in places if (place / name).exists()]
    return [
        f"{len(files)} temporary files are left, such as {files[0]}" if files else "",
        f"{len(hidden)} journals are left" if hidden else "",
        f"{len(groups)} control groups are left" if groups else "",
        f"{len(left(folder))} processes are left" if left(folder) else "",
    ]


def _in_one_process(runs: int, contestant: str) -> Attempt:
    def attempt(trial: Trial) -> Outcome:
        folder, temporary = trial.folder, trial.folder / "tmp"
        temporary.mkdir()
        (folder / "out").mkdir()
        source = _notebook(folder)
        with cleared(folder):
            asked = subprocess.run(
                [
                    sys.executable, "-c", RUNS_IN_ONE_PROCESS, contestant, str(source),
                    str(folder / "out"), str(runs), str(WARM_UP if runs > WARM_UP else 1),
                ],
                cwd=folder, capture_output=True, text=True, timeout=1200,
                env={**os.environ, MARK: str(folder), "TMPDIR": str(temporary)},
            )  # fmt: skip
            problems = _traces(folder, temporary)
        if asked.returncode:
            return held_or(*problems, f"it failed: {asked.stderr[-200:]}")
        before, after, children = json.loads(asked.stdout.splitlines()[-1])
        growth = after[0] / before[0] - 1
        # Of a few runs most is still the settling.
        problems += [
            f"memory grew by {growth:.1%}" if growth > GROWTH and runs > WARM_UP else "",
            f"{after[1] - before[1]} descriptors more" if after[1] > before[1] else "",
            f"{after[2] - before[2]} threads more" if after[2] > before[2] else "",
            f"{children} children or zombies are left" if children else "",
        ]
        return held_or(*problems)

    return attempt


def _in_processes(count: int, contestant: str) -> Attempt:
    def attempt(trial: Trial) -> Outcome:
        folder, temporary = trial.folder, trial.folder / "tmp"
        temporary.mkdir()
        (folder / "out").mkdir()
        source = _notebook(folder)
        failed = 0
        with cleared(folder):
            for number in range(count):
                output = str(folder / "out" / f"{number}.ipynb")
                if contestant == "dagbook":
                    command = ["-m", "dagbook", "run", str(source), "--output", output]
                else:
                    command = ["-m", "papermill", str(source), output]
                process = launch(
                    ["env", f"TMPDIR={temporary}", sys.executable, *command], folder
                )  # fmt: skip
                process.communicate(timeout=120)
                failed += process.returncode != 0
            problems = _traces(folder, temporary)
        return held_or(*problems, f"{failed} runs failed" if failed else "")

    return attempt


FAULT = Fault(
    "F13",
    "many runs in one process, and as many processes",
    "no temporary or connection file, journal, socket, control group, process or zombie is left, "
    "no thread or descriptor; memory grows by less than 5 % after a warm-up",
    (
        Variant(
            "50 runs in one process", 1, _in_one_process(50, "dagbook"),
            _in_one_process(50, "papermill"), sample=0,
        ),
        Variant(
            "50 processes", 1, _in_processes(50, "dagbook"), _in_processes(50, "papermill"),
            sample=0,
        ),
        Variant("3 runs in one process", 1, _in_one_process(3, "dagbook"), means=(Means.BEST,)),
    ),
)  # fmt: skip
