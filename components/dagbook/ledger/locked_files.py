"""Has Dagster wait for a SQLite file that somebody else writes in, where it would give up.

Dagster opens its databases through SQLAlchemy and takes what SQLite's Python module does by
default: five seconds after the file was locked the run, the launch or the tick fails, also a run
whose result has already been published. SQLAlchemy's public event is the one place through which
every connection of a process comes, so the wait is set there and not in Dagster.
"""

from __future__ import annotations

import sqlite3
from typing import Any

#: How long one statement waits, in seconds. A signal that ends the process waits as long.
LOCKED_SECONDS = 60.0


def wait_for_locked_files() -> None:
    """Let every SQLite connection that this process opens from now on wait for a minute."""
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    if not event.contains(Engine, "connect", _wait_longer):
        event.listen(Engine, "connect", _wait_longer)


def _wait_longer(connection: Any, _: Any) -> None:
    if not isinstance(connection, sqlite3.Connection):
        return
    # Somebody who waits longer than this has said so on purpose.
    (already,) = connection.execute("PRAGMA busy_timeout").fetchone()
    if already < LOCKED_SECONDS * 1000:
        connection.execute(f"PRAGMA busy_timeout = {LOCKED_SECONDS * 1000:.0f}")
