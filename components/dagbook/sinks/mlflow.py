"""Each run as an MLflow run, on a store inside the project or on a server that is named."""

from __future__ import annotations

import fcntl
import importlib.util
import math
import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.execution.page import BACKGROUND_IMPORT
from dagbook.execution.result import ExecutionResult, RunStatus

if TYPE_CHECKING:
    from mlflow import MlflowClient

_STATUS = {
    RunStatus.SUCCEEDED: "FINISHED",
    RunStatus.FAILED: "FAILED",
    RunStatus.REFUSED: "FAILED",
    RunStatus.KILLED: "KILLED",
    RunStatus.TIMED_OUT: "KILLED",
    RunStatus.CANCELLED: "KILLED",
}

# MLflow's own limits.
_BATCH = 1000
_PARAMETER_BATCH = 100
_VALUE_LENGTH = 6000
_NAME_LENGTH = 250
_NO_NAME = re.compile(r"[^\w\-./ :]")

# What is measured of the run's processes stands under "System metrics".
_SYSTEM = "system/"


class MlflowError(Exception):
    """MLflow could not be reached or refused; the text is its own, on one line."""


@dataclass
class MlflowRun:
    """One run in MLflow, from its start to its end."""

    client: MlflowClient
    run_id: str
    experiment_id: str
    tracking_uri: str

    @property
    def environment(self) -> dict[str, str]:
        """Variables with which `mlflow.*` calls in a kernel land in this run."""
        return {
            "MLFLOW_TRACKING_URI": self.tracking_uri,
            "MLFLOW_RUN_ID": self.run_id,
            "MLFLOW_EXPERIMENT_ID": self.experiment_id,
        }

    @property
    def url(self) -> str | None:
        """The run's page, where a server shows one."""
        if not _is_server(self.tracking_uri):
            return None
        server = self.tracking_uri.rstrip("/")
        return f"{server}/#/experiments/{self.experiment_id}/runs/{self.run_id}"

    def finish(self, result: ExecutionResult, measurements: Mapping[str, float]) -> list[str]:
        """Complete the run: parameters, metrics, the executed notebook, how it ended.

        What the notebook logged itself is left as it is.

        Returns:
            What could not be recorded, in words.
        """
        notes: list[str] = []
        parts: list[tuple[str, Callable[[], None]]] = [
            ("the metrics were not recorded", lambda: self._log_values(result, measurements)),
            ("the notebook was not recorded", lambda: self._log_files(result)),
            ("the end was not recorded", lambda: self._end(result.status)),
        ]
        for failed, part in parts:
            try:
                part()
            except Exception as error:
                notes.append(f"{failed}: {_one_line(error)}")
        return notes

    def end(self, status: RunStatus) -> None:
        """Say how the run ended, and nothing else."""
        try:
            self._end(status)
        except Exception:
            pass  # a run that stays open in MLflow is no reason to fail one in Dagster

    def _end(self, status: RunStatus) -> None:
        self.client.set_terminated(self.run_id, _STATUS[status])

    def _log_values(self, result: ExecutionResult, measurements: Mapping[str, float]) -> None:
        from mlflow.entities import Metric, Param

        logged = self.client.get_run(self.run_id).data
        ended = int((result.started_at + result.duration_seconds) * 1000)
        metrics = [
            Metric(_name(p.name), p.value, int(p.timestamp * 1000), p.step or 0)
            for p in result.metrics
            # Reported to us and to MLflow: its author's own series is the one to keep.
            if _name(p.name) not in logged.metrics
        ]
        metrics += [
            Metric(_SYSTEM + name, value, ended, 0)
            for name, value in measurements.items()
            if math.isfinite(value)
        ]
        params = [
            Param(_name(name), str(value)[:_VALUE_LENGTH])
            for name, value in result.parameters.items()
            if _name(name) not in logged.params
        ]
        for start in range(0, len(metrics), _BATCH):
            self.client.log_batch(self.run_id, metrics=metrics[start : start + _BATCH])
        for start in range(0, len(params), _PARAMETER_BATCH):
            self.client.log_batch(self.run_id, params=params[start : start + _PARAMETER_BATCH])

    def _log_files(self, result: ExecutionResult) -> None:
        for path in (result.executed_notebook, result.executed_html):
            if path is not None:
                self.client.log_artifact(self.run_id, str(path))


