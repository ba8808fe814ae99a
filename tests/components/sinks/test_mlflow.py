"""The MLflow sink by itself: an embedded store, and a real server on loopback."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dagbook.execution.result import ExecutionResult, MetricPoint, RunStatus
from dagbook.sinks.mlflow import MlflowError, MlflowRun, embedded_store, start_run, tracking_uri

NOW = 1_790_000_000.0


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "5")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")


@pytest.fixture(scope="module")
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One embedded store for this module: making its tables takes seconds."""
    return tmp_path_factory.mktemp("project") / ".dagbook"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real MLflow server over SQLite."""
    folder = tmp_path_factory.mktemp("server")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1"),
        *("--artifacts-destination", str(folder / "artifacts"), "--serve-artifacts"),
    ]
    environment = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, cwd=folder, start_new_session=True
        )
        try:
            _wait_for(url, folder / "log")
            yield url
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # it takes its time otherwise
            process.wait(30)


def _wait_for(url: str, log: Path) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.3)
    raise AssertionError(log.read_text())


def _start(state_folder: Path, **more: Any) -> MlflowRun:
    options: dict[str, Any] = {
        "experiment": "churn",
        "run_name": "2026-01-01",
        "tags": {"team": "growth"},
        "notebook": "churn.ipynb",
    }
    return start_run(state_folder=state_folder, **{**options, **more})


def _result(folder: Path, **more: Any) -> ExecutionResult:
    notebook, page = folder / "executed.ipynb", folder / "executed.html"
    notebook.write_text(json.dumps({"cells": []}))
    page.write_text("<p>executed</p>")
    options: dict[str, Any] = {
        "status": RunStatus.SUCCEEDED,
        "started_at": NOW,
        "duration_seconds": 10.0,
        "executed_notebook": notebook,
        "executed_html": page,
        "parameters": {"rate": 0.1, "words": ["a"], "long": "x" * 7000},
        "metrics": [MetricPoint("loss", 1 / (i + 1), i, NOW + i) for i in range(3)],
    }
    return ExecutionResult(**{**options, **more})


def test_a_run_is_complete_in_the_embedded_store(state_folder: Path, tmp_path: Path) -> None:
    run = _start(state_folder)

    notes = run.finish(_result(tmp_path), {"runtime_seconds": 10.0})

    assert notes == []
    kept = run.client.get_run(run.run_id)
    assert kept.info.status == "FINISHED"
    assert kept.info.run_name == "2026-01-01"
    assert kept.data.params == {"rate": "0.1", "words": "['a']", "long": "x" * 6000}
    assert kept.data.tags["team"] == "growth"
    assert kept.data.metrics == {"loss": 1 / 3, "system/runtime_seconds": 10.0}
    history = run.client.get_metric_history(run.run_id, "loss")
    assert [(m.step, m.value, m.timestamp) for m in history] == [
        (0, 1.0, int(NOW * 1000)),
        (1, 0.5, int(NOW * 1000) + 1000),
        (2, 1 / 3, int(NOW * 1000) + 2000),
    ]
    names = [file.path for file in run.client.list_artifacts(run.run_id)]
    assert sorted(names) == ["executed.html", "executed.ipynb"]
    assert run.url is None
    assert run.tracking_uri == embedded_store(state_folder)


def test_a_run_is_complete_on_a_server(server: str, state_folder: Path, tmp_path: Path) -> None:
    run = _start(state_folder, tracking_uri=server)

    notes = run.finish(_result(tmp_path), {})

    assert notes == []
    assert run.url == f"{server}/#/experiments/{run.experiment_id}/runs/{run.run_id}"
    kept = run.client.get_run(run.run_id)
    assert (kept.info.status, kept.data.metrics) == ("FINISHED", {"loss": 1 / 3})
    names = [file.path for file in run.client.list_artifacts(run.run_id)]
    assert sorted(names) == ["executed.html", "executed.ipynb"]


def test_the_server_of_the_environment_is_used_where_none_is_named(
    server: str, state_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server)

    assert _start(state_folder).tracking_uri == server


def test_another_process_logs_into_the_run_by_its_variables(server: str, tmp_path: Path) -> None:
    run = _start(tmp_path / ".dagbook", tracking_uri=server)
    code = "import mlflow; mlflow.log_metric('loss', 7.0, step=1); mlflow.log_param('rate', 0.1)"

    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **run.environment}, check=True, timeout=120
    )
    run.finish(_result(tmp_path), {})

    # Its own series and parameter stay as they are.
    kept = run.client.get_run(run.run_id)
    assert kept.data.metrics == {"loss": 7.0}
    assert len(run.client.get_metric_history(run.run_id, "loss")) == 1
    assert kept.data.params["rate"] == "0.1"


@pytest.mark.parametrize(
    ("named", "used"),
    [
        ("http://mlflow:5000", "http://mlflow:5000"),
        ("sqlite:///mlflow.db", "sqlite:////project/mlflow.db"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("mlruns", "/project/mlruns"),
        ("/data/mlruns", "/data/mlruns"),
        ("file:///data/mlruns", "file:///data/mlruns"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("databricks", "databricks"),
        ("databricks://profile", "databricks://profile"),
        (None, "sqlite:////project/.dagbook/mlflow.db"),
    ],
)
def test_a_store_means_the_same_in_every_folder(named: str | None, used: str) -> None:
    assert tracking_uri(named, Path("/project/.dagbook")) == used


def test_ten_thousand_points_and_numbers_that_are_none(state_folder: Path, tmp_path: Path) -> None:
    run = _start(state_folder)
    points = [MetricPoint("many", float(i), i, NOW + i) for i in range(10_000)]
    odd = [
        MetricPoint("nothing", math.nan, 0, NOW),
        MetricPoint("f1 @ 5%", 0.5, None, NOW),
    ]

    notes = run.finish(_result(tmp_path, metrics=points + odd), {"cpu_seconds": math.inf})

    assert notes == []
    metrics = run.client.get_run(run.run_id).data.metrics
    assert metrics["many"] == 9999.0
    assert math.isnan(metrics["nothing"])
    assert metrics["f1 _ 5_"] == 0.5
    assert "system/cpu_seconds" not in metrics


@pytest.mark.parametrize(
    ("status", "shown"),
    [
        (RunStatus.SUCCEEDED, "FINISHED"),
        (RunStatus.FAILED, "FAILED"),
        (RunStatus.REFUSED, "FAILED"),
        (RunStatus.KILLED, "KILLED"),
        (RunStatus.TIMED_OUT, "KILLED"),
        (RunStatus.CANCELLED, "KILLED"),
    ],
)
def test_every_end_is_one_of_mlflows(state_folder: Path, status: RunStatus, shown: str) -> None:
    run = _start(state_folder)

    run.end(status)

    assert run.client.get_run(run.run_id).info.status == shown


def test_a_deleted_experiment_is_told_with_the_way_on(state_folder: Path) -> None:
    run = _start(state_folder, experiment="gone")
    run.client.delete_experiment(run.experiment_id)

    with pytest.raises(MlflowError) as error:
        _start(state_folder, experiment="gone")

    assert str(error.value) == (
        "the experiment 'gone' was deleted: restore it, or give another name as `experiment.name`"
    )


def test_a_server_that_is_down_is_told_in_one_line(tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"

    with pytest.raises(MlflowError) as error:
        _start(tmp_path, tracking_uri=url)

    assert "\n" not in str(error.value)
    assert url.removeprefix("http://127.0.0.1:") in str(error.value)


def test_what_cannot_be_recorded_is_told_and_the_rest_is(
    state_folder: Path, tmp_path: Path
) -> None:
    run = _start(state_folder)
    result = _result(tmp_path)
    assert result.executed_notebook is not None
    result.executed_notebook.unlink()

    (note,) = run.finish(result, {})

    assert note.startswith("the notebook was not recorded: ")
    kept = run.client.get_run(run.run_id)
    assert (kept.info.status, kept.data.metrics) == ("FINISHED", {"loss": 1 / 3})


def test_processes_that_make_the_store_at_once_do_not_break_it(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from dagbook.sinks.mlflow import start_run
        run = start_run(experiment="churn", run_name="r", tags={}, notebook="n.ipynb",
                        state_folder=Path(sys.argv[1]))
        print(run.experiment_id)
        """
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / ".dagbook")],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    outputs = [process.communicate(timeout=120) for process in processes]

    assert [process.returncode for process in processes] == [0, 0], outputs
    assert len({output for output, _ in outputs}) == 1


def test_importing_the_sink_does_not_import_mlflow() -> None:
    code = "import sys, dagbook.sinks.mlflow as s; assert s.is_installed(); print(*sys.modules)"

    names = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert {"mlflow", "dagster"} & set(names) == set()
