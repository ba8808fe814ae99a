"""What one process can tell of another."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from dagbook.worker import Life, worker_of


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "600"]) as process:
        yield process
        process.kill()


def test_a_process_lives_until_it_is_killed(sleeper: subprocess.Popen[bytes]) -> None:
    worker = worker_of(sleeper.pid)
    assert worker.life is Life.ALIVE
    sleeper.kill()
    os.waitid(os.P_PID, sleeper.pid, os.WEXITED | os.WNOWAIT)
    assert worker.life is Life.GONE  # a zombie, which nobody has asked after yet
    sleeper.wait()
    assert worker.life is Life.GONE


def test_a_stopped_process_is_told_apart(sleeper: subprocess.Popen[bytes]) -> None:
    worker = worker_of(sleeper.pid)
    sleeper.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, sleeper.pid, os.WSTOPPED | os.WNOWAIT)
    assert worker.life is Life.STOPPED
    sleeper.send_signal(signal.SIGCONT)
    deadline = time.monotonic() + 10
    while worker.life is not Life.ALIVE and time.monotonic() < deadline:
        time.sleep(0.01)
    assert worker.life is Life.ALIVE


def test_a_number_that_is_another_process_now_is_not_taken_for_it(
    sleeper: subprocess.Popen[bytes],
) -> None:
    worker = worker_of(sleeper.pid)
    assert replace(worker, started=worker.started - 1).life is Life.GONE


def test_nothing_is_known_of_another_machine_and_another_container(
    sleeper: subprocess.Popen[bytes],
) -> None:
    worker = worker_of(sleeper.pid)
    boot, _, space = worker.machine.partition("/")
    assert replace(worker, machine=f"{'0' * len(boot)}/{space}").life is Life.UNKNOWN
    assert replace(worker, machine=f"{boot}/pid:[1]").life is Life.UNKNOWN
    assert replace(worker, machine="").life is Life.UNKNOWN


@pytest.mark.needs("other-uid")
def test_a_process_of_another_user_lives(sleeper: subprocess.Popen[bytes]) -> None:
    worker = worker_of(sleeper.pid)
    child = os.fork()
    if child == 0:
        os.setuid(65534)
        try:
            os.kill(sleeper.pid, 0)
        except PermissionError:
            os._exit(0 if worker.life is Life.ALIVE else 1)
        os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
