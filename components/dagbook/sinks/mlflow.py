"""One run in MLflow, on a store inside the project or on a server that is named."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dagbook.execution.result import MetricPoint, RunStatus
from dagbook.private_mode import make_private_folder

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

#: MLflow's own limit for points sent together.
BATCH = 1000
# More of MLflow's limits.
_PARAMETER_BATCH = 100
_VALUE_LENGTH = 6000
_NAME_LENGTH = 250
_NO_NAME = re.compile(r"[^\w\-./ :]")

#: The tag by which a run is found again whose making was not confirmed.
RECORDING_TAG = "dagbook.recording"

# Of a client's refusals these may be over tomorrow: no credentials, a time-out, too many at once.
_NOT_FOR_GOOD = frozenset({401, 403, 408, 429})

# What one point is to MLflow: name, step, milliseconds, value.
Identity = tuple[str, int, int, str]


class MlflowError(Exception):
    """MLflow refuses for good; the text says why, in one line."""


@dataclass
class MlflowRun:
    """One run in MLflow."""

    client: MlflowClient
    run_id: str
    experiment_id: str
    tracking_uri: str

    def logged(self) -> tuple[set[str], set[str]]:
        """The names of the metrics and of the parameters it has."""
        data = self.client.get_run(self.run_id).data
        return set(data.metrics), set(data.params)

    def history(self, name: str) -> set[Identity]:
        """The points of one metric that it has."""
        history = self.client.get_metric_history(self.run_id, metric_name(name))
        return {point_identity(m.key, m.step, m.timestamp, m.value) for m in history}

    def log_points(self, points: Iterable[MetricPoint]) -> None:
        """Add points, at most `BATCH`."""
        from mlflow.entities import Metric

        metrics = [
            Metric(metric_name(p.name), p.value, int(p.timestamp * 1000), p.step or 0)
            for p in points
        ]
        if metrics:
            self.client.log_batch(self.run_id, metrics=metrics, synchronous=True)

    def log_parameters(self, parameters: Mapping[str, str]) -> None:
        """Add the parameters it does not have yet."""
        from mlflow.entities import Param

        _, logged = self.logged()
        params = [
            Param(metric_name(name), value[:_VALUE_LENGTH])
            for name, value in parameters.items()
            if metric_name(name) not in logged
        ]
        for start in range(0, len(params), _PARAMETER_BATCH):
            batch = params[start : start + _PARAMETER_BATCH]
            self.client.log_batch(self.run_id, params=batch, synchronous=True)

    def artifact_uri(self) -> str:
        """Where its files lie."""
        return str(self.client.get_run(self.run_id).info.artifact_uri)

    def log_file(self, path: Path) -> None:
        """Keep a file with it."""
        self.client.log_artifact(self.run_id, str(path))

    def end(self, status: RunStatus, ended_at: float) -> None:
        """Say how and when the run ended."""
        self.client.set_terminated(self.run_id, _STATUS[status], int(ended_at * 1000))


def is_installed() -> bool:
    """Whether MLflow can be imported, without the three seconds that importing it takes."""
    return importlib.util.find_spec("mlflow") is not None


def find_experiment(uri: str, name: str, state_folder: Path) -> tuple[MlflowClient, str]:
    """The client of a store, and an experiment in it, which is made if it does not exist.

    Raises:
        MlflowError: the experiment was deleted.
        Exception: whatever MLflow raises when it cannot be reached; see `is_final`.
    """
    from mlflow import MlflowClient

    is_embedded = uri == embedded_store(state_folder)
    with _one_at_a_time(state_folder if is_embedded else None):
        client = MlflowClient(tracking_uri=uri)
        return client, _experiment_id(client, name, artifact_location(uri, name, state_folder))


def create_run(
    client: MlflowClient,
    experiment_id: str,
    *,
    uri: str,
    run_name: str,
    tags: Mapping[str, str],
    notebook: str,
    started_at: float,
    recording: str,
) -> MlflowRun:
    """Start a run in an experiment, tagged with the name of its recording."""
    own = {
        "mlflow.source.name": notebook,
        "mlflow.source.type": "NOTEBOOK",
        RECORDING_TAG: recording,
    }
    run = client.create_run(
        experiment_id,
        start_time=int(started_at * 1000),
        run_name=run_name,
        tags={**own, **tags},
    )
    return MlflowRun(client, run.info.run_id, experiment_id, uri)


def find_run(
    client: MlflowClient, experiment_id: str, *, uri: str, recording: str
) -> MlflowRun | None:
    """The run that was made for a recording, where one was, confirmed or not."""
    found = client.search_runs(
        [experiment_id], filter_string=f"tags.`{RECORDING_TAG}` = '{recording}'", max_results=1
    )
    return MlflowRun(client, found[0].info.run_id, experiment_id, uri) if found else None


def embedded_store(state_folder: Path) -> str:
    """The address of the store inside a project: a database and a folder of artifacts."""
    return f"sqlite:///{state_folder.absolute() / 'mlflow.db'}"


def artifact_folder(state_folder: Path) -> str:
    """The address of the folder of artifacts of the store inside a project."""
    return (state_folder.absolute() / "mlartifacts").as_uri()


def artifact_location(uri: str, experiment: str, state_folder: Path) -> str | None:
    """Where the files of a new experiment lie; None where the store says so itself.

    MLflow's client has the files of a database without a server in the folder it is started in.
    """
    if uri != embedded_store(state_folder):
        return None
    return f"{artifact_folder(state_folder)}/{_NO_NAME.sub('_', experiment)}"


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


def without_login(uri: str) -> str:
    """An address as it may be written down: without user name, password and query."""
    try:
        parts = urlsplit(uri)
    except ValueError:
        return uri.partition("://")[0]
    if not parts.netloc:
        return uri
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def store_is_ready(named: str | None, state_folder: Path) -> bool:
    """Whether the store is a server's concern, or has its tables: making them takes seconds."""
    is_embedded = tracking_uri(named, state_folder) == embedded_store(state_folder)
    return not is_embedded or (state_folder / "mlflow.db").exists()


