"""The door to the ledger: made once, shared, and clear about why it cannot be used."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from dagbook.ledger.audit import Kind, append, verify
from dagbook.ledger.database import FILE_NAME, Ledger, LedgerError
from dagbook.ledger.tables import METADATA, SCHEMA_VERSION


def write_one(ledger: Ledger) -> int:
    with ledger.write() as connection:
        return append(connection, Kind.LAUNCHED, policy="built-in", who="somebody")


def test_nothing_is_made_by_reading(ledger: Ledger) -> None:
    with ledger.read() as connection:
        assert connection is None
    assert not ledger.exists


def test_ten_processes_make_the_tables_at_once(ledger: Ledger, at_once) -> None:
    numbers = at_once(
        10,
        """
        from dagbook.ledger.audit import Kind, append
        from dagbook.ledger.database import Ledger
        with Ledger(file).write() as connection:
            answer = append(connection, Kind.LAUNCHED, policy="built-in", who=str(number))
        """,
    )
    assert sorted(numbers) == list(range(1, 11))
    with ledger.read() as connection:
        assert connection is not None
        found = verify(connection)
    assert (found.entries, found.problem) == (10, None)


def test_an_entry_is_there_whole_or_not_at_all(ledger: Ledger) -> None:
    write_one(ledger)
    with pytest.raises(ZeroDivisionError), ledger.write() as connection:
        append(connection, Kind.LAUNCHED, policy="built-in", who="somebody")
        raise ZeroDivisionError
    with ledger.read() as connection:
        assert connection is not None
        found = verify(connection)
    assert (found.entries, found.problem) == (1, None)


def test_a_reader_waits_for_nobody(ledger: Ledger) -> None:
    write_one(ledger)
    with ledger.write() as writing, Ledger(ledger.url, wait=0).read() as reading:
        append(writing, Kind.LAUNCHED, policy="built-in", who="somebody")
        assert reading is not None
        assert verify(reading).entries == 1


def test_a_locked_ledger_says_so(ledger: Ledger) -> None:
    write_one(ledger)
    with ledger.write(), pytest.raises(LedgerError) as refused:
        write_one(Ledger(ledger.url, wait=0.1))
    assert str(refused.value) == (
        f"cannot write the ledger {ledger.file}: database is locked: another process has held it "
        "for too long"
    )


def test_a_file_that_is_no_database_says_so(ledger: Ledger) -> None:
    assert ledger.file is not None
    ledger.file.write_bytes(b"this is no database" * 100)
    with pytest.raises(LedgerError) as refused:
        write_one(ledger)
    assert str(refused.value) == f"cannot write the ledger {ledger.file}: file is not a database"


def test_tables_of_a_later_version_are_left_alone(ledger: Ledger) -> None:
    write_one(ledger)
    with sqlite3.connect(str(ledger.file)) as connection:
        connection.execute("UPDATE dagbook_head SET number = 7 WHERE name = 'schema'")
    text = (
        f"the ledger {ledger.file} was written by a later dagbook (its tables are of version 7, "
        f"this dagbook knows {SCHEMA_VERSION}): upgrade dagbook"
    )
    with pytest.raises(LedgerError) as refused:
        write_one(ledger)
    assert str(refused.value) == text
    with pytest.raises(LedgerError) as refused, ledger.read():
        pass
    assert str(refused.value) == text


def test_a_later_change_of_the_tables_needs_another_version() -> None:
    columns = {
        table.name: sorted(c.name for c in table.columns) for table in METADATA.sorted_tables
    }
    assert SCHEMA_VERSION == 1
    assert columns == {
        "dagbook_audit": [
            "asset", "at", "detail", "hash", "kind", "number", "policy", "previous", "run", "who",
        ],
        "dagbook_budget": [
            "asset", "attempt", "cause", "cost", "cpu_seconds", "currency", "gone_by", "id",
            "memory_bytes", "month", "notebook", "peak_memory_bytes", "price", "reserved", "run",
            "seconds", "size", "started", "status", "team", "worker",
        ],
        "dagbook_head": ["hash", "name", "number"],
        "dagbook_policy": ["content", "place", "version"],
    }  # fmt: skip


def test_a_password_of_the_address_is_not_shown() -> None:
    ledger = Ledger("postgresql://dagster:hunter2@127.0.0.1:1/none")
    with pytest.raises(LedgerError) as refused:
        write_one(ledger)
    assert "hunter2" not in str(refused.value)
    assert str(refused.value).startswith(
        "cannot write the ledger postgresql://dagster:***@127.0.0.1:1/none: "
    )


@pytest.mark.needs("other-uid")
@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        (0o444, "attempt to write a readonly database: give this user the right to write the file "
                "and its folder"),
        (0o000, "unable to open database file: look whether its folder is there and may be written"),
    ],
)  # fmt: skip
def test_a_ledger_that_may_not_be_written_says_so(tmp_path: Path, mode: int, reason: str) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    ledger = Ledger(folder / FILE_NAME)
    write_one(ledger)
    assert ledger.file is not None
    ledger.file.chmod(mode)
    for above in [folder, *folder.parents]:
        if above.stat().st_uid == os.getuid() and above != Path("/"):
            above.chmod(above.stat().st_mode | 0o055)
    code = (
        "import os, sys\nfrom pathlib import Path\n"
        "from dagbook.ledger.database import Ledger\n"
        "from dagbook.ledger.audit import Kind, append\n"
        "with Ledger(Path(sys.argv[1])).read(): pass  # what is imported late\n"
        "os.setuid(65534)\n"
        "try:\n"
        "    with Ledger(Path(sys.argv[1])).write() as c:\n"
        "        append(c, Kind.LAUNCHED, policy='built-in', who='nobody')\n"
        "except Exception as error:\n    print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(ledger.file)], capture_output=True, text=True
    )
    assert done.stdout == f"cannot write the ledger {ledger.file}: {reason}\n", done.stderr


@pytest.mark.needs("mount")
def test_a_full_disk_says_so_and_leaves_the_ledger_whole(tmp_path: Path) -> None:
    code = """
import subprocess, sys
from pathlib import Path
from dagbook.ledger.database import Ledger
from dagbook.ledger.audit import Kind, append, verify
disk = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(disk)], check=True)
ledger = Ledger(disk / "dagbook.db")
try:
    for number in range(1000):
        with ledger.write() as c:
            append(c, Kind.LAUNCHED, policy="built-in", who="x", detail={"text": "x" * 20000})
except Exception as error:
    print(error)
with ledger.read() as c:
    found = verify(c)
    print(found.entries == number, found.problem)
"""
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run(
        ["unshare", "--mount", sys.executable, "-c", code, str(disk)],
        capture_output=True,
        text=True,
    )
    assert done.stdout == (
        f"cannot write the ledger {disk}/dagbook.db: database or disk is full: make room on its "
        "disk\nTrue None\n"
    ), done.stderr
