"""The audit: who did what, when, under which policy, in a chain that shows a changed entry.

Each entry holds the SHA-256 of the one before it and of itself. A chain shows that an entry was
changed, taken out of the middle or cut off at the end. It cannot show that somebody who may write
the database wrote all of it anew: for that the last hash has to be kept elsewhere too.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from dagbook.ledger.database import NO_HASH
from dagbook.ledger.tables import AUDIT, ENTRIES, HEADS

_BATCH = 1000


class Kind(StrEnum):
    """What an entry tells of."""

    LAUNCHED = "launched"
    REFUSED = "refused"
    ENDED = "ended"
    PLATFORM_CHANGED = "platform changed"
    APPROVAL_USED = "approval used"


@dataclass(frozen=True)
class Entry:
    """One entry. `at` is in UTC, as ISO-8601; `detail` differs by kind."""

    number: int
    at: str
    kind: str
    policy: str
    who: str
    asset: str
    run: str
    detail: Mapping[str, Any]
    previous: str
    hash: str

    def to_json(self) -> dict[str, Any]:
        """The entry as plain JSON values."""
        return asdict(self)


@dataclass(frozen=True)
class Verified:
    """What looking through the whole chain came to."""

    entries: int
    hash: str
    problem: str | None = None
    """The first entry that is not as it was written, and what is wrong with it"""


def append(
    connection: Connection,
    kind: Kind,
    *,
    policy: str,
    who: str,
    asset: str = "",
    run: str = "",
    detail: Mapping[str, Any] | None = None,
    at: datetime | None = None,
) -> int:
    """Write an entry at the end of the chain; returns its number.

    Args:
        connection: a transaction of `Ledger.write`, in which nobody else appends.
        kind: what the entry tells of.
        policy: the version of the policy in force.
        who: the person or the schedule, as far as that is known.
        asset: the asset's key.
        run: the run's id.
        detail: more, as JSON values; no secrets.
        at: when; now by default.
    """
    count, last = connection.execute(
        select(HEADS.c.number, HEADS.c.hash).where(HEADS.c.name == AUDIT)
    ).one()
    row: dict[str, Any] = {
        "number": int(count) + 1,
        "at": (at or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="milliseconds"),
        "kind": str(kind),
        "policy": _fitting(policy, 64),
        "who": _fitting(who, 256),
        "asset": _fitting(asset, 512),
        "run": _fitting(run, 64),
        "detail": _canonical(detail or {}),
        "previous": last,
    }
    row["hash"] = _hash(row)
    connection.execute(insert(ENTRIES).values(**row))
    connection.execute(
        update(HEADS).where(HEADS.c.name == AUDIT).values(number=row["number"], hash=row["hash"])
    )
    return int(row["number"])


def read_entries(
    connection: Connection,
    *,
    since: datetime | None = None,
    asset: str | None = None,
    about: str | None = None,
) -> Iterator[Entry]:
    """The entries in the order they were written.

    Args:
        connection: of `Ledger.read`.
        since: only what was written then or later.
        asset: only what is about this asset.
        about: only what is about this connection of the platform file: launches that had it,
            refusals by what is said of it, and changes of that.
    """
    wanted = select(ENTRIES).order_by(ENTRIES.c.number)
    if since is not None:
        wanted = wanted.where(ENTRIES.c.at >= since.astimezone(UTC).isoformat()[:19])
    if asset is not None:
        wanted = wanted.where(ENTRIES.c.asset == asset)
    if about is not None:
        # Fewer to look into; as text it may also stand where something else is meant.
        wanted = wanted.where(ENTRIES.c.detail.contains(about, autoescape=True))
    for row in connection.execute(wanted.execution_options(yield_per=_BATCH)):
        detail = _detail(row)
        if about is None or _is_about(detail, about):
            yield Entry(**{**row._mapping, "detail": detail})


def _is_about(detail: Mapping[str, Any], name: str) -> bool:
    named, rules, keys = (detail.get(part) or () for part in ("connections", "rules", "keys"))
    said = [str(key) for part in (rules, keys) if isinstance(part, list | dict) for key in part]
    is_named = isinstance(named, list) and name in named
    return is_named or any(key.startswith(f"connections.{name}.") for key in said)


def verify(connection: Connection, *, known: tuple[int, str] | None = None) -> Verified:
    """Look through the chain; the first entry that is not as it was written is named.

    Args:
        connection: of `Ledger.read`.
        known: the number and the hash of an entry, kept elsewhere, that has to be in the chain.
    """
    count, last = 0, NO_HASH
    found = None
    rows = select(ENTRIES).order_by(ENTRIES.c.number).execution_options(yield_per=_BATCH)
    for row in connection.execute(rows):
        problem = _problem(row, count, last)
        if problem is not None:
            return Verified(count, last, problem)
        count, last = int(row.number), row.hash
        if known is not None and count == known[0]:
            found = last
    number, end = connection.execute(
        select(HEADS.c.number, HEADS.c.hash).where(HEADS.c.name == AUDIT)
    ).one()
    if number != count:
        gone = f"entry {count + 1} is missing: {number} were written, {count} are there"
        more = f"entry {number + 1} was not written by dagbook: it wrote {number}"
        return Verified(count, last, gone if number > count else more)
    if end != last:
        return Verified(count, last, f"entry {count} is not the one that was written last")
    if known is not None and found != known[1]:
        what = "is missing" if found is None else "has another hash than the one you kept"
        return Verified(count, last, f"entry {known[0]} {what}")
    return Verified(count, last)


def _problem(row: Row[Any], count: int, last: str) -> str | None:
    if row.number != count + 1:
        return f"entry {count + 1} is missing: after entry {count} comes {row.number}"
    name = f"entry {row.number} ({row.at}, {row.kind}" + (f" {row.asset})" if row.asset else ")")
    if row.previous != last:
        return f"{name} does not follow entry {count}: one of them was replaced"
    fields = {name: value for name, value in row._mapping.items() if name != "hash"}
    if row.hash != _hash(fields):
        return f"{name} is not as it was written"
    return None


def _hash(row: Mapping[str, Any]) -> str:
    fields = {name: value for name, value in row.items() if name != "previous"}
    text = f"{row['previous']}{_canonical(fields)}"
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=str)


def _detail(row: Row[Any]) -> dict[str, Any]:
    try:
        detail: Any = json.loads(row.detail)
    except ValueError:
        # Somebody changed it; `verify` names the entry.
        return {"unreadable": row.detail}
    return detail if isinstance(detail, dict) else {"unreadable": row.detail}


def _fitting(text: str, most: int) -> str:
    # Names of files may hold what no database takes.
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "?")
    return text if len(text) <= most else text[: most - 1] + "…"