def run_url(uri: str, experiment_id: str, run_id: str) -> str | None:
    """A run's page, where a server shows one."""
    if not is_server(uri):
        return None
    return f"{without_login(uri).rstrip('/')}/#/experiments/{experiment_id}/runs/{run_id}"


def is_server(uri: str) -> bool:
    """Whether runs are recorded through HTTP."""
    return uri.startswith(("http://", "https://"))


def is_final(error: Exception, uri: str) -> bool:
    """Whether MLflow said no, as opposed to nothing: to ask again would bring the same answer."""
    if isinstance(error, MlflowError):
        return True
    # Only what has come from there can have raised anything of its own.
    exceptions = sys.modules.get("mlflow.exceptions")
    if exceptions is None:
        return False
    # From a server an answer in MLflow's own words: a page of a proxy in between is none.
    kind = exceptions.RestException if is_server(uri) else exceptions.MlflowException
    if not isinstance(error, kind):
        return False
    status = error.get_http_status_code()
    return 400 <= status < 500 and status not in _NOT_FOR_GOOD


def metric_name(name: str) -> str:
    """A name as MLflow takes it."""
    return _NO_NAME.sub("_", name)[:_NAME_LENGTH]


def identity(point: MetricPoint) -> Identity:
    """What makes a point the same as one that MLflow has."""
    return point_identity(
        metric_name(point.name), point.step or 0, int(point.timestamp * 1000), point.value
    )


def one_line(error: BaseException) -> str:
    """What an exception says, on one line, without a login that stands in an address."""
    lines = str(error).strip().splitlines()
    text = re.sub(r"://[^/\s]*@", "://", lines[0]) if lines else ""
    return text or type(error).__name__


def point_identity(name: str, step: int, milliseconds: int, value: float) -> Identity:
    """What one point is to MLflow."""
    # Databases have no infinity: MLflow keeps the largest number instead.
    kept = max(-sys.float_info.max, min(sys.float_info.max, value)) if value == value else value
    return name, step, milliseconds, repr(float(kept))


def _experiment_id(client: MlflowClient, name: str, location: str | None) -> str:
    from mlflow.exceptions import MlflowException

    found = client.get_experiment_by_name(name)
    if found is None:
        try:
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
    make_private_folder(state_folder)
    with (state_folder / "mlflow.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