def is_installed() -> bool:
    """Whether MLflow can be imported, without the three seconds that importing it takes."""
    return importlib.util.find_spec("mlflow") is not None


def start_run(
    *,
    experiment: str,
    run_name: str,
    tags: Mapping[str, str],
    notebook: str,
    state_folder: Path,
    tracking_uri: str | None = None,
) -> MlflowRun:
    """Start a run in an experiment, which is made if it does not exist.

    Args:
        experiment: the experiment's name.
        run_name: what the run is called in MLflow.
        tags: tags of the run.
        notebook: what MLflow shows as the run's source.
        state_folder: where the store lies when no server is named.
        tracking_uri: the server; by default MLFLOW_TRACKING_URI, else the store.

    Raises:
        MlflowError: it could not be started.
    """
    try:
        return _start_run(experiment, run_name, dict(tags), notebook, state_folder, tracking_uri)
    except MlflowError:
        raise
    except Exception as error:
        raise MlflowError(_one_line(error)) from error


def embedded_store(state_folder: Path) -> str:
    """The address of the store inside a project: a database and a folder of artifacts."""
    return f"sqlite:///{state_folder.absolute() / 'mlflow.db'}"


def tracking_uri(named: str | None, state_folder: Path) -> str:
    """Where runs are recorded: the server that is named, else the store inside the project.

    A relative path is one from the project, so that it means the same in a kernel, which works
    in another folder.
    """
    uri = named or os.environ.get("MLFLOW_TRACKING_URI")
    if not uri:
        return embedded_store(state_folder)
    root = state_folder.absolute().parent
    path = re.fullmatch(r"(sqlite:///)?(?!/)([^:]+)", uri)
    if path is None or uri.startswith(("databricks", "uc")):
        return uri
    return f"{path[1] or ''}{root / path[2]}"


def store_is_ready(named: str | None, state_folder: Path) -> bool:
    """Whether the store is a server's concern, or has its tables: making them takes seconds."""
    is_embedded = tracking_uri(named, state_folder) == embedded_store(state_folder)
    return not is_embedded or (state_folder / "mlflow.db").exists()


def _start_run(
    experiment: str,
    run_name: str,
    tags: dict[str, str],
    notebook: str,
    state_folder: Path,
    named: str | None,
) -> MlflowRun:
    uri = tracking_uri(named, state_folder)
    is_embedded = uri == embedded_store(state_folder)
    if _is_server(uri):
        # MLflow's own patience with a server that is down is four minutes per call.
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    # The notebook's page is made by another large package, imported at the same time.
    with BACKGROUND_IMPORT:
        from mlflow import MlflowClient

    with _one_at_a_time(state_folder if is_embedded else None):
        client = MlflowClient(tracking_uri=uri)
        artifacts = (state_folder.absolute() / "mlartifacts").as_uri() if is_embedded else None
        experiment_id = _experiment_id(client, experiment, artifacts)
    run = client.create_run(
        experiment_id,
        run_name=run_name,
        tags={"mlflow.source.name": notebook, "mlflow.source.type": "NOTEBOOK", **tags},
    )
    return MlflowRun(client, run.info.run_id, experiment_id, uri)


def _experiment_id(client: MlflowClient, name: str, artifacts: str | None) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
            location = f"{artifacts}/{_NO_NAME.sub('_', name)}" if artifacts else None
            return str(client.create_experiment(name, artifact_location=location))
        except MlflowException:
            # Somebody else made it in this moment.
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    if found.lifecycle_stage == "deleted":
        raise MlflowError(
            f"the experiment {name!r} was deleted: restore it, or give another name as "
            "`experiment.name`"
        )
    return str(found.experiment_id)


@contextmanager
def _one_at_a_time(state_folder: Path | None) -> Iterator[None]:
    # Two processes that make the tables of a new database at once can break it.
    if state_folder is None:
        yield
        return
    state_folder.mkdir(parents=True, exist_ok=True)
    with (state_folder / "mlflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _is_server(uri: str) -> bool:
    return uri.startswith(("http://", "https://"))


def _name(name: str) -> str:
    return _NO_NAME.sub("_", name)[:_NAME_LENGTH]


def _one_line(error: Any) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
