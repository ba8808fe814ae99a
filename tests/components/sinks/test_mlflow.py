"""What MLflow is told and how, by an embedded store and a real server on loopback."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dagbook.execution.result import MetricPoint, RunStatus
from dagbook.sinks.mlflow import one_line, tracking_uri, without_login

if TYPE_CHECKING:
    from conftest import Bench

NOW = 4_000_000_000.0  # far away: what is old is set aside
Points = Callable[..., list[MetricPoint]]


def test_a_run_is_complete_in_the_embedded_store(bench: Bench, make_points: Points) -> None:
    spool = bench.spool()
    spool.add(make_points(range(3)))
    spool.close(bench.end())

    delivery = bench.deliver(spool)

    assert delivery.notes == []
    assert not spool.folder.exists()
    run = bench.run_of(spool)
    assert (run.info.status, run.info.run_name) == ("FINISHED", "2026-01-01")
    assert (run.info.start_time, run.info.end_time) == (NOW * 1000, NOW * 1000 + 10_000)
    assert run.data.params == {"rate": "0.1", "words": "['a']", "long": "x" * 6000}
    assert run.data.tags["team"] == "growth"
    assert run.data.tags["mlflow.source.name"] == "churn.ipynb"
    assert run.data.metrics == {"loss": 1 / 3, "system/runtime_seconds": 10.0}
    history = bench.client().get_metric_history(run.info.run_id, "loss")
    assert [(m.step, m.value, m.timestamp) for m in history] == [
        (0, 1.0, int(NOW * 1000)),
        (1, 0.5, int(NOW * 1000) + 1000),
        (2, 1 / 3, int(NOW * 1000) + 2000),
    ]
    names = [file.path for file in bench.client().list_artifacts(run.info.run_id)]
    assert sorted(names) == ["executed.html", "executed.ipynb"]
    assert run.info.artifact_uri.startswith((bench.state_folder / "mlartifacts").as_uri())


def test_a_run_is_complete_on_a_server(server: str, bench: Bench, make_points: Points) -> None:
    spool = bench.spool(tracking_uri=server)
    spool.add(make_points(range(3)))
    spool.close(bench.end(measurements={}))

    bench.deliver(spool)

    run = bench.run_of(spool, server)
    assert (run.info.status, run.data.metrics) == ("FINISHED", {"loss": 1 / 3})
    names = [file.path for file in bench.client(server).list_artifacts(run.info.run_id)]
    assert sorted(names) == ["executed.html", "executed.ipynb"]


def test_what_another_process_logs_into_the_run_stays_as_it_is(
    server: str, bench: Bench, make_points: Points
) -> None:
    spool = bench.spool(tracking_uri=server)
    bench.deliver(spool)  # makes the run
    environment = {"MLFLOW_TRACKING_URI": server, "MLFLOW_RUN_ID": spool.state["run_id"]}
    code = "import mlflow; mlflow.log_metric('loss', 7.0, step=1); mlflow.log_param('rate', 0.3)"

    subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, check=True, timeout=120
    )
    spool.add([*make_points(range(3)), *make_points(range(3), "gain")])
    spool.close(bench.end(measurements={}))
    bench.deliver(spool)

    run = bench.run_of(spool, server)
    assert run.data.metrics == {"loss": 7.0, "gain": 1 / 3}
    assert bench.history(spool, "loss", server) == [(1, 7.0)]
    assert run.data.params["rate"] == "0.3"
    assert run.info.status == "FINISHED"


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


def test_the_server_of_the_environment_is_used_where_none_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://mlflow:5000")

    assert tracking_uri(None, Path("/project/.dagbook")) == "http://mlflow:5000"


@pytest.mark.parametrize(
    ("uri", "written"),
    [
        ("http://me:secret@mlflow:5000/path", "http://mlflow:5000/path"),
        ("postgresql://me:se%40cret@db/mlflow?sslkey=secret", "postgresql://db/mlflow"),
        ("https://mlflow/#fragment", "https://mlflow/"),
        ("sqlite:////data/mlflow.db", "sqlite:////data/mlflow.db"),
        ("/data/mlruns", "/data/mlruns"),
        ("databricks://profile", "databricks://profile"),
        ("http://[secret", "http"),
    ],
)
def test_an_address_is_written_down_without_its_login(uri: str, written: str) -> None:
    assert without_login(uri) == written


def test_an_error_is_one_line_without_a_login() -> None:
    error = OSError("cannot connect to http://me:s@cret@mlflow:5000/api\nmore")

    assert one_line(error) == "cannot connect to http://mlflow:5000/api"
    assert one_line(OSError()) == "OSError"


def test_ten_thousand_points_and_numbers_that_are_none(bench: Bench) -> None:
    spool = bench.spool()
    spool.add(MetricPoint("many", float(i), i, NOW + i) for i in range(10_000))
    spool.add(
        [
            MetricPoint("nothing", math.nan, 0, NOW),
            MetricPoint("too much", math.inf, 0, NOW),
            MetricPoint("f1 @ 5%", 0.5, None, NOW),
        ]
    )
    spool.close(bench.end(measurements={}))

    assert bench.deliver(spool).notes == []

    metrics = bench.run_of(spool).data.metrics
    assert metrics["many"] == 9999.0
    assert len(bench.history(spool, "many")) == 10_000
    assert math.isnan(metrics["nothing"])
    assert metrics["too much"] > 1e300
    assert metrics["f1 _ 5_"] == 0.5


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
def test_every_end_is_one_of_mlflows(bench: Bench, status: RunStatus, shown: str) -> None:
    spool = bench.spool()
    spool.close(bench.end(status=status, files=[]))

    bench.deliver(spool)

    assert bench.run_of(spool).info.status == shown


def test_processes_that_make_the_store_at_once_do_not_break_it(tmp_path: Path) -> None:
    code = textwrap.dedent(
        """
        import sys
        from pathlib import Path
        from dagbook.sinks.mlflow import embedded_store, find_experiment
        folder = Path(sys.argv[1])
        print(find_experiment(embedded_store(folder), "churn", folder)[1])
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


@pytest.mark.parametrize(
    "module", ["mlflow", "spool", "delivery", "sender", "sender_process", "replay", "vanished"]
)
def test_importing_the_sink_does_not_import_mlflow(module: str) -> None:
    code = f"import sys, dagbook.sinks.{module}; print(*sys.modules)"

    names = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.split()

    assert {"mlflow", "dagster"} & set(names) == set()
