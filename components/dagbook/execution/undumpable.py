"""Keeps other processes of the same user from reading this one's memory and environment.

On Linux who has the same uid may read ``/proc/PID/environ`` and ``/proc/PID/mem``, and may attach
with ptrace. A notebook has its runner's uid, so the runner, whose environment is the deployment's
and which holds what its credentials are fetched with, is closed to all of that while it runs one.
It leaves no core dump then. Its children begin open again when they start another program.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b

PR_GET_DUMPABLE = 3
PR_SET_DUMPABLE = 4

#: The home of the services that started this process: see `dagbook.services.processes`.
SERVICES_VARIABLE = "DAGBOOK_SERVICES"

_lock = threading.Lock()
_holders = 0
_is_ours = False
_before: str | None = None


@contextmanager
def undumpable() -> Iterator[None]:
    """Close this process to others of its user, as long as anybody is in here.

    Where the system has no such thing, nothing happens.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def name_for_services(home: str) -> str:
    """What a process calls itself that carries `home` in an environment nobody else may read."""
    return f"dagbook{blake2b(os.fsencode(home), digest_size=4).hexdigest()}"


def _enter() -> None:
    global _holders, _is_ours, _before
    with _lock:
        _holders += 1
        if _holders > 1 or _prctl(PR_GET_DUMPABLE) != 1:
            return
        # While its name may still be changed: then nobody but root may write there.
        _before = _rename(os.environ.get(SERVICES_VARIABLE))
        _is_ours = _prctl(PR_SET_DUMPABLE, 0) == 0


def _leave() -> None:
    global _holders, _is_ours, _before
    with _lock:
        _holders -= 1
        if _holders == 0 and _is_ours:
            _is_ours = False
            _prctl(PR_SET_DUMPABLE, 1)
            if _before is not None:
                _write_name(_before)
                _before = None


def _prctl(*arguments: int) -> int:
    try:
        answer: int = ctypes.CDLL(None).prctl(*arguments, *[0] * (5 - len(arguments)))
    except (OSError, AttributeError):
        return -1
    return answer


def _rename(home: str | None) -> str | None:
    if not home:
        return None
    try:
        with open(_NAME_FILE, encoding="utf-8", errors="replace") as file:  # noqa: PTH123
            before = file.read().rstrip("\n")
    except OSError:
        return None
    return before if _write_name(name_for_services(home)) else None


def _write_name(name: str) -> bool:
    # Of the process, that is of its first thread, whichever this one is.
    try:
        with open(_NAME_FILE, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(name)
    except OSError:
        return False
    return True


_NAME_FILE = "/proc/self/comm"
