"""The process beside the worker, that sends and never holds it up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dagbook.execution.result import MetricPoint
from dagbook.sinks import sender
from dagbook.sinks.sender import FOR_A_FILE, Patience, hand_over, wait_for_end, wait_for_run

if TYPE_CHECKING:
    from conftest import Bench

Points = Callable[..., list[MetricPoint]]


def _wait_until(is_so: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_run_is_made_watched_and_completed(bench: Bench, make_points: Points) -> None:
    spool = bench.spool()
    hand_over(spool)
    state = wait_for_run(spool, FOR_A_FILE)
    assert bench.run_of(spool).info.run_id == state["run_id"]

    spool.add(make_points(range(3)))
    _wait_until(lambda: len(bench.history(spool, "loss")) == 3)
    spool.close(bench.end())
    state = wait_for_end(spool, FOR_A_FILE, 0)

    assert state["delivered"]
    assert bench.run_of(spool).info.status == "FINISHED"
    spool.remove()


def test_a_server_that_refuses_is_told_at_once(bench: Bench, nowhere: str) -> None:
    spool = bench.spool(tracking_uri=nowhere)
    hand_over(spool)
    # Longer than the test may take: it is not patience that ends the wait.
    patience = Patience(answer_seconds=1000, all_seconds=1000)

    assert "Connection refused" in wait_for_run(spool, patience)["problem"]
    failures = spool.state["failures"]
    spool.close(bench.end())
    assert "Connection refused" in wait_for_end(spool, patience, failures)["problem"]


def test_a_server_that_never_answers_is_not_waited_for(bench: Bench) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        spool = bench.spool(tracking_uri=f"http://127.0.0.1:{silent.getsockname()[1]}")
        hand_over(spool)
        patience = Patience(answer_seconds=0.2, all_seconds=1000)

        assert wait_for_run(spool, patience)["problem"] == "it does not answer"
        spool.close(bench.end())
        assert wait_for_end(spool, patience, 0)["problem"] == "it does not answer"


def test_it_is_started_again_when_it_was_killed(bench: Bench) -> None:
    hand_over(bench.spool("first"))
    first = sender._process
    assert first is not None
    first.kill()
    first.wait()

    spool = bench.spool("second")
    hand_over(spool)

    assert "run_id" in wait_for_run(spool, FOR_A_FILE)


def test_what_an_earlier_run_left_is_sent_with_the_next(
    bench: Bench, make_points: Points, tmp_path: Path
) -> None:
    old = bench.spool("old")
    old.add(make_points(range(3)))
    old.close(bench.end())

    new = bench.spool("new")
    hand_over(new)

    _wait_until(lambda: not old.folder.exists())
    assert bench.run_of(old).info.status == "FINISHED"


WORKER = """
import signal, sys, time
from pathlib import Path
from dagbook.execution.result import MetricPoint
from dagbook.sinks.sender import FOR_A_FILE, hand_over, wait_for_run
from dagbook.sinks.spool import Head, OwnSpool
# Dagster gives SIGTERM what SIGINT has, which shells have background jobs ignore.
signal.signal(signal.SIGTERM, signal.SIG_DFL)
spool = OwnSpool(Path(sys.argv[1]), Head("churn", "r", {}, "n", None, time.time(), "/nowhere"))
hand_over(spool)
spool.add([MetricPoint("loss", 1.0, step, time.time()) for step in range(3)])
print("ready" if "run_id" in wait_for_run(spool, FOR_A_FILE) else "", flush=True)
time.sleep(600)
"""


@pytest.mark.parametrize("last", [signal.SIGKILL, signal.SIGTERM])
def test_it_outlives_the_worker_for_as_long_as_it_takes_to_close_the_run(
    bench: Bench, last: signal.Signals
) -> None:
    spool = bench.spool()
    folder = spool.folder.with_name(f"{spool.folder.name}-of-the-worker")
    worker = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WORKER), folder],
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert worker.stdout is not None
    assert worker.stdout.readline() == "ready\n"
    (process,) = _children(worker.pid)

    worker.send_signal(last)
    worker.wait()

    _wait_until(lambda: not folder.exists())
    _wait_until(lambda: not _lives(process))
    spool.folder = folder
    run = bench.run_of(spool)
    assert run.info.status == "KILLED"
    assert [step for step, _ in bench.history(spool, "loss")] == [0, 1, 2]


def _children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z" and os.getpgid(pid) > 0


def test_a_login_is_in_no_environment_or_command_line(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, nowhere: str
) -> None:
    from dagbook.sinks import sender

    monkeypatch.setattr(sender, "_process", None)
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "a-word-of-the-deployment")
    spool = bench.spool(tracking_uri=nowhere)

    hand_over(spool, uris=[nowhere], login={"MLFLOW_TRACKING_TOKEN": "a-word-of-the-run"})

    process = sender._process
    assert process is not None
    told = b""
    # It is started, and on a busy machine not yet what it is to be.
    deadline = time.monotonic() + 60
    while not (b"PATH=" in told and b"sender_process" in told) and time.monotonic() < deadline:
        told = Path(f"/proc/{process.pid}/environ").read_bytes()
        told += Path(f"/proc/{process.pid}/cmdline").read_bytes()
    spool.close(bench.end())
    process.kill()
    process.wait()
    assert b"PATH=" in told and b"sender_process" in told
    assert b"a-word" not in told
