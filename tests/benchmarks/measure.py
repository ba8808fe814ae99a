"""Run one command and measure it: ``python measure.py [--memory] LOG -- COMMAND…`` prints JSON.

Time and bytes come from the kernel's own accounts of the whole process tree, read once at the
end, so that measuring disturbs nothing. Memory has to be sampled, which does: `--memory` is for
a run of its own.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

PR_SET_CHILD_SUBREAPER = 36
SAMPLE_SECONDS = 0.05
BLOCK = 512  # bytes, the unit of ru_oublock


def measure(command: list[str], log: Path, *, memory: bool) -> dict[str, float]:
    """Run `command` to its end, its output into `log`.

    Returns:
        `exit`; `wall` seconds until the command itself ended; `own` CPU seconds, user and system,
        of the command's own process; `cpu` seconds of it and all its descendants; `written` bytes handed to the disk by them; with `memory`
        also `runner`, the peak resident bytes of the command's own process, and `tree`, the
        peak of the proportional share of the whole tree.
    """
    # Orphans of the command become our children, so that their accounts come to us too.
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    peaks = {"runner": 0, "tree": 0}
    with log.open("wb") as output:
        started = time.perf_counter()
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
        if memory:
            while process.poll() is None:
                sample(process.pid, peaks)
                time.sleep(SAMPLE_SECONDS)
        else:
            os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        own = 0.0 if memory else own_seconds(process.pid)
        code = process.wait()
        wall = time.perf_counter() - started
    reap_orphans()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    measured: dict[str, float] = {
        "exit": code,
        "wall": wall,
        "own": own,
        "cpu": used.ru_utime + used.ru_stime,
        "written": used.ru_oublock * BLOCK,
    }
    return measured | peaks if memory else measured


def own_seconds(pid: int) -> float:
    """CPU seconds of a process that has ended and was not waited for yet, without its children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def reap_orphans(patience: float = 10) -> None:
    """Wait for descendants that outlived the command, at most `patience` seconds."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            time.sleep(0.01)


def sample(pid: int, peaks: dict[str, int]) -> None:
    """Raise the peaks to what the process and its tree hold now."""
    peaks["runner"] = max(peaks["runner"], proc_bytes(pid, "status", "VmHWM:"))
    tree = sum(proc_bytes(each, "smaps_rollup", "Pss:") for each in [pid, *descendants(pid)])
    peaks["tree"] = max(peaks["tree"], tree)


def descendants(pid: int) -> list[int]:
    """The process ids below `pid`, as far as they can be read."""
    found: list[int] = []
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                found += [int(child), *descendants(int(child))]
    except OSError:
        pass  # it ended meanwhile
    return found


def proc_bytes(pid: int, file: str, key: str) -> int:
    """One `KEY: N kB` line of a file in /proc, in bytes; 0 when the process is gone."""
    try:
        for line in Path(f"/proc/{pid}/{file}").read_text().splitlines():
            if line.startswith(key):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def main(arguments: list[str]) -> int:
    """Measure what stands after `--` and print the result as one line of JSON."""
    split = arguments.index("--")
    options, command = arguments[:split], arguments[split + 1 :]
    log = next(option for option in options if not option.startswith("-"))
    print(json.dumps(measure(command, Path(log), memory="--memory" in options)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
