"""The process a run depends on: how others on its machine find out whether it lives."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path


class Life(StrEnum):
    """What can be seen of a process."""

    GONE = "gone"
    STOPPED = "stopped"
    ALIVE = "alive"
    UNKNOWN = "unknown"  # another machine's, or another container's


@dataclass(frozen=True)
class Worker:
    """A process, so that nobody takes another one with its number for it.

    Attributes:
        host: the machine's name, for readers.
        machine: this boot of the machine and the process-number space; equal texts mean that
            process numbers mean the same. Empty where the system does not tell.
        pid: its number.
        started: when it started, in clock ticks since the boot; 0 where it is not known.
    """

    host: str
    machine: str
    pid: int
    started: int

    @property
    def life(self) -> Life:
        """Whether it lives, as far as this process can see."""
        if not self.machine or self.machine != this_machine():
            return Life.UNKNOWN
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return Life.GONE
        except OSError:
            pass  # another user's: it is there
        state, started = _read(self.pid)
        if state in ("Z", "X") or (started and self.started and started != self.started):
            return Life.GONE
        return Life.STOPPED if state in ("T", "t") else Life.ALIVE


def worker_of(pid: int) -> Worker:
    """A live process of this machine."""
    return Worker(socket.gethostname(), this_machine(), pid, _read(pid)[1])


@cache
def this_machine() -> str:
    """What must be equal for process numbers to be comparable.

    Not the host's name: containers that are made again keep theirs, with other processes.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot}/{Path('/proc/self/ns/pid').readlink().name}"
    except OSError:
        return ""


def _read(pid: int) -> tuple[str, int]:
    """A process's state and start. Nothing of both where it may not be looked at."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace")
    except OSError:
        return "", 0
    # The name of the program, in parentheses, may hold anything.
    fields = text.rpartition(")")[2].split()
    return fields[0], int(fields[19])
