"""What a recorder took arrives in MLflow once, whatever happens on the way."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dagbook.recorder.calls import Ids
from dagbook.sinks.delivery import Delivery
from dagbook.sinks.spool import ASIDE_FOLDER, Spool, is_uploading

if TYPE_CHECKING:
    from conftest import Recording

    Record = Callable[..., Recording]

pytestmark = pytest.mark.early


def _tell(recording: Recording) -> str:
    """A little of everything; returns the child's id as the notebook knows it."""
    client, run_id = recording.client, recording.run_id
    for step in range(3):
        client.log_metric(run_id, "loss", step / 2, timestamp=step, step=step)
    client.log_param(run_id, "rate", 1)
    client.set_tag(run_id, "gone", "x")
    client.delete_tag(run_id, "gone")
    tags = {"mlflow.parentRunId": run_id}
    child = client.create_run(recording.experiment_id, tags=tags, run_name="child").info.run_id
    client.log_metric(child, "inner", 1, timestamp=1)
    client.log_text(child, f"made by {child}", "child.txt")
    client.set_terminated(child, "FAILED", 7)
    model = client.create_logged_model(recording.experiment_id, name="m", source_run_id=run_id)
    client.set_logged_model_tags(model.model_id, {"a": run_id})
    client.log_model_params(model.model_id, {"p": "1"})
    client.finalize_logged_model(model.model_id, "READY")
    other = client.create_experiment("another one", tags={"t": "1"})
    client.set_experiment_tag(other, "u", "2")
    client.log_metric(client.create_run(other).info.run_id, "far", 1, timestamp=1)
    return str(child)


def _check(recording: Recording, uri: str) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=uri)
    name = recording.spool.folder.name
    experiment = client.get_experiment_by_name("churn").experiment_id
    (run,) = client.search_runs([experiment], filter_string=f"tags.`dagbook.recording` = '{name}'")
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(m.step, m.timestamp, m.value) for m in history] == [(0, 0, 0), (1, 1, 0.5), (2, 2, 1)]
    assert run.data.params == {"rate": "1"}
    assert "gone" not in run.data.tags
    parent = f"tags.`mlflow.parentRunId` = '{run.info.run_id}'"
    (child,) = client.search_runs([experiment], filter_string=parent)
    assert (child.info.status, child.info.end_time) == ("FAILED", 7)
    assert len(client.get_metric_history(child.info.run_id, "inner")) == 1
    path = client.download_artifacts(child.info.run_id, "child.txt")
    assert Path(path).read_text() == f"made by {child.info.run_id}"
    models = client.search_logged_models([experiment])
    (model,) = [m for m in models if m.source_run_id == run.info.run_id]
    assert (str(model.status), model.params, model.tags["a"]) == (
        "READY",
        {"p": "1"},
        run.info.run_id,
    )
    other = client.get_experiment_by_name("another one")
    assert other.tags.items() >= {"t": "1", "u": "2"}.items()
    far = client.search_runs([other.experiment_id])
    assert [r.data.metrics for r in far if name in r.data.tags["dagbook.recording"]] == [
        {"far": 1.0}
    ]


def test_what_was_taken_arrives_while_the_run_goes_on(record: Record, mlflow_server: str) -> None:
    recording = record(mlflow_server)
    child = _tell(recording)

    delivery = recording.deliver()

    assert (delivery.problem, delivery.notes) == (None, [])
    _check(recording, mlflow_server)
    # The notebook goes on with the names it knows.
    recording.client.log_metric(child, "more", 2)
    recording.end()
    recording.deliver()
    assert recording.spool.state["delivered"] is True


class Killed(BaseException):
    """The process ended here."""


