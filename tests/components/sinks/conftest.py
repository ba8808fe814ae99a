"""One embedded store and one real server for all tests of the sinks: both start slowly."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from dagbook.execution.result import MetricPoint, RunStatus
from dagbook.sinks.delivery import Delivery
from dagbook.sinks.mlflow import embedded_store
from dagbook.sinks.spool import SPOOL_FOLDER, End, Head, OwnSpool, Spool

NOW = 4_000_000_000.0  # far away: what is old is set aside


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")


@pytest.fixture(scope="session")
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One project's folder of state, with a store in it: making its tables takes seconds."""
    return tmp_path_factory.mktemp("project") / ".dagbook"


@pytest.fixture(scope="session")
def server(mlflow_server: str) -> str:
    """A real MLflow server over SQLite."""
    return mlflow_server


class Bench:
    """Makes folders of the spool and delivers them in this process."""

    def __init__(self, state_folder: Path, tmp_path: Path) -> None:
        self.state_folder, self.folder = state_folder, tmp_path

    def spool(self, name: str = "run", **head: Any) -> OwnSpool:
        options: dict[str, Any] = {
            "experiment": "churn",
            "run_name": "2026-01-01",
            "tags": {"team": "growth"},
            "notebook": "churn.ipynb",
            "tracking_uri": None,
            "started_at": NOW,
            "output_folder": str(self.folder / "runs"),
        }
        name = f"{self.folder.name}-{name}"
        return OwnSpool(self.state_folder / SPOOL_FOLDER / name, Head(**{**options, **head}))

    def end(self, **more: Any) -> End:
        notebook = self.folder / "executed.ipynb"
        notebook.write_text("{}")
        page = notebook.with_suffix(".html")
        page.write_text("<p>")
        options: dict[str, Any] = {
            "status": RunStatus.SUCCEEDED,
            "ended_at": NOW + 10,
            "parameters": {"rate": "0.1", "words": "['a']", "long": "x" * 7000},
            "measurements": {"runtime_seconds": 10.0},
            "files": [str(notebook), str(page)],
        }
        return End(**{**options, **more})

    def deliver(self, spool: Spool, **options: Any) -> Delivery:
        """One round; the state tells what came of it once it is over."""
        delivery = Delivery(Spool(spool.folder), **options)
        delivery.advance()
        delivery.give_up_lock()
        return delivery

    def run_of(self, spool: Spool, uri: str | None = None) -> Any:
        """The run in MLflow, found by its tag; there must be one and no more."""
        (run,) = self.client(uri).search_runs(
            [e.experiment_id for e in self.client(uri).search_experiments()],
            filter_string=f"tags.`dagbook.recording` = '{spool.folder.name}'",
        )
        return run

    def client(self, uri: str | None = None) -> Any:
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=uri or embedded_store(self.state_folder))

    def history(self, spool: Spool, name: str, uri: str | None = None) -> list[tuple[int, float]]:
        run = self.run_of(spool, uri)
        history = self.client(uri).get_metric_history(run.info.run_id, name)
        return sorted((m.step, m.value) for m in history)


@pytest.fixture
def bench(state_folder: Path, tmp_path: Path) -> Bench:
    return Bench(state_folder, tmp_path)


def points(steps: Sequence[int], name: str = "loss") -> list[MetricPoint]:
    """One point for each step."""
    return [MetricPoint(name, 1 / (step + 1), step, NOW + step) for step in steps]


@pytest.fixture
def make_points() -> Callable[..., list[MetricPoint]]:
    return points
