"""A run's folder has one owner, and is left to others only when that is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from dagbook.execution.run_folder import LOCK_NAME, SWEEP_SECONDS, RunFolder, sweep


def names(folder) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_folder_is_taken_once(tmp_path):
    path = tmp_path / ".a.running"
    first = RunFolder.take(path)
    with pytest.raises(FileExistsError):
        RunFolder.take(path)
    first.remove()
    assert names(tmp_path) == []
    RunFolder.take(path).remove()


def test_a_folder_left_behind_is_adopted_by_one(tmp_path):
    path = tmp_path / ".a.running"
    RunFolder.take(path).release()
    with pytest.raises(FileExistsError):
        RunFolder.take(path)
    adopted = RunFolder.adopt(path)
    assert adopted is not None
    assert RunFolder.adopt(path) is None
    adopted.remove()
    assert RunFolder.adopt(path) is None


def test_a_folder_without_its_lock_is_nobodys(tmp_path):
    """A machine that stopped may have kept the journal and lost the lock's file."""
    path = tmp_path / ".a.running"
    RunFolder.take(path).release()
    (path / LOCK_NAME).unlink()
    assert RunFolder.adopt(path) is not None


def test_what_somebody_removed_does_not_cost_the_next_owner_its_folder(tmp_path):
    path = tmp_path / ".a.running"
    first = RunFolder.take(path)
    path.rename(tmp_path / "moved")
    second = RunFolder.take(path)
    first.remove()
    assert second.is_in_place


def test_a_process_forked_off_does_not_keep_a_dead_runs_folder(tmp_path):
    path = tmp_path / ".a.running"
    runner = os.fork()
    if runner == 0:
        folder = RunFolder.take(path)
        assert folder.is_in_place
        child = os.fork()
        if child:
            (tmp_path / "child").write_text(str(child), "utf-8")
        time.sleep(60)
        os._exit(0)
    while not (tmp_path / "child").exists() or not (tmp_path / "child").read_text("utf-8"):
        time.sleep(0.01)
    os.kill(runner, signal.SIGKILL)
    os.waitpid(runner, 0)
    try:
        assert RunFolder.adopt(path) is not None
    finally:
        os.kill(int((tmp_path / "child").read_text("utf-8")), signal.SIGKILL)


def test_only_what_is_old_and_nobodys_is_swept_away(tmp_path):
    old = time.time() - SWEEP_SECONDS - 10
    ahead = time.time() + 86_400  # before the clock was set back
    for name, moment in (("old", old), ("new", time.time()), ("ahead", ahead)):
        file, folder = tmp_path / f".dagbook-{name}.tmp", tmp_path / f".dagbook-{name}-d.tmp"
        file.write_text("half", "utf-8")
        folder.mkdir()
        (folder / LOCK_NAME).touch()
        for path in (file, folder):
            os.utime(path, (moment, moment))
    (tmp_path / "theirs.tmp").touch()
    writing = "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print(1, flush=True); input()"
    held = tmp_path / ".dagbook-held.tmp"
    with subprocess.Popen(
        [sys.executable, "-c", writing, str(held)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as writer:  # fmt: skip
        writer.stdout.readline()
        os.utime(held, (old, old))
        sweep([*tmp_path.iterdir()])
        writer.stdin.close()
    assert names(tmp_path) == [
        ".dagbook-held.tmp",
        ".dagbook-new-d.tmp",
        ".dagbook-new.tmp",
        "theirs.tmp",
    ]
