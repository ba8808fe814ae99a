"""What launches reserve and runs have cost, by month and team; the history that tells the cost.

A launch reserves what the run will probably cost, in the same transaction in which it looks
whether there is that much left. The end puts the real cost in its place.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, and_, case, func, insert, select, update

from dagbook.ledger.tables import LAUNCHES
from dagbook.policy.advice import RUNS_LOOKED_AT, Use
from dagbook.policy.sizes import HOUR

#: The state of a launch that has not been settled.
RUNNING = "running"
#: The state of one whose end nobody saw.
UNKNOWN = "unknown"
SUCCEEDED = "succeeded"
#: What ends a run that needed more than its size has.
NEEDED_MORE = ("memory", "time")

_MILLION = 1_000_000


@dataclass(frozen=True)
class Launch:
    """What a launch tells the ledger. Seconds, bytes, and money in the currency."""

    run: str
    attempt: int
    asset: str
    notebook: str
    team: str | None
    size: str
    memory_bytes: int
    currency: str
    price: float | None
    expected_cost: float | None
    longest_seconds: float
    """How long it can take at most, until nothing of it is left"""
    worker: str = ""
    started: float = 0.0
    """Unix time; 0: now"""


@dataclass(frozen=True)
class Spending:
    """Of one team and month: what runs have cost, and what those under way have reserved."""

    spent: float
    reserved: float

    @property
    def total(self) -> float:
        """Both together."""
        return self.spent + self.reserved


@dataclass(frozen=True)
class End:
    """How a run ended. `status` and `cause` in the words of the runner."""

    status: str
    cause: str = ""
    seconds: float | None = None
    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None


@dataclass(frozen=True)
class Launched:
    """A launch as the ledger knows it. Money in the currency; None: not known, or no price."""

    id: str
    run: str
    attempt: int
    asset: str
    notebook: str
    team: str | None
    month: str
    size: str
    currency: str
    price: float | None
    reserved: float
    cost: float | None
    started: float
    gone_by: float
    worker: str
    seconds: float | None
    status: str
    cause: str
    peak_memory_bytes: int | None

    @property
    def name(self) -> str:
        """What ran: the asset's key, else the notebook."""
        return self.asset or self.notebook


def month_of(moment: float) -> str:
    """The calendar month (UTC) of a Unix time: ``2026-11``."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m")


def spending(connection: Connection, team: str | None, month: str, currency: str) -> Spending:
    """What a team's month has come to, launches of this moment included."""
    is_settled = LAUNCHES.c.cost.is_not(None)
    row = connection.execute(
        select(
            func.sum(case((is_settled, LAUNCHES.c.cost), else_=0)),
            func.sum(case((is_settled, 0), else_=LAUNCHES.c.reserved)),
        ).where(
            LAUNCHES.c.month == month,
            LAUNCHES.c.team == (team or ""),
            LAUNCHES.c.currency == currency,
        )
    ).one()
    return Spending(_money(row[0]) or 0.0, _money(row[1]) or 0.0)


def reserve(connection: Connection, launch: Launch) -> str:
    """Write a launch down with what it reserves; returns the name to settle it by."""
    name = str(uuid.uuid4())
    started = launch.started or time.time()
    connection.execute(
        insert(LAUNCHES).values(
            id=name,
            run=launch.run[:64],
            attempt=launch.attempt,
            asset=launch.asset[:512],
            notebook=launch.notebook[:1024],
            team=(launch.team or "")[:128],
            month=month_of(started),
            size=launch.size[:128],
            memory_bytes=launch.memory_bytes,
            currency=launch.currency[:16],
            price=_millionths(launch.price),
            reserved=_millionths(launch.expected_cost) or 0,
            started=started,
            gone_by=started + launch.longest_seconds,
            worker=launch.worker[:256],
            status=RUNNING,
            cause="",
        )
    )
    return name


