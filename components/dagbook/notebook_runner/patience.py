"""Wait for a database that is locked, as SQLite is while somebody else writes for long."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

#: How long a locked database is waited for, in seconds. Dagster itself gives up after five.
LOCKED_SECONDS = 120.0
_PAUSE_SECONDS = 0.25

T = TypeVar("T")


def patiently(ask: Callable[[], T]) -> T:
    """Ask Dagster's instance something; while its database is locked, ask again.

    Raises:
        Exception: what `ask` raised, if that was something else or it went on for two minutes.
    """
    deadline = time.monotonic() + LOCKED_SECONDS
    while True:
        try:
            return ask()
        except Exception as error:
            if not is_locked(error) or time.monotonic() > deadline:
                raise
        time.sleep(_PAUSE_SECONDS)


def is_locked(error: BaseException) -> bool:
    """Whether an exception says that SQLite's file is locked."""
    return "database is locked" in str(error) or "database table is locked" in str(error)