@pytest.mark.parametrize("place", ["before the name is noted", "before the call is noted"])
def test_a_crash_at_any_place_makes_nothing_twice(
    record: Record, mlflow_server: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    recording = record(mlflow_server)
    _tell(recording)
    seen: list[Any] = []

    def once(what: Any) -> None:
        if what not in seen:
            seen.append(what)
            raise Killed

    if place == "before the name is noted":
        add = Ids.add

        def noted(self: Ids, names: dict[str, str]) -> None:
            once(sorted(names))
            add(self, names)

        monkeypatch.setattr(Ids, "add", noted)
    else:
        save = Spool.save

        def saved(self: Spool, state: dict[str, Any]) -> None:
            if "calls" in state:
                once(state["calls"])
            save(self, state)

        monkeypatch.setattr(Spool, "save", saved)

    while True:
        delivery = Delivery(Spool(recording.spool.folder))
        try:
            delivery.advance()
            break
        except Killed:
            pass
        finally:
            delivery.give_up_lock()

    assert (delivery.problem, delivery.notes) == (None, [])
    assert len(seen) > 8
    _check(recording, mlflow_server)


def test_what_mlflow_refuses_is_noted_and_the_rest_arrives(
    record: Record, mlflow_server: str
) -> None:
    recording = record(mlflow_server)
    recording.client.log_metric("f" * 32, "lost", 1)
    recording.client.log_metric(recording.run_id, "loss", 1)
    recording.end()

    delivery = recording.deliver()

    assert delivery.notes == [
        "some of what the notebook logs itself was not recorded: RESOURCE_DOES_NOT_EXIST: Run with "
        f"id={'f' * 32} not found"
    ]
    aside = Spool(recording.spool.folder.parent / ASIDE_FOLDER / recording.spool.folder.name)
    assert aside.state["calls"] == (aside.folder / "calls.jsonl").stat().st_size


def test_what_belongs_to_a_run_that_was_not_made_is_noted(
    record: Record, mlflow_server: str
) -> None:
    recording = record(mlflow_server)
    run = recording.client.create_run("123456").info.run_id
    recording.client.log_metric(run, "loss", 1)
    recording.client.log_text(run, "x", "a.txt")

    delivery = recording.deliver()

    assert delivery.spool.state["notes"] == [
        "a run of the notebook's was not made: RESOURCE_DOES_NOT_EXIST: No Experiment with "
        "id=123456 exists",
        f"some of what the notebook logs itself was not recorded: {run} could not be made",
        f"a file of the notebook's was not recorded: {run} could not be made",
    ]


def test_many_points_arrive_in_few_calls(record: Record, mlflow_server: str) -> None:
    from mlflow import MlflowClient
    from mlflow.entities import Metric

    recording = record(mlflow_server)
    for start in range(0, 2500, 500):
        points = [Metric("loss", float(s), s, s) for s in range(start, start + 500)]
        recording.client.log_batch(recording.run_id, points)
    for step in range(2500, 2600):
        recording.client.log_metric(recording.run_id, "loss", step, timestamp=step, step=step)

    saved: list[dict[str, Any]] = []
    delivery = Delivery(Spool(recording.spool.folder))
    save = delivery.spool.save
    delivery.spool.save = lambda state: (saved.append(dict(state)), save(state))[1]  # type: ignore[method-assign]
    delivery.advance()
    delivery.give_up_lock()

    client = MlflowClient(tracking_uri=mlflow_server)
    history = client.get_metric_history(delivery.spool.state["run_id"], "loss")
    assert sorted(m.step for m in history) == list(range(2600))
    assert len({state["calls"] for state in saved if "calls" in state}) == 4


def test_a_server_that_comes_back_gets_the_rest(
    record: Record, mlflow_server: str, nowhere: str
) -> None:
    recording = record(nowhere)
    recording.client.log_metric(recording.run_id, "loss", 1)
    recording.deliver()
    state = recording.spool.state
    assert state["failures"] == 1 and "calls" not in state
    head = recording.spool.folder / "head.json"
    told = json.loads(head.read_text())
    head.write_text(json.dumps({**told, "tracking_uri": mlflow_server}))
    recording.spool.save({**state, "retry_after": 0})

    delivery = recording.deliver()

    assert delivery.problem is None
    assert recording.spool.state["calls"] > 0


def test_a_large_file_is_given_its_time(
    record: Record, mlflow_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    recording = record(mlflow_server)
    (tmp_path / "large.bin").write_bytes(bytes(9 * 1024**2))
    recording.client.log_artifact(recording.run_id, str(tmp_path / "large.bin"))
    seen: list[tuple[str, bool]] = []
    send = MlflowClient.log_artifact

    def watched(client: MlflowClient, *told: Any) -> None:
        uploading = is_uploading(recording.spool.state)
        seen.append((os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"], uploading))
        send(client, *told)

    monkeypatch.setattr(MlflowClient, "log_artifact", watched)
    recording.deliver()

    assert seen == [("64", True)]
    assert os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] == "60"
    assert not is_uploading(recording.spool.state)
    (name,) = MlflowClient(tracking_uri=mlflow_server).list_artifacts(
        recording.spool.state["run_id"]
    )
    assert name.file_size == 9 * 1024**2
