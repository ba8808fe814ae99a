"""The one door to the ledger: a database that several processes and machines write at once.

On SQLite it is a file of its own beside Dagster's: Dagster waits five seconds for a locked file,
and gives up then. On a server it is the instance's own database.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, insert, inspect, select
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.pool import NullPool

from dagbook.errors import DagbookError
from dagbook.ledger.tables import AUDIT, HEADS, METADATA, SCHEMA, SCHEMA_VERSION
from dagbook.private_mode import make_private_folder

#: The file, where the instance is on SQLite.
FILE_NAME = "dagbook.db"
#: How long a locked file is waited for, in seconds.
LOCKED_SECONDS = 60.0
#: What stands before the first entry of the chain.
NO_HASH = "0" * 64

_TRIES = 8
_PAUSE_SECONDS = 0.25
_WRITES = "dagbook_writes"

T = TypeVar("T")


class LedgerError(DagbookError):
    """The ledger cannot be read or written; the text says which, why, and what to do."""


class Ledger:
    """The audit and the budgets of one instance.

    Args:
        place: the SQLite file, or the address of the database.
        wait: how long a locked SQLite file is waited for, in seconds.
    """

    def __init__(self, place: Path | URL | str, *, wait: float = LOCKED_SECONDS) -> None:
        if isinstance(place, Path):
            place = URL.create("sqlite", database=str(place))
        self.url = make_url(place)
        self._wait = wait

    @property
    def file(self) -> Path | None:
        """The SQLite file; None where the ledger is on a server."""
        is_file = self.url.get_backend_name() == "sqlite" and self.url.database
        return Path(str(self.url.database)) if is_file else None

    @property
    def exists(self) -> bool:
        """Whether there is a file to read; of a server nothing is known before it is asked."""
        return self.file is None or self.file.exists()

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that no other writer is in; the tables are made if they are not there.

        Raises:
            LedgerError: it cannot be written.
        """
        with self._connected("write") as connection:
            self._begin(connection)
            yield connection
            connection.commit()

    @contextmanager
    def read(self) -> Iterator[Connection | None]:
        """A transaction to read in; None while nothing was ever written.

        Raises:
            LedgerError: it cannot be read.
        """
        if not self.exists:
            yield None
            return
        with self._connected("read") as connection:
            there = inspect(connection).has_table(HEADS.name)
            version = _version(connection) if there else None
            self._refuse_newer(version)
            yield connection if version is not None else None

    def _begin(self, connection: Connection) -> None:
        """Lock out other writers, and make sure that the tables are there."""
        if self.file is not None:
            # `BEGIN IMMEDIATE`: from here on this transaction is the only one that writes.
            connection.begin()
            if not inspect(connection).has_table(HEADS.name) or _version(connection) is None:
                _make(connection)
        else:
            if not inspect(connection).has_table(HEADS.name) or _version(connection) is None:
                connection.rollback()
                _again(lambda: _make_on_server(connection), _is_race)
            connection.execute(
                select(HEADS.c.number).where(HEADS.c.name == AUDIT).with_for_update()
            )
        self._refuse_newer(_version(connection))

    def _refuse_newer(self, version: int | None) -> None:
        if version is not None and version > SCHEMA_VERSION:
            raise LedgerError(
                f"the ledger {self} was written by a later dagbook (its tables are of version "
                f"{version}, this dagbook knows {SCHEMA_VERSION}): upgrade dagbook"
            )

    @contextmanager
    def _connected(self, what: str) -> Iterator[Connection]:
        engine = self._engine(what)
        try:
            with engine.connect() as connection:
                connection = connection.execution_options(**{_WRITES: what == "write"})
                if self.file is None:
                    # A writer sees what the one before it wrote, a reader one moment of it all.
                    level = "READ COMMITTED" if what == "write" else "REPEATABLE READ"
                    connection = connection.execution_options(isolation_level=level)
                yield connection
        except SQLAlchemyError as error:
            raise LedgerError(f"cannot {what} the ledger {self}: {_reason(error)}") from None
        finally:
            engine.dispose()

    def _engine(self, what: str) -> Engine:
        file = self.file
        try:
            if file is None:
                # Nothing else than what Dagster itself does with this address.
                return create_engine(self.url, poolclass=NullPool)
            make_private_folder(file.parent)
            settings = {"timeout": self._wait}
            engine = create_engine(self.url, poolclass=NullPool, connect_args=settings)
        except ImportError as error:
            raise LedgerError(
                f"cannot {what} the ledger {self}: its driver {error.name} is not installed"
            ) from None
        except OSError as error:
            raise LedgerError(f"cannot {what} the ledger {self}: {error.strerror}") from None
        event.listen(engine, "connect", self._set_up)
        event.listen(engine, "begin", _begin_on_sqlite)
        return engine

    def _set_up(self, connection: Any, _record: Any) -> None:
        # We begin transactions ourselves: the driver would begin them too late.
        connection.isolation_level = None
        mode = connection.execute("PRAGMA journal_mode").fetchone()[0]
        if mode != "wal":
            # Readers then do not wait for writers. SQLite does not wait for its turn here.
            _again(
                lambda: connection.execute("PRAGMA journal_mode=WAL").fetchone(),
                lambda error: "locked" in str(error),
                tries=max(1, int(self._wait / _PAUSE_SECONDS)),
            )

    def __str__(self) -> str:
        return str(self.file) if self.file else self.url.render_as_string(hide_password=True)


def _begin_on_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get(_WRITES)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _make(connection: Connection) -> None:
    METADATA.create_all(connection)
    there = set(connection.scalars(select(HEADS.c.name)))
    for name, number in ((AUDIT, 0), (SCHEMA, SCHEMA_VERSION)):
        if name not in there:
            connection.execute(insert(HEADS).values(name=name, number=number, hash=NO_HASH))


def _make_on_server(connection: Connection) -> None:
    try:
        _make(connection)
        connection.commit()
    except BaseException:
        connection.rollback()
        raise


def _version(connection: Connection) -> int | None:
    number = connection.scalar(select(HEADS.c.number).where(HEADS.c.name == SCHEMA))
    return None if number is None else int(number)


def _again(
    do: Callable[[], T], may_be_tried: Callable[[Exception], bool], *, tries: int = _TRIES
) -> T:
    for _ in range(tries - 1):
        try:
            return do()
        except Exception as error:
            if not may_be_tried(error):
                raise
        time.sleep(_PAUSE_SECONDS)
    return do()


def _is_race(error: Exception) -> bool:
    # Two that make the tables at once: one is told that they are there already.
    return isinstance(error, DBAPIError)


def _reason(error: SQLAlchemyError) -> str:
    """What the database said, in one line and without the statement."""
    said = str(error.orig) if isinstance(error, DBAPIError) and error.orig else str(error)
    line = " ".join(said.split())
    remedies = {
        "database is locked": "another process has held it for too long",
        "readonly database": "give this user the right to write the file and its folder",
        "database or disk is full": "make room on its disk",
        "unable to open database file": "look whether its folder is there and may be written",
    }
    remedy = next((text for what, text in remedies.items() if what in line), None)
    return f"{line}: {remedy}" if remedy else line
