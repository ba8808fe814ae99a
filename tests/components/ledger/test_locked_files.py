"""Files of Dagster's that somebody else has locked."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

HOLD = """
import sqlite3, sys, time
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
time.sleep(7)
connection.execute("ROLLBACK")
"""
# Dagster's own storage, in a process of its own: the wait holds for all of a process.
USE = """
import sys, dagster as dg
from dagbook.ledger.locked_files import wait_for_locked_files
if sys.argv[2] == "waits":
    wait_for_locked_files()
    wait_for_locked_files()
with dg.DagsterInstance.local_temp(sys.argv[1]) as instance:
    instance.get_runs_count()
    print("open", flush=True)
    sys.stdin.readline()
    instance.add_run_tags(sys.argv[3], {"a": "b"})
    print(instance.get_run_by_id(sys.argv[3]).tags["a"])
"""


def use(home: Path, run_id: str, *, waits: bool) -> tuple[int, str, str]:
    """Write a tag while the file is locked for longer than Dagster waits by itself."""
    word = "waits" if waits else "gives up"
    with subprocess.Popen(
        [sys.executable, "-c", USE, str(home), word, run_id],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as user:  # fmt: skip
        assert user.stdout is not None
        assert user.stdout.readline() == "open\n"
        command = [sys.executable, "-c", HOLD, str(home / "history" / "runs.db")]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "locked\n"
            out, problem = user.communicate("go\n", timeout=120)
    return user.returncode, out, problem


def test_dagster_waits_for_a_locked_file_where_it_would_give_up(tmp_path: Path) -> None:
    import dagster as dg

    @dg.op
    def nothing() -> None: ...

    @dg.job
    def empty() -> None:
        nothing()

    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        run_id = instance.create_run_for_job(empty).run_id
    # What it does by itself: should this change one day, ours may go.
    status, _, problem = use(tmp_path, run_id, waits=False)
    assert status != 0
    assert "database is locked" in problem
    assert use(tmp_path, run_id, waits=True)[:2] == (0, "b\n")


def test_a_longer_wait_is_left_as_it_is() -> None:
    from dagbook.ledger.locked_files import _wait_longer

    connection = sqlite3.connect(":memory:", timeout=300)
    _wait_longer(connection, None)
    assert connection.execute("PRAGMA busy_timeout").fetchone() == (300_000,)
