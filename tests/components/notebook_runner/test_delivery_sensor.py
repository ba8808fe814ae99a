"""What waits for MLflow is brought there by the location, also when no run comes any more."""

from __future__ import annotations

import time
from pathlib import Path

import dagster as dg
import pytest

from dagbook.execution.result import MetricPoint, RunStatus
from dagbook.notebook_runner.delivery_sensor import deliver_from, deliver_once, delivery_sensor
from dagbook.sinks.mlflow import embedded_store
from dagbook.sinks.spool import SPOOL_FOLDER, End, Head, OwnSpool


def test_what_waits_in_a_project_is_delivered_by_its_location(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mlflow import MlflowClient

    # Other tests of this process have loaded projects as well.
    monkeypatch.setattr("dagbook.notebook_runner.delivery_sensor._projects", {})

    state_folder = tmp_path / ".dagbook"
    now = time.time()
    spool = OwnSpool(
        state_folder / SPOOL_FOLDER / "left-behind",
        Head("churn", "monday", {}, "churn.ipynb", None, now, str(tmp_path / "runs")),
    )
    spool.add([MetricPoint("loss", 0.5, 1, now)])
    spool.close(End(RunStatus.FAILED, now + 1))
    assert deliver_from(tmp_path, None) is delivery_sensor

    context = dg.build_sensor_context()
    assert deliver_once(context) == dg.SkipReason("left-behind: recorded")
    assert deliver_once(context) == dg.SkipReason("Nothing waits for MLflow.")

    assert not spool.folder.exists()
    client = MlflowClient(tracking_uri=embedded_store(state_folder))
    experiment = client.get_experiment_by_name("churn")
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.status, run.data.metrics) == ("FAILED", {"loss": 0.5})
