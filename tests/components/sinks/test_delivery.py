"""A folder of the spool on its way to MLflow, a round at a time, through everything that happens."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dagbook.execution.journal import Journal
from dagbook.execution.result import ExecutionResult, MetricPoint, RunStatus
from dagbook.sinks.delivery import Delivery
from dagbook.sinks.mlflow import create_run, find_experiment
from dagbook.sinks.spool import ASIDE_FOLDER, Spool, spools_aside, spools_in

if TYPE_CHECKING:
    from conftest import Bench

NOW = 4_000_000_000.0  # far away: what is old is set aside
Points = Callable[..., list[MetricPoint]]


def _steps(history: list[tuple[int, float]]) -> list[int]:
    return [step for step, _ in history]


def test_points_arrive_while_the_run_goes_on(
    bench: Bench, make_points: Points, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dagbook.sinks.delivery.SETTLE_SECONDS", 0.0)
    spool = bench.spool()
    delivery = Delivery(Spool(spool.folder))

    spool.add(make_points(range(3)))
    assert not delivery.advance()
    first = _steps(bench.history(spool, "loss"))
    spool.add(make_points(range(3, 5)))
    assert not delivery.advance()

    assert first == [0, 1, 2]
    assert _steps(bench.history(spool, "loss")) == [0, 1, 2, 3, 4]
    assert bench.run_of(spool).info.status == "RUNNING"
    spool.close(bench.end())
    assert delivery.advance()
    assert _steps(bench.history(spool, "loss")) == [0, 1, 2, 3, 4]


def test_a_metric_waits_until_it_is_known_whose_it_is(bench: Bench, make_points: Points) -> None:
    spool = bench.spool()
    delivery = Delivery(Spool(spool.folder))
    delivery.advance()

    spool.add(make_points(range(3)))
    delivery.advance()
    # The notebook reports it to MLflow as well, a moment later.
    run_id = bench.run_of(spool).info.run_id
    bench.client().log_metric(run_id, "loss", 9.0, step=0)
    spool.close(bench.end())
    delivery.advance()

    assert bench.history(spool, "loss") == [(0, 9.0)]


def test_a_server_that_refuses_leaves_everything_in_the_spool(
    bench: Bench, make_points: Points, nowhere: str, server: str
) -> None:
    spool = bench.spool(tracking_uri=nowhere)
    spool.add(make_points(range(3)))
    spool.close(bench.end())

    delivery = bench.deliver(spool)

    assert delivery.problem is not None
    assert "Connection refused" in delivery.problem
    assert [p.step for p in Spool(spool.folder).points(0)[0]] == [0, 1, 2]
    # Back, at another address.
    head = spool.folder / "head.json"
    head.write_text(head.read_text().replace(nowhere, server))
    bench.deliver(spool)
    assert not spool.folder.exists()
    assert _steps(bench.history(spool, "loss", server)) == [0, 1, 2]


def test_what_has_failed_is_left_alone_for_longer_and_longer(
    bench: Bench, nowhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("dagbook.sinks.delivery.time.monotonic", lambda: now)
    spool = bench.spool(tracking_uri=nowhere)
    delivery = Delivery(Spool(spool.folder))
    tried_at = []

    while now < 300:
        failures = spool.state.get("failures", 0)
        delivery.advance()
        if spool.state["failures"] > failures:
            tried_at.append(now)
        now += 1

    assert tried_at == [0, 2, 6, 14, 30, 62, 122, 182, 242]


def test_a_crash_before_the_confirmation_makes_no_point_twice(
    bench: Bench, make_points: Points, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    # Folders of files, unlike databases, keep the same point as often as they are told it.
    store = str(tmp_path / "mlruns")
    spool = bench.spool(tracking_uri=store)
    spool.add(make_points(range(5)))
    spool.close(bench.end(files=[]))
    delivery = Delivery(Spool(spool.folder))

    class Crash(BaseException):
        pass

    def crash(**changes: Any) -> None:
        if "offset" in changes:
            raise Crash
        save(**changes)

    save, delivery._save = delivery._save, crash  # type: ignore[method-assign]
    with pytest.raises(Crash):
        delivery.advance()
    delivery.give_up_lock()
    assert len(bench.history(spool, "loss", store)) == 5

    bench.deliver(spool)

    assert not spool.folder.exists()
    assert _steps(bench.history(spool, "loss", store)) == [0, 1, 2, 3, 4]


def test_a_run_whose_making_was_not_confirmed_is_found_again(
    bench: Bench, make_points: Points
) -> None:
    spool = bench.spool()
    spool.save({"tried": True})
    uri = f"sqlite:///{bench.state_folder}/mlflow.db"
    client, experiment = find_experiment(uri, "churn", bench.state_folder)
    made = create_run(
        client, experiment, uri=uri, run_name="r", tags={}, notebook="n.ipynb", started_at=NOW,
        recording=spool.folder.name,
    )  # fmt: skip
    spool.add(make_points(range(3)))
    spool.close(bench.end())

    bench.deliver(spool)

    assert bench.run_of(spool).info.run_id == made.run_id
    assert _steps(bench.history(spool, "loss")) == [0, 1, 2]


def test_what_is_refused_is_noted_and_the_rest_arrives(bench: Bench, make_points: Points) -> None:
    spool = bench.spool()
    spool.add(make_points(range(3)))
    end = bench.end()
    spool.close(end)
    Path(end.files[0]).unlink()

    delivery = bench.deliver(spool)

    assert delivery.notes == [f"the notebook was not recorded: {end.files[0]} is gone"]
    run = bench.run_of(spool)
    assert (run.info.status, run.data.metrics["loss"]) == ("FINISHED", 1 / 3)
    names = [file.path for file in bench.client().list_artifacts(run.info.run_id)]
    assert names == ["executed.html"]
    aside = spool.folder.parent / ASIDE_FOLDER / spool.folder.name
    assert Spool(aside).state["notes"] == delivery.notes


def test_a_deleted_experiment_sets_the_run_aside_with_the_way_on(bench: Bench) -> None:
    first = bench.spool("first", experiment="gone")
    bench.deliver(first)
    bench.client().delete_experiment(bench.run_of(first).info.experiment_id)
    spool = bench.spool("second", experiment="gone")
    spool.close(bench.end())

    delivery = bench.deliver(spool)

    assert delivery.notes == [
        "the experiment 'gone' was deleted: restore it, or give another name as `experiment.name`"
    ]
    assert not spool.folder.exists()
    assert spool.folder.name in [s.folder.name for s in spools_aside(bench.state_folder)]
    assert spool.folder not in [s.folder for s in spools_in(bench.state_folder)]


def test_what_waits_for_a_month_is_set_aside(bench: Bench, nowhere: str) -> None:
    spool = bench.spool(tracking_uri=nowhere, started_at=0.0)
    spool.close(bench.end())

    (note,) = bench.deliver(spool).notes

    assert note.startswith("tried for 30 days, the last time: ")
    assert not spool.folder.exists()


def test_only_one_process_sends(bench: Bench, make_points: Points) -> None:
    spool = bench.spool()
    spool.add(make_points(range(3)))
    spool.close(bench.end())
    other = Spool(spool.folder).take_for_sending()
    assert other is not None

    assert not Delivery(Spool(spool.folder)).advance()

    assert "run_id" not in spool.state


def test_the_login_is_found_where_it_is_and_never_written(
    bench: Bench, server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_login = server.replace("//", "//me:sesame@")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", with_login)
    spool = bench.spool(tracking_uri=server)
    delivery = Delivery(Spool(spool.folder))
    delivery.advance()

    head = spool.head
    assert head is not None
    assert delivery._uri(head) == with_login
    written = [path.read_text() for path in spool.folder.iterdir()]
    assert not any("sesame" in text for text in written)
    assert bench.run_of(spool, server).info.status == "RUNNING"


def test_a_vanished_run_is_closed_with_all_its_journal_holds(
    bench: Bench, make_points: Points, tmp_path: Path
) -> None:
    spool = bench.spool()
    spool.add(make_points(range(2)))
    record = spool.result_file
    runs = tmp_path / "runs"
    runs.mkdir()
    journal = Journal(runs / ".n.running")
    journal.event("start", NOW, str(runs / "n-{state}.ipynb"), "small", None)
    journal.event("record", str(record))
    document = {"cells": [], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    journal.event("document", document, {"rate": 0.5}, [])
    journal.release()
    reports = [
        {"m": p.name, "v": repr(p.value), "s": p.step, "t": p.timestamp}
        for p in make_points(range(4))
    ]
    (runs / ".n.running" / "reports.jsonl").write_text(
        "".join(json.dumps(report) + "\n" for report in reports)
    )
    _vanish(spool)

    bench.deliver(spool)

    run = bench.run_of(spool)
    assert run.info.status == "KILLED"
    assert run.data.params == {"rate": "0.5"}
    assert _steps(bench.history(spool, "loss")) == [0, 1, 2, 3]
    names = [file.path for file in bench.client().list_artifacts(run.info.run_id)]
    assert names == ["n-killed.ipynb"]
    assert not (runs / ".n.running").exists()
    assert not spool.folder.exists()


def test_a_run_that_vanished_before_its_first_cell_is_closed_too(bench: Bench) -> None:
    spool = bench.spool()
    _vanish(spool)

    bench.deliver(spool)

    assert bench.run_of(spool).info.status == "KILLED"


def test_a_run_that_lives_is_not_closed(bench: Bench) -> None:
    spool = bench.spool()

    bench.deliver(spool)

    assert bench.run_of(spool).info.status == "RUNNING"
    assert spool.is_owned


def test_a_result_on_record_says_how_the_run_ended(bench: Bench, make_points: Points) -> None:
    spool = bench.spool()
    result = ExecutionResult(
        RunStatus.KILLED, started_at=NOW, duration_seconds=5.0, metrics=make_points(range(2))
    )
    spool.result_file.write_text(json.dumps(result.to_json()))
    _vanish(spool)

    bench.deliver(spool)

    run = bench.run_of(spool)
    assert (run.info.status, run.info.end_time) == ("KILLED", NOW * 1000 + 5000)
    assert _steps(bench.history(spool, "loss")) == [0, 1]


def _vanish(spool: Any) -> None:
    """What the kernel does to the locks of a process that is killed."""
    import os

    os.close(spool._owner)
