"""Finds the database of a Dagster instance; the only place that looks behind its interface.

Dagster has no public way to say where an instance keeps its runs. `DagsterInstance.run_storage`
and the `connect` of every storage on SQL are what all of its own storages use; a test fails when
either moves. Dagster itself is not imported here: whoever has an instance brings it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

from dagbook.ledger.database import FILE_NAME, Ledger, LedgerError

#: Where Dagster keeps its runs in a home without storage settings, relative to the home.
RUNS_FOLDER = "history"


def ledger_of_instance(instance: Any) -> Ledger:
    """The ledger of a Dagster instance on disk or on a server.

    On SQLite it is a file beside Dagster's own, elsewhere it is in the instance's database.

    Args:
        instance: a `dagster.DagsterInstance`, not one in memory.

    Raises:
        LedgerError: the instance keeps its runs in no database that could be written.
    """
    connect = getattr(instance.run_storage, "connect", None)
    if connect is None:
        kind = type(instance.run_storage).__name__
        raise LedgerError(
            f"this Dagster keeps its runs in no database that dagbook can write ({kind}): give it "
            "SQLite, Postgres or MySQL as its storage"
        )
    try:
        with connect() as connection:
            url: URL = connection.engine.url
    except SQLAlchemyError as error:
        raise LedgerError(f"cannot open Dagster's database: {error}") from None
    if url.get_backend_name() == "sqlite":
        return Ledger(Path(str(url.database)).absolute().parent / FILE_NAME)
    return Ledger(url)


def ledger_of_home(home: Path) -> Ledger:
    """The ledger of a Dagster home whose settings say nothing about storage."""
    return Ledger(home / RUNS_FOLDER / FILE_NAME)
