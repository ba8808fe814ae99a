"""Settles launches whose end their worker did not tell: it vanished, or could not write."""

from __future__ import annotations

import time

from sqlalchemy import Connection

from dagbook.ledger.audit import Kind, append
from dagbook.ledger.budgets import UNKNOWN, End, Launched, settle, unsettled
from dagbook.ledger.database import Ledger
from dagbook.policy.cost import in_money
from dagbook.worker import Life, Worker

#: Who the audit says it was.
FOUND = "found afterwards"


def settle_lost(ledger: Ledger) -> list[str]:
    """Settle what must have ended by now; returns a line for each.

    Whoever was launched from a terminal and whose process is gone, is settled with the time until
    now; whoever has had more than all of its time, with what was reserved. Neither costs more than
    was reserved: nobody knows when it ended.
    """
    with ledger.read() as reading:
        known = [] if reading is None else unsettled(reading)
    now = time.time()
    lost = [
        launch
        for launch in known
        if launch.gone_by < now or (launch.worker and _is_gone(launch.worker))
    ]
    if not lost:
        return []
    with ledger.write() as connection:
        found = [
            settle_found(connection, launch, End(UNKNOWN, "runner"), at_most=launch.reserved)
            for launch in lost
        ]
    return [line for line in found if line is not None]


def settle_found(
    connection: Connection, launch: Launched, end: End, *, at_most: float | None = None
) -> str | None:
    """Settle one launch for its worker, unless somebody has; returns the line that says so.

    Args:
        connection: of `Ledger.write`.
        launch: as it was read.
        end: how it ended.
        at_most: what it is to cost at most.
    """
    settled = settle(connection, launch.id, end, at_most=at_most, force=False)
    if settled is None:
        return None
    cost = None if settled.price is None else in_money(settled.cost or 0.0, settled.currency)
    detail: dict[str, object] = {
        "status": end.status,
        "cause": end.cause,
        "attempt": launch.attempt,
        "seconds": round(settled.seconds or 0.0, 3),
        "size": launch.size,
    }
    if cost is not None:
        detail["cost"] = cost
    append(
        connection,
        Kind.ENDED,
        policy="",
        who=FOUND,
        asset=launch.name,
        run=launch.run,
        detail=detail,
    )
    said = f", {cost}" if cost is not None else ""
    return f"{launch.run[:8]}: {launch.name} is settled as {end.status}{said}"


def as_text(worker: Worker) -> str:
    """A process as the ledger keeps it."""
    return f"{worker.pid} {worker.started} {worker.machine} {worker.host}"


def _is_gone(worker: str) -> bool:
    """Whether the process of a launch from a terminal is known to be gone."""
    found = _as_worker(worker)
    return found is not None and found.life is Life.GONE


def _as_worker(text: str) -> Worker | None:
    """A process as the ledger kept it; None where it cannot be understood."""
    try:
        pid, started, machine, host = text.split(" ", 3)
        return Worker(host, machine, int(pid), int(started))
    except ValueError:
        return None
