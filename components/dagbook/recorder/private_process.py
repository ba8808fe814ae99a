"""Keeps a process that knows a login from being looked into by others of the same user."""

from __future__ import annotations

import ctypes
import signal
import sys

_PR_SET_DUMPABLE = 4


def hide() -> None:
    """Let nobody read this process's memory or environment from outside, nor make a core of it."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def leave_signals_to_the_worker() -> None:
    """A Ctrl-C at the terminal is for the worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
