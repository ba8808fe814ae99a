"""The chain shows what was changed, taken out or cut off, and says which entry."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dagbook.ledger.audit import Kind, append, read_entries, verify
from dagbook.ledger.database import NO_HASH, Ledger

FIRST = datetime(2026, 11, 1, 8, tzinfo=UTC)


@pytest.fixture
def chain(ledger: Ledger) -> Ledger:
    """Five entries, a day apart."""
    with ledger.write() as connection:
        for number in range(5):
            append(
                connection,
                Kind.LAUNCHED,
                policy="0123456789ab",
                who="someone@example.com",
                asset="models/churn" if number % 2 else "models/sales",
                run=f"run-{number}",
                detail={"size": "small", "note": "ü\u0000\ud800"},
                at=FIRST + timedelta(days=number),
            )
    return ledger


def tamper(ledger: Ledger, statement: str) -> None:
    with sqlite3.connect(str(ledger.file)) as connection:
        connection.execute(statement)


def looked_through(ledger: Ledger, known: tuple[int, str] | None = None) -> tuple[int, str | None]:
    with ledger.read() as connection:
        assert connection is not None
        found = verify(connection, known=known)
        return found.entries, found.problem


def test_what_was_written_is_read_again(chain: Ledger) -> None:
    with chain.read() as connection:
        assert connection is not None
        entries = list(read_entries(connection))
    assert [entry.number for entry in entries] == [1, 2, 3, 4, 5]
    assert entries[0].previous == NO_HASH
    assert entries[1].previous == entries[0].hash
    assert entries[1].at == "2026-11-02T08:00:00.000+00:00"
    assert entries[1].detail == {"size": "small", "note": "ü\u0000\ud800"}
    assert looked_through(chain) == (5, None)


def test_entries_are_chosen_by_day_and_by_asset(chain: Ledger) -> None:
    with chain.read() as connection:
        assert connection is not None
        late = read_entries(connection, since=FIRST + timedelta(days=2))
        assert [entry.number for entry in late] == [3, 4, 5]
        of_one = read_entries(connection, asset="models/churn")
        assert [entry.number for entry in of_one] == [2, 4]


def test_entries_are_chosen_by_the_connection_they_are_about(ledger: Ledger) -> None:
    details: list[dict[str, Any]] = [
        {"connections": ["mlflow_prod", "warehouse"]},
        {"connections": ["warehouse_2"]},
        {"note": "warehouse"},
        {"rules": ["connections.warehouse.revoked"], "texts": ["…"]},
        {"rules": ["connections.warehouse_2.teams"], "texts": ["'warehouse' would do"]},
        {"keys": {"connections.warehouse.teams": [None, "[]"]}},
        {"keys": ["connections.warehouse_2.teams"]},
        {},
    ]
    with ledger.write() as connection:
        for detail in details:
            append(connection, Kind.LAUNCHED, policy="p", who="w", detail=detail)
    tamper(ledger, "UPDATE dagbook_audit SET detail = '{\"connections\": \"warehouse\"}' "
                   "WHERE number = 8")  # fmt: skip
    with ledger.read() as connection:
        assert connection is not None
        found = list(read_entries(connection, about="warehouse"))
        assert [entry.number for entry in found] == [1, 4, 6]
        assert [entry.number for entry in read_entries(connection, about="ware_ouse")] == []


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            "UPDATE dagbook_audit SET who = 'another' WHERE number = 2",
            (1, "entry 2 (2026-11-02T08:00:00.000+00:00, launched models/churn) is not as it was "
                "written"),
        ),
        (
            "UPDATE dagbook_audit SET detail = '{}' WHERE number = 5",
            (4, "entry 5 (2026-11-05T08:00:00.000+00:00, launched models/sales) is not as it was "
                "written"),
        ),
        (
            "UPDATE dagbook_audit SET hash = 'f' || substr(hash, 2) WHERE number = 1",
            (0, "entry 1 (2026-11-01T08:00:00.000+00:00, launched models/sales) is not as it was "
                "written"),
        ),
        (
            "DELETE FROM dagbook_audit WHERE number = 3",
            (2, "entry 3 is missing: after entry 2 comes 4"),
        ),
        (
            "DELETE FROM dagbook_audit WHERE number > 3",
            (3, "entry 4 is missing: 5 were written, 3 are there"),
        ),
        (
            "INSERT INTO dagbook_audit SELECT 6, at, kind, policy, who, asset, run, detail, "
            "previous, hash FROM dagbook_audit WHERE number = 5",
            (5, "entry 6 (2026-11-05T08:00:00.000+00:00, launched models/sales) does not follow "
                "entry 5: one of them was replaced"),
        ),
    ],
    ids=["changed", "last changed", "hash changed", "taken out", "cut off", "added"],
)  # fmt: skip
def test_the_first_entry_that_is_not_as_it_was_written_is_named(
    chain: Ledger, statement: str, found: tuple[int, str]
) -> None:
    tamper(chain, statement)
    assert looked_through(chain) == found


def test_a_chain_written_anew_is_whole_and_only_a_hash_kept_elsewhere_tells(chain: Ledger) -> None:
    with chain.read() as connection:
        assert connection is not None
        kept = verify(connection).hash
    tamper(chain, "DELETE FROM dagbook_audit")
    tamper(chain, f"UPDATE dagbook_head SET number = 0, hash = '{NO_HASH}' WHERE name = 'audit'")
    with chain.write() as connection:
        for _ in range(5):
            append(connection, Kind.LAUNCHED, policy="built-in", who="another")
    assert looked_through(chain) == (5, None)
    assert looked_through(chain, (5, kept)) == (
        5, "entry 5 has another hash than the one you kept"
    )  # fmt: skip
    assert looked_through(chain, (9, kept)) == (5, "entry 9 is missing")


def test_names_that_no_database_takes_are_written_as_far_as_they_can_be(ledger: Ledger) -> None:
    with ledger.write() as connection:
        append(connection, Kind.REFUSED, policy="x", who="a\ud800\0b", asset="y" * 600)
    with ledger.read() as connection:
        assert connection is not None
        entry = next(read_entries(connection))
    assert entry.who == "a??b"
    assert entry.asset == "y" * 511 + "…"
    assert looked_through(ledger) == (1, None)
