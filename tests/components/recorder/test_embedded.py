"""Questions about a store that has no server, which a process of MLflow's own answers."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from dagbook.sinks.mlflow import embedded_store

if TYPE_CHECKING:
    from conftest import Recording

    Record = Callable[..., Recording]

pytestmark = pytest.mark.early


@pytest.fixture
def recording(record: Record) -> Iterator[Recording]:
    """One whose run has arrived in the store, and is told so as a run's sender does."""
    from threading import Thread

    recording = record()
    recording.deliver()

    def send() -> None:
        while not has_ended:
            if recording.woken.wait(0.1):
                recording.woken.clear()
                recording.deliver()

    has_ended: list[bool] = []
    sender = Thread(target=send, daemon=True)
    sender.start()
    yield recording
    has_ended.append(True)
    sender.join()


def test_other_runs_are_found_and_read(recording: Recording) -> None:
    from mlflow import MlflowClient

    direct = MlflowClient(tracking_uri=embedded_store(recording.spool.state_folder))
    experiment = direct.get_experiment_by_name("churn").experiment_id
    before = direct.create_run(experiment, run_name="before").info.run_id
    direct.log_metric(before, "loss", 0.5)
    client = recording.client
    client.log_metric(recording.run_id, "loss", 0.25)

    found = client.search_runs([recording.experiment_id], "metrics.loss < 0.3")
    other = client.get_run(before)

    assert [run.info.run_id for run in found] == [recording.run_id]
    assert (other.info.run_name, other.data.metrics) == ("before", {"loss": 0.5})
    assert {run.info.run_id for run in client.search_runs([experiment])} >= {before}


def test_experiments_are_found_by_name_and_made_once(recording: Recording) -> None:
    from mlflow import MlflowClient

    direct = MlflowClient(tracking_uri=embedded_store(recording.spool.state_folder))
    made = direct.create_experiment("before")
    client = recording.client

    assert client.get_experiment_by_name("before").experiment_id == made
    assert client.get_experiment_by_name("nobody's") is None
    assert "before" in [experiment.name for experiment in client.search_experiments()]


def test_files_of_an_experiment_the_notebook_made_lie_in_the_project(
    recording: Recording, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    client = recording.client
    experiment = client.create_experiment(tmp_path.name)
    client.log_text(client.create_run(experiment).info.run_id, "hello", "a.txt")
    recording.deliver()

    direct = MlflowClient(tracking_uri=embedded_store(recording.spool.state_folder))
    (run,) = direct.search_runs([direct.get_experiment_by_name(tmp_path.name).experiment_id])
    folder = (recording.spool.state_folder / "mlartifacts").as_uri()
    assert run.info.artifact_uri.startswith(f"{folder}/")
    assert Path(direct.download_artifacts(run.info.run_id, "a.txt")).read_text() == "hello"
    assert list(tmp_path.iterdir()) == []


def test_a_login_in_the_stores_address_is_in_no_environment(record: Record, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow.db?word=hunter22-and-more"
    recording = record(uri)
    (recording.spool.folder / "state.json").write_text('{"calls": 1000000}')
    seen = b""

    from threading import Thread

    question = Thread(target=recording.client.search_experiments, daemon=True)
    question.start()
    deadline = time.monotonic() + 60
    while question.is_alive() and time.monotonic() < deadline:
        for child in psutil.Process(recording.recorder.process_id).children():
            for name in ("environ", "cmdline"):
                seen += _read(Path(f"/proc/{child.pid}/{name}"))
        time.sleep(0.01)

    assert b"dagbook.recorder.embedded" in seen
    assert b"hunter22" not in seen


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_store_that_cannot_be_read_is_told_at_once(record: Record, tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_bytes(b"no database" * 1000)
    recording = record(f"sqlite:///{tmp_path}/mlflow.db")
    (recording.spool.folder / "state.json").write_text('{"calls": 1000000}')

    status, answer = recording.post("/mlflow/runs/search", {"experiment_ids": ["0"]})

    assert (status, answer["message"]) == (424, "the MLflow store cannot be read")