def settle(
    connection: Connection, name: str, end: End, *, at_most: float | None = None, force: bool = True
) -> Launched | None:
    """Put what a launch really cost in the place of what it had reserved.

    Args:
        connection: of `Ledger.write`.
        name: what `reserve` returned.
        end: how it ended; its time decides the cost.
        at_most: what it is to cost at most, where nobody measured how long it ran.
        force: also when it has been settled: the worker's own word counts, not that of others.

    Returns:
        The launch as it is now; None when it is unknown, or was settled and that is to stay.
    """
    row = connection.execute(select(LAUNCHES).where(LAUNCHES.c.id == name)).one_or_none()
    if row is None or (row.cost is not None and not force):
        return None
    seconds = end.seconds if end.seconds is not None else max(0.0, time.time() - row.started)
    cost = 0 if row.price is None else round(row.price * seconds / HOUR)
    if at_most is not None:
        cost = min(cost, _millionths(at_most) or 0)
    connection.execute(
        update(LAUNCHES)
        .where(LAUNCHES.c.id == name)
        .values(
            cost=cost,
            seconds=seconds,
            status=end.status[:16],
            cause=end.cause[:16],
            peak_memory_bytes=end.peak_memory_bytes,
            cpu_seconds=end.cpu_seconds,
        )
    )
    return _launched(connection.execute(select(LAUNCHES).where(LAUNCHES.c.id == name)).one())


def unsettled(connection: Connection, run: str | None = None) -> list[Launched]:
    """The launches that no end is known of, of one run or of all."""
    wanted = select(LAUNCHES).where(LAUNCHES.c.cost.is_(None))
    if run is not None:
        wanted = wanted.where(LAUNCHES.c.run == run)
    return [_launched(row) for row in connection.execute(wanted)]


def launches(connection: Connection, month: str, team: str | None = None) -> Iterator[Launched]:
    """All launches of a month, the first one first; of one team only where it is named."""
    wanted = select(LAUNCHES).where(LAUNCHES.c.month == month)
    if team is not None:
        wanted = wanted.where(LAUNCHES.c.team == team)
    for row in connection.execute(wanted.order_by(LAUNCHES.c.started)):
        yield _launched(row)


def uses(connection: Connection, asset: str, notebook: str, size: str) -> list[Use]:
    """What an asset's last runs on a size have used, the last first.

    What never was an asset is known by its notebook.
    """
    found = connection.execute(
        select(LAUNCHES)
        .where(_is_of(asset, notebook), LAUNCHES.c.size == size, LAUNCHES.c.seconds.is_not(None))
        .order_by(LAUNCHES.c.started.desc())
        .limit(2 * RUNS_LOOKED_AT)
    )
    return [use_of(row) for row in found]


def use_of(row: Row[Any]) -> Use:
    """What one settled launch has used."""
    return Use(
        size=row.size,
        succeeded=row.status == SUCCEEDED,
        seconds=row.seconds,
        peak_memory_bytes=row.peak_memory_bytes or 0,
        cpu_seconds=row.cpu_seconds or 0.0,
        needed_more=row.cause in NEEDED_MORE,
    )


def _is_of(asset: str, notebook: str) -> ColumnElement[bool]:
    if asset:
        return LAUNCHES.c.asset == asset
    return and_(LAUNCHES.c.asset == "", LAUNCHES.c.notebook == notebook)


def _launched(row: Row[Any]) -> Launched:
    fields = row._mapping
    kept = {name: fields[name] for name in Launched.__dataclass_fields__}
    money = {name: _money(fields[name]) for name in ("price", "cost")}
    return Launched(
        **{**kept, **money, "team": row.team or None, "reserved": _money(row.reserved) or 0.0}
    )


def _millionths(amount: float | None) -> int | None:
    return None if amount is None else round(amount * _MILLION)


def _money(millionths: Any) -> float | None:
    # Sums of integers come as Decimal from some databases.
    return None if millionths is None else int(millionths) / _MILLION
