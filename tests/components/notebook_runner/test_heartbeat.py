"""A worker's sign of life, and what it does when its run was ended from outside."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import nbformat
import pytest

from dagbook.notebook_runner import heartbeat
from dagbook.notebook_runner.heartbeat import Beat, read_beat
from dagbook.notebook_runner.patience import patiently
from dagbook.notebook_runner.step import Step
from dagbook.run_tags import HEARTBEAT_TAG, told_of
from dagbook.worker import worker_of

if TYPE_CHECKING:
    from conftest import Workbench

WAITING = "import os, time\nopen('kernel.pid', 'w').write(str(os.getpid()))\ntime.sleep(600)"


@contextlib.contextmanager
def meanwhile(do: Callable[[], None]) -> Iterator[list[BaseException]]:
    """Do something beside the test."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            do()
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    yield errors
    thread.join()
    assert errors == []


def eventually(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 120
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def only_run(instance: dg.DagsterInstance) -> dg.DagsterRun:
    (run,) = instance.get_runs()
    return run


def test_a_beat_is_read_as_it_was_written() -> None:
    worker = worker_of(os.getpid())
    for beat in (Beat(1794225605.123, 30.0, False, worker), Beat(1794225605.0, 240.0, True, None)):
        run = dg.DagsterRun("j", tags={})
        assert read_beat(run) is None
        told = run.with_tags({HEARTBEAT_TAG: beat.to_text(run.run_id)})
        assert read_beat(told) == beat


def test_a_run_launched_again_does_not_take_the_first_ones_beat_for_its_own() -> None:
    text = Beat(time.time(), 30.0, False, worker_of(os.getpid())).to_text("the-first-run")
    assert read_beat(dg.DagsterRun("j", tags={HEARTBEAT_TAG: text})) is None


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-20T10:00:00+00:00 within=x over=0"])
def test_a_beat_somebody_else_wrote_is_none(text: str) -> None:
    run = dg.DagsterRun("j", tags={})
    assert read_beat(run.with_tags({HEARTBEAT_TAG: told_of(run.run_id, text)})) is None


def test_a_worker_beats_while_its_notebook_runs_and_says_when_its_step_is_over(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.1)
    bench.notebook("n.ipynb", ["import time", "time.sleep(1)"])
    bench.component("n", "notebook: n.ipynb")
    beats: set[float] = set()

    def watch() -> None:
        while True:
            runs = bench.instance.get_runs()
            beat = read_beat(runs[0]) if runs else None
            if beat is not None and beat.is_over:
                return
            beats.add(beat.at if beat is not None else 0.0)
            time.sleep(0.02)

    with meanwhile(watch):
        assert bench.run("n").success
    beat = read_beat(only_run(bench.instance))
    assert len(beats) > 3
    assert beat is not None
    assert (beat.within, beat.worker) == (180.0, worker_of(os.getpid()))


def test_nobody_expects_a_word_while_a_run_waits_for_its_next_try(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["import os\nos._exit(1)"])
    bench.component("n", "notebook: n.ipynb\nretries: {max: 1, delay_seconds: 1}")
    found: list[float] = []

    def watch() -> None:
        beat = eventually(
            lambda: (
                (runs := bench.instance.get_runs())
                and (beat := read_beat(runs[0]))
                and beat.is_over
                and beat
            )
        )
        found.append(beat.within)

    with meanwhile(watch):
        assert bench.run("n").attempts == 2
    assert found == [181.0]


def test_an_instance_in_memory_needs_no_beats(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component("n", "notebook: n.ipynb")
    job = bench.load().resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(asset_selection=[dg.AssetKey("n")])
    assert result.success
    assert HEARTBEAT_TAG not in result.dagster_run.tags


@pytest.mark.parametrize(
    ("ended", "status", "reason"),
    [
        ("report_run_failed", "FAILURE", "this run had been ended in Dagster as failed"),
        ("report_run_canceled", "CANCELED", "this run had been ended in Dagster as cancelled"),
    ],
)
def test_a_run_that_was_ended_from_outside_stops_materialises_nothing_and_ends_once(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch, ended: str, status: str, reason: str
) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.2)
    bench.notebook("n.ipynb", ["print('begun')", WAITING, "print('never')"])
    bench.component("n", "notebook: n.ipynb\nretries: {max: 3, on: [error]}")
    pid = bench.root / "kernel.pid"

    def end() -> None:
        eventually(lambda: pid.exists() and pid.read_text())
        time.sleep(0.3)
        getattr(bench.instance, ended)(only_run(bench.instance), "from outside")

    with meanwhile(end):
        ran = bench.run("n")
    run = only_run(bench.instance)
    events = [e.dagster_event for e in bench.instance.all_logs(run.run_id)]
    kinds = [event.event_type_value for event in events if event is not None]
    assert run.status.value == status
    assert sum(kind in ("PIPELINE_FAILURE", "PIPELINE_CANCELED") for kind in kinds) == 1
    assert ran.materializations == []
    assert ran.attempts == 1
    (notebook,) = (bench.root / "runs" / "n").glob("*.ipynb")
    assert notebook.name.endswith("-cancelled.ipynb")
    stored = nbformat.read(notebook, as_version=4)
    assert stored.metadata["dagbook"]["reason"] == reason
    assert f"Nothing is materialised: {reason}. The notebook so far: {notebook}" in bench.logs(ran)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_what_a_run_made_that_was_ended_meanwhile_is_not_published(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    # No beat comes while it runs: only the look before publishing can tell.
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 600.0)
    bench.notebook("n.ipynb", ["open('begun', 'w').close()\nimport time\ntime.sleep(2)"])
    bench.component("n", "notebook: n.ipynb")

    def end() -> None:
        eventually((bench.root / "begun").exists)
        bench.instance.report_run_failed(only_run(bench.instance), "from outside")

    with meanwhile(end):
        ran = bench.run("n")
    assert ran.materializations == []
    assert only_run(bench.instance).status is dg.DagsterRunStatus.FAILURE
    (notebook,) = (bench.root / "runs" / "n").glob("*.ipynb")
    assert notebook.name.endswith("-succeeded.ipynb")


def test_a_run_that_is_ended_while_it_is_published_keeps_that_end(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component("n", "notebook: n.ipynb")
    publish = Step.publish

    def publish_and_end(self: Step, *told: Any) -> Iterator[Any]:
        yield from publish(self, *told)
        bench.instance.report_run_failed(only_run(bench.instance), "from outside")

    monkeypatch.setattr(Step, "publish", publish_and_end)
    bench.run("n")
    run = only_run(bench.instance)
    assert run.status is dg.DagsterRunStatus.FAILURE
    ends = {dg.DagsterEventType.RUN_FAILURE, dg.DagsterEventType.RUN_SUCCESS}
    assert [e.message for e in bench.instance.all_logs(run.run_id, of_type=ends)] == [
        "from outside"
    ]


def test_a_run_that_ended_before_its_worker_came_up_starts_no_kernel(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.notebook("n.ipynb", ["open('begun', 'w').close()"])
    bench.component("n", "notebook: n.ipynb")
    confirm = heartbeat.Heartbeat.confirm

    def end_first(self: heartbeat.Heartbeat) -> None:
        run = only_run(bench.instance)
        if not run.is_finished:
            bench.instance.report_run_canceled(run, "from outside")
        confirm(self)

    monkeypatch.setattr(heartbeat.Heartbeat, "confirm", end_first)
    assert bench.run("n").materializations == []
    assert only_run(bench.instance).status is dg.DagsterRunStatus.CANCELED
    assert not (bench.root / "begun").exists()


def test_a_cancel_that_reached_no_worker_is_noticed_with_the_second_beat(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heartbeat, "BEAT_SECONDS", 0.3)
    bench.notebook("n.ipynb", [WAITING])
    bench.component("n", "notebook: n.ipynb")
    pid = bench.root / "kernel.pid"

    def cancel() -> None:
        eventually(lambda: pid.exists() and pid.read_text())
        bench.instance.report_run_canceling(only_run(bench.instance))

    with meanwhile(cancel):
        bench.run("n")
    assert only_run(bench.instance).status is dg.DagsterRunStatus.CANCELED


def test_a_run_waits_for_a_locked_database(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["open('begun', 'w').close()\nimport time\ntime.sleep(1)"])
    bench.component("n", "notebook: n.ipynb")
    database = Path(bench.instance.root_directory) / "history" / "runs.db"

    def lock() -> None:
        eventually((bench.root / "begun").exists)
        with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as connection:
            connection.execute("BEGIN EXCLUSIVE")
            # Longer than Dagster itself waits for it.
            time.sleep(7)
            connection.execute("ROLLBACK")

    with meanwhile(lock):
        ran = bench.run("n")
    assert ran.success
    assert len(ran.materializations) == 1


def test_only_a_locked_database_is_asked_again() -> None:
    answers: list[Exception | int] = [
        sqlite3.OperationalError("database is locked"),
        sqlite3.OperationalError("database table is locked: runs"),
        3,
    ]

    def ask() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert patiently(ask) == 3
    answers.append(ValueError("no such run"))
    with pytest.raises(ValueError, match="no such run"):
        patiently(ask)
