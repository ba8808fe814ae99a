"""Each run as an MLflow run, seen through MLflow's own client."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dagbook.sinks.mlflow import embedded_store
from dagbook.sinks.replay import replay_spools
from dagbook.sinks.spool import SPOOL_FOLDER, Spool

if TYPE_CHECKING:
    from conftest import Ran, Workbench
    from mlflow.entities import Run

Find = Callable[..., "Run"]


@pytest.fixture
def recorded(mlflow_store: str) -> Find:
    """Finds the MLflow run of a run."""

    def find(ran: Ran, uri: str = mlflow_store) -> Run:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=uri).get_run(ran.metadata["mlflow_run"])

    return find


def _experiment_of(run: Run, uri: str) -> str:
    from mlflow import MlflowClient

    return str(MlflowClient(tracking_uri=uri).get_experiment(run.info.experiment_id).name)


def test_a_run_is_recorded_under_its_key_with_everything_it_is_about(
    bench: Workbench, recorded: Find, mlflow_store: str
) -> None:
    bench.notebook(
        "n.ipynb",
        [("rate: float = 0.1\nrows = 3", ["parameters"]), ("auc = 0.81", ["metrics"])],
    )
    bench.component(
        "models/churn",
        "notebook: n.ipynb\nparameters: {rate: 0.2}\n"
        "partitions: {type: daily, start_date: 2026-01-01}",
    )

    ran = bench.run("models/churn", partition="2026-01-02")

    run = recorded(ran)
    assert _experiment_of(run, mlflow_store) == "models/churn"
    assert run.info.run_name == "2026-01-02"
    assert run.info.status == "FINISHED"
    assert run.data.params == {"rate": "0.2"}
    assert run.data.metrics["auc"] == 0.81
    assert run.data.metrics["system/runtime_seconds"] == ran.metadata["runtime_seconds"]
    assert run.data.metrics["system/peak_memory_bytes"] == ran.metadata["peak_memory_bytes"]
    own = {name: run.data.tags[f"dagster.{name}"] for name in ("run_id", "asset_key", "partition")}
    assert own == {
        "run_id": ran.result.run_id,
        "asset_key": "models/churn",
        "partition": "2026-01-02",
    }
    assert run.data.tags["mlflow.source.name"] == "n.ipynb"


def test_without_a_server_the_store_lies_in_the_project(
    bench: Workbench, recorded: Find, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    bench.notebook("n.ipynb", ["1"])
    bench.component("n", "notebook: n.ipynb")

    ran = bench.run("n")

    uri = embedded_store(bench.project.state_folder)
    assert uri == f"sqlite:///{bench.root}/.dagbook/mlflow.db"
    run = recorded(ran, uri)
    assert run.info.artifact_uri.startswith((bench.root / ".dagbook/mlartifacts").as_uri())


def test_what_the_notebook_logs_itself_lands_in_the_same_run_once(
    bench: Workbench, recorded: Find, mlflow_store: str
) -> None:
    bench.notebook(
        "n.ipynb",
        [
            ("rate: float = 0.1", ["parameters"]),
            """
            import os, pathlib
            import dagbook, mlflow
            mlflow.set_experiment("the author's")
            mlflow.log_param("rate", rate)
            for step in range(3):
                mlflow.log_metric("loss", 1 / (step + 1), step=step)
                dagbook.log_metric("loss", 1 / (step + 1), step=step)
                dagbook.log_metric("gain", step * 2, step=step * 10)
            mlflow.set_tag("mine", "yes")
            pathlib.Path("words.txt").write_text("hello")
            mlflow.log_artifact("words.txt")
            experiment_id = dagbook.context.experiment_id
            assert experiment_id == mlflow.active_run().info.experiment_id
            """,
        ],
    )
    bench.component("n", "notebook: n.ipynb\nparameters: {rate: 0.5}\nexperiment: {tags: [q3]}")

    ran = bench.run("n")

    from mlflow import MlflowClient

    run = recorded(ran)
    client = MlflowClient(tracking_uri=mlflow_store)
    assert _experiment_of(run, mlflow_store) == "the author's"
    assert run.data.params == {"rate": "0.5"}
    assert (run.data.tags["mine"], run.data.tags["q3"]) == ("yes", "true")
    losses = client.get_metric_history(run.info.run_id, "loss")
    assert [(m.step, m.value) for m in losses] == [(0, 1.0), (1, 0.5), (2, 1 / 3)]
    gains = client.get_metric_history(run.info.run_id, "gain")
    assert [(m.step, m.value) for m in gains] == [(0, 0.0), (10, 2.0), (20, 4.0)]
    assert run.info.status == "FINISHED"


def test_experiment_name_tags_and_tracking_uri(
    bench: Workbench, recorded: Find, tmp_path_factory: pytest.TempPathFactory
) -> None:
    uri = f"sqlite:///{tmp_path_factory.mktemp('other') / 'other.db'}"
    bench.notebook("n.ipynb", [("where: str = ''", ["parameters"]), ("import os", [])])
    bench.component(
        "n",
        f"""
        notebook: n.ipynb
        parameters: {{where: "{{{{ experiment_id }}}}"}}
        experiment:
          name: churn {{{{ environment }}}} {{{{ partition_key }}}}
          tags: {{team: growth, quarter: 3}}
          tracking_uri: {uri}
        partitions: {{type: static, values: [DE, FR]}}
        """,
    )

    ran = bench.run("n", partition="DE")

    run = recorded(ran, uri)
    assert _experiment_of(run, uri) == "churn dev DE"
    assert (run.data.tags["team"], run.data.tags["quarter"]) == ("growth", "3")
    assert run.data.params == {"where": run.info.experiment_id}


@pytest.mark.parametrize(
    ("cell", "status"),
    [
        ("1 / 0", "FAILED"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "KILLED"),
    ],
    ids=["failed", "killed"],
)
def test_a_run_that_does_not_succeed_ends_as_such(
    bench: Workbench, recorded: Find, cell: str, status: str
) -> None:
    bench.notebook("n.ipynb", ["import dagbook\ndagbook.log_metric('seen', 1)", cell])
    bench.component("n", "notebook: n.ipynb")

    run = recorded(bench.run("n"))

    assert run.info.status == status
    assert run.data.metrics["seen"] == 1.0


def test_mlflow_that_cannot_be_had_is_said_and_the_run_goes_on(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["import mlflow\nmlflow.log_metric('kept', 1)"])
    bench.component(
        "n",
        "notebook: n.ipynb\nexperiment: {tracking_uri: 'sqlite:////proc/nowhere/mlflow.db'}",
    )

    ran = bench.run("n")

    assert ran.success
    assert "mlflow_run" not in ran.metadata
    why = "[Errno 2] No such file or directory: '/proc/nowhere'"
    spool = bench.project.state_folder / SPOOL_FOLDER / f"{ran.result.run_id}-n-1"
    assert [line for line in bench.logs(ran) if "MLflow" in line] == [
        f"MLflow does not answer, and gets this run later: {why}",
        f"MLflow does not take this run now, and gets it later from {spool}: {why}",
    ]
    assert Spool(spool).end is not None


def test_a_server_that_is_down_gets_the_run_when_it_is_back(
    bench: Workbench, mlflow_store: str, tmp_path: Path
) -> None:
    link = tmp_path / "store"
    uri = f"sqlite:///{link}/mlflow.db"
    bench.notebook(
        "n.ipynb",
        [
            ("rate: float = 0.1", ["parameters"]),
            "import dagbook\nfor i in range(5): dagbook.log_metric('loss', i, step=i)",
            "1 / 0",
        ],
    )
    link.write_text("no folder")
    bench.component(
        "n", f"notebook: n.ipynb\nparameters: {{rate: 0.1}}\nexperiment: {{tracking_uri: '{uri}'}}"
    )

    ran = bench.run("n")
    link.unlink()
    link.symlink_to(Path(mlflow_store.removeprefix("sqlite:///")).parent)
    spool = bench.project.state_folder / SPOOL_FOLDER / f"{ran.result.run_id}-n-1"
    deadline = time.monotonic() + 120
    while spool.exists():  # the run's own process may be at it in this very moment
        assert time.monotonic() < deadline
        replay_spools(bench.root, at_once=True)

    from mlflow import MlflowClient

    assert ran.failure.description == "ZeroDivisionError: division by zero in cell 3"
    client = MlflowClient(tracking_uri=mlflow_store)
    experiment = client.get_experiment_by_name("n")
    tag = f"tags.`dagster.run_id` = '{ran.result.run_id}'"
    (run,) = client.search_runs([experiment.experiment_id], filter_string=tag)
    assert run.info.status == "FAILED"
    assert run.data.params == {"rate": "0.1"}
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [m.step for m in history] == [0, 1, 2, 3, 4]
    names = {Path(file.path).suffix for file in client.list_artifacts(run.info.run_id)}
    assert names == {".html", ".ipynb"}


def test_a_refused_run_is_closed(bench: Workbench, mlflow_store: str) -> None:
    bench.notebook("n.ipynb", ["import mlflow"])
    bench.component("n", "notebook: n.ipynb\nkernel: nobody-has-it")

    ran = bench.run("n")

    from mlflow import MlflowClient

    assert not ran.success
    client = MlflowClient(tracking_uri=mlflow_store)
    tag = f"tags.`dagster.run_id` = '{ran.result.run_id}'"
    experiments = [e.experiment_id for e in client.search_experiments()]
    (run,) = client.search_runs(experiments, filter_string=tag)
    assert run.info.status == "FAILED"


def test_how_long_mlflow_calls_wait_is_bounded_and_can_be_said(bench: Workbench) -> None:
    names = ("TIMEOUT", "MAX_RETRIES")
    bench.notebook(
        "n.ipynb",
        [f"import os\nfor n in {names}: print(n, os.environ['MLFLOW_HTTP_REQUEST_' + n])"],
    )
    bench.component("n", "notebook: n.ipynb")

    assert _printed(bench.run("n")) == "TIMEOUT 20\nMAX_RETRIES 4\n"
    os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"] = "7"
    try:
        assert _printed(bench.run("n")) == "TIMEOUT 7\nMAX_RETRIES 4\n"
    finally:
        del os.environ["MLFLOW_HTTP_REQUEST_TIMEOUT"]


def _printed(ran: Ran) -> str:
    document = json.loads(Path(ran.metadata["executed_notebook"]).read_text())
    return "".join(document["cells"][0]["outputs"][0]["text"])


def test_mlflow_that_is_not_installed_is_said_and_the_run_goes_on(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dagbook.notebook_runner.recording.is_installed", lambda: False)
    bench.notebook("n.ipynb", [("where: str = ''", ["parameters"]), "1"])
    bench.component("n", "notebook: n.ipynb")
    bench.component("asks", 'notebook: n.ipynb\nparameters: {where: "{{ experiment_id }}"}')

    ran = bench.run("n")

    assert ran.success
    assert [line for line in bench.logs(ran) if "MLflow" in line] == [
        "MLflow is not installed, so this run is not recorded there: pip install 'dagbook[mlflow]'"
    ]
    assert bench.run("asks").failure.description == (
        "`{{ experiment_id }}` needs MLflow, which does not record this run"
    )


def test_a_notebook_with_a_server_of_its_own_logs_there(
    bench: Workbench, recorded: Find, tmp_path_factory: pytest.TempPathFactory
) -> None:
    own = f"sqlite:///{tmp_path_factory.mktemp('own') / 'own.db'}"
    bench.notebook(
        "n.ipynb", ["import os", f"import mlflow\nmlflow.set_tracking_uri({own!r})", _LOGS]
    )
    bench.component("n", "notebook: n.ipynb")

    ran = bench.run("n")

    from mlflow import MlflowClient

    assert ran.success
    assert "mine" not in recorded(ran).data.metrics
    (run,) = MlflowClient(tracking_uri=own).search_runs(["0"])
    assert run.data.metrics == {"mine": 1.0}


_LOGS = "mlflow.log_metric('mine', 1)"


def test_no_variable_of_ours_is_left_in_this_process(bench: Workbench) -> None:
    before: dict[str, Any] = dict(os.environ)
    bench.notebook("n.ipynb", ["1"])
    bench.component("n", "notebook: n.ipynb")

    bench.run("n")

    assert dict(os.environ) == before


def test_a_credential_that_was_renewed_stays_masked(bench: Workbench) -> None:
    import logging
    from typing import cast

    from dagbook.credentials.delivery import Delivery, Secret
    from dagbook.notebook_runner.asset import NotebookAsset
    from dagbook.notebook_runner.recording import Recording

    recording = Recording(logging.getLogger(__name__), cast("NotebookAsset", None))
    fresh = Delivery(secrets=(Secret("the new word", "new"),))
    told = recording.entrust(
        Delivery(secrets=(Secret("the old word", "old"),), renew=lambda: fresh)
    )
    recording._learn = lambda: None  # type: ignore[method-assign]
    assert told.renew is not None
    told.renew()

    assert recording._shown("the old word, the new word") == "***old***, ***new***"
