"""Brings what a notebook told MLflow itself to MLflow, in the order in which it told it."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagbook.recorder.calls import Call, Ids, length_of, read_calls
from dagbook.recorder.names import artifact_root
from dagbook.sinks.mlflow import BATCH, RECORDING_TAG, MlflowError, MlflowRun, point_identity

#: Texts up to this length are looked through for names of ours, in bytes.
MOST_TRANSLATED = 4 * 1024 * 1024

_PARAMETER_BATCH = 100
# MLflow takes a megabyte at a time; one call may add as much again.
_MOST_TEXT = 200_000
# From this length on a file takes its time, and how much it is given.
_LARGE_BYTES, _LARGE_SECONDS, _LEAST_BYTES_PER_SECOND = 8 * 1024**2, 60.0, 2 * 1024**2
_TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"
_UNFINISHED = frozenset({"RUNNING", "SCHEDULED"})


@dataclass
class _Group:
    """Calls that are sent as one, and the offset after them."""

    call: Call
    offset: int
    metrics: list[dict[str, Any]] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def take(self, call: Call, offset: int) -> bool:
        """Join a call to it; False where it does not belong."""
        if not call["call"] == self.call["call"] == "log" or call["run"] != self.call["run"]:
            return False
        if (
            _count(self) + sum(len(call[part]) for part in ("metrics", "params", "tags")) > BATCH
            or len(self.params) + len(call["params"]) > _PARAMETER_BATCH
            or len(self.tags) + len(call["tags"]) > _PARAMETER_BATCH
            or _text_length(self.params, self.tags) > _MOST_TEXT
        ):
            return False
        self._add(call)
        self.offset = offset
        return True

    def _add(self, call: Call) -> None:
        if call["call"] == "log":
            self.metrics += call["metrics"]
            self.params.update(call["params"])
            self.tags.update(call["tags"])

    @classmethod
    def of(cls, call: Call, offset: int) -> _Group:
        group = cls(call, offset)
        group._add(call)
        return group


class AuthorCalls:
    """The calls of one run on their way."""

    def __init__(self, folder: Path, run: MlflowRun, uploading: Callable[[float], None]) -> None:
        """Those of a folder of the spool.

        Args:
            folder: it.
            run: the run that the notebook is recorded in.
            uploading: told that a large file is sent now, and how many seconds that may take.
        """
        self._uploading = uploading
        self._folder, self._run, self._client = folder, run, run.client
        self._ids = Ids(folder)
        self._ids.refresh()
        self._managed: str | None = None
        #: The names of the metrics that the notebook logs into its own run.
        self.metrics: set[str] = set()
        # The runs and models that it made, whether or not MLflow took them.
        self._made: set[str] = set()
        # What was sent before without an answer may have arrived: the first group after that.
        self._is_in_doubt = True

    def send(self, offset: int, refused: Callable[[str, Exception], None]) -> Iterator[int]:
        """Send what comes after an offset; yields the offset after each that was sent.

        Args:
            offset: up to where it was sent before.
            refused: told what cannot be sent and why; it raises what may be sent later.

        Raises:
            Exception: MLflow does not answer.
        """
        if self._managed is None:
            self._find_managed(offset)
        # What comes meanwhile is for the next round: others have something to send as well.
        length = length_of(self._folder)
        for group in _groups(read_calls(self._folder, offset)):
            try:
                self._send(group)
            except Exception as error:
                self._is_in_doubt = True
                refused(_WHAT.get(group.call["call"], "a call"), error)
            self._is_in_doubt = False
            yield group.offset
            if group.offset >= length:
                return

    def _find_managed(self, offset: int) -> None:
        for call, after in read_calls(self._folder):
            if call["call"] == "managed":
                self._meet(call)
            elif call["call"] == "log" and call["run"] == self._managed and after <= offset:
                self.metrics.update(m["key"] for m in call["metrics"])
            self._know_made(call)
            if after >= offset:
                return

    def _know_made(self, call: Call) -> None:
        if call["call"] in ("run", "model"):
            self._made.add(call[call["call"]])

    def _meet(self, call: Call) -> None:
        """Learn what the notebook calls the run it is recorded in, and the experiment of that."""
        self._managed = call["run"]
        self._name(call["experiment"], self._run.experiment_id)
        self._name(call["run"], self._run.run_id, "run")

    def _name(self, ours: str, theirs: str, kind: str | None = None) -> None:
        names = {} if ours == theirs else {ours: theirs}
        if kind is not None and artifact_root(kind, ours) not in self._ids:
            names[artifact_root(kind, ours)] = self._artifact_uri(kind, theirs)
        new = {name: value for name, value in names.items() if self._ids.of(name) != value}
        if new:
            self._ids.add(new)

    def _artifact_uri(self, kind: str, theirs: str) -> str:
        if kind == "run":
            return str(self._client.get_run(theirs).info.artifact_uri)
        return str(self._client.get_logged_model(theirs).artifact_location)

    def _send(self, group: _Group) -> None:
        call = group.call
        self._know_made(call)
        for name in ("run", "model"):
            if call.get(name) and call["call"] not in ("run", "model", "managed"):
                self._has_arrived(call[name])
        getattr(self, f"_send_{call['call']}")(group if call["call"] == "log" else call)

    def _has_arrived(self, name: str) -> None:
        """Raise where a run or model of ours could not be made: what is about it cannot be sent."""
        if name in self._made and name not in self._ids:
            raise MlflowError(f"{name} could not be made")

    def _send_managed(self, call: Call) -> None:
        self._meet(call)

    # Experiments

    def _send_experiment(self, call: Call) -> None:
        from mlflow.exceptions import MlflowException

        name = call["experiment_name"]
        found = self._client.get_experiment_by_name(name)
        if found is None:
            location = call.get("artifact_location")
            try:
                made = self._client.create_experiment(
                    name, artifact_location=location, tags=call["experiment_tags"]
                )
            except MlflowException:
                # Somebody else made it in this moment.
                found = self._client.get_experiment_by_name(name)
                if found is None:
                    raise
        self._name(call["experiment"], str(found.experiment_id if found else made))

    def _send_experiment_tag(self, call: Call) -> None:
        experiment = self._ids.of(call["experiment"])
        self._client.set_experiment_tag(experiment, call["key"], self._text(call["value"]))

    # Runs

    def _send_run(self, call: Call) -> None:
        experiment, name = self._ids.of(call["experiment"]), self._recording(call["run"])
        found = None
        if self._is_in_doubt:
            runs = self._client.search_runs(
                [experiment], filter_string=f"tags.`{RECORDING_TAG}` = '{name}'", max_results=1
            )
            found = runs[0] if runs else None
        if found is None:
            tags = {**self._texts(call["tags"]), RECORDING_TAG: name}
            found = self._client.create_run(
                experiment, start_time=call["time"], run_name=call["name"], tags=tags
            )
        self._ids.add({artifact_root("run", call["run"]): found.info.artifact_uri})
        self._name(call["run"], found.info.run_id)

    def _send_log(self, group: _Group) -> None:
        from mlflow.entities import Metric, Param, RunTag

        run_id = self._ids.of(group.call["run"])
        metrics = [
            Metric(
                m["key"],
                m["value"],
                m["timestamp"],
                m["step"],
                model_id=self._ids.of(m["model_id"]) if m.get("model_id") else None,
                dataset_name=m.get("dataset_name"),
                dataset_digest=m.get("dataset_digest"),
                run_id=run_id if m.get("model_id") else None,
            )
            for m in self._unsent(run_id, group.metrics)
        ]
        params = [Param(key, self._text(value)) for key, value in group.params.items()]
        tags = [RunTag(key, self._text(value)) for key, value in group.tags.items()]
        if group.call["run"] == self._managed:
            self.metrics.update(m["key"] for m in group.metrics)
        if metrics or params or tags:
            self._client.log_batch(run_id, metrics, params, tags, synchronous=True)

    def _unsent(self, run_id: str, metrics: list[dict[str, Any]]) -> list[dict[str, Any]]:
        if not (self._is_in_doubt and metrics):
            return metrics
        run = MlflowRun(self._client, run_id, "", self._run.tracking_uri)
        logged, _ = run.logged()
        names = {m["key"] for m in metrics} & logged
        there = set().union(*(run.history(name) for name in names))
        return [m for m in metrics if _identity_of(m) not in there]

    def _send_untag(self, call: Call) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self._client.delete_tag(self._ids.of(call["run"]), call["key"])
        except MlflowException as error:
            # Removed before, without an answer.
            if not (self._is_in_doubt and error.error_code == "RESOURCE_DOES_NOT_EXIST"):
                raise

    def _send_update(self, call: Call) -> None:
        run_id, status, name = self._ids.of(call["run"]), call.get("status"), call.get("name")
        if call["run"] == self._managed:
            status = None  # how that ends is what its runner says
        if name is not None or status in _UNFINISHED:
            self._client.update_run(run_id, status, name)
        if status is not None and status not in _UNFINISHED:
            self._client.set_terminated(run_id, status, call.get("end_time"))

    def _send_stage(self, call: Call) -> None:
        run_id = self._ids.of(call["run"])
        if call["stage"] == "deleted":
            self._client.delete_run(run_id)
        else:
            self._client.restore_run(run_id)

    def _send_inputs(self, call: Call) -> None:
        from mlflow.entities import Dataset, DatasetInput, InputTag, LoggedModelInput

        datasets = []
        for item in call["datasets"]:
            own = item["dataset"]
            told = [own.get(n) for n in ("name", "digest", "source_type", "source")]
            tags = [InputTag(tag["key"], tag["value"]) for tag in item.get("tags", ())]
            dataset = Dataset(*told, schema=own.get("schema"), profile=own.get("profile"))
            datasets.append(DatasetInput(dataset, tags))
        models = [LoggedModelInput(self._ids.of(m["model_id"])) for m in call["models"]]
        self._client.log_inputs(self._ids.of(call["run"]), datasets or None, models or None)

    def _send_outputs(self, call: Call) -> None:
        from mlflow.entities import LoggedModelOutput

        models = [
            LoggedModelOutput(self._ids.of(m["model_id"]), int(m.get("step", 0)))
            for m in call["models"]
        ]
        self._client.log_outputs(self._ids.of(call["run"]), models)

    # Models

    def _send_model(self, call: Call) -> None:
        experiment, name = self._ids.of(call["experiment"]), self._recording(call["model"])
        found = None
        if self._is_in_doubt:
            models = self._client.search_logged_models(
                [experiment], filter_string=f"tags.`{RECORDING_TAG}` = '{name}'", max_results=1
            )
            found = models[0] if models else None
        if found is None:
            found = self._client.create_logged_model(
                experiment,
                name=call["name"],
                source_run_id=self._ids.of(call["run"]) if call["run"] else None,
                tags={**self._texts(call["tags"]), RECORDING_TAG: name},
                params=self._texts(call["params"]),
                model_type=call["model_type"] or None,
            )
        self._ids.add({artifact_root("model", call["model"]): found.artifact_location})
        self._name(call["model"], found.model_id)

    def _send_model_params(self, call: Call) -> None:
        self._client.log_model_params(self._ids.of(call["model"]), self._texts(call["params"]))

    def _send_model_tags(self, call: Call) -> None:
        self._client.set_logged_model_tags(self._ids.of(call["model"]), self._texts(call["tags"]))

    def _send_model_untag(self, call: Call) -> None:
        self._client.delete_logged_model_tag(self._ids.of(call["model"]), call["key"])

    def _send_finalize(self, call: Call) -> None:
        from mlflow.entities import LoggedModelStatus

        status = LoggedModelStatus(_MODEL_STATUS[call["status"]])
        self._client.finalize_logged_model(self._ids.of(call["model"]), status)

    def _send_delete_model(self, call: Call) -> None:
        self._client.delete_logged_model(self._ids.of(call["model"]))

    # Files

    def _send_artifact(self, call: Call) -> None:
        self._has_arrived(call["owner"])
        owner, below = self._ids.of(call["owner"]), call["path"].rpartition("/")[0] or None
        with self._patience(call["bytes"]):
            self._upload(call, owner, below)

    @contextmanager
    def _patience(self, length: int) -> Iterator[None]:
        """Wait longer for the answer about a large file, which the server has to store first."""
        if length < _LARGE_BYTES:
            yield
            return
        seconds = _LARGE_SECONDS + length / _LEAST_BYTES_PER_SECOND
        before = os.environ.get(_TIMEOUT)
        os.environ[_TIMEOUT] = str(max(int(seconds), int(before or 0)))
        self._uploading(seconds)
        try:
            yield
        finally:
            if before is None:
                del os.environ[_TIMEOUT]
            else:
                os.environ[_TIMEOUT] = before

    def _upload(self, call: Call, owner: str, below: str | None) -> None:
        # Beside the file, so that it can be linked.
        with tempfile.TemporaryDirectory(dir=self._folder) as folder:
            path = self._translated(self._folder / call["file"], Path(folder))
            if call["kind"] == "run":
                self._client.log_artifact(owner, str(path), below)
                return
            # Of a model whole folders only: so the file lies in one that is its own.
            whole = Path(folder) / "model"
            (whole / (below or "")).mkdir(parents=True)
            _link(path, whole / call["path"])
            self._client.log_model_artifacts(owner, str(whole))

    def _translated(self, path: Path, folder: Path) -> Path:
        """The file as the server understands it: a model's description names its run."""
        if path.stat().st_size > MOST_TRANSLATED:
            return path
        try:
            text = path.read_bytes().decode()
        except UnicodeDecodeError:
            return path
        told = self._text(text)
        if told == text:
            return path
        (folder / path.name).write_bytes(told.encode())
        return folder / path.name

    # Texts

    def _text(self, text: str) -> str:
        return self._ids.translate(text)

    def _texts(self, texts: Mapping[str, str]) -> dict[str, str]:
        return {key: self._text(value) for key, value in texts.items()}

    def _recording(self, name: str) -> str:
        return f"{self._folder.name}/{re.sub(r'[^a-z0-9-]', '', name)}"


_WHAT = {
    "experiment": "an experiment of the notebook's was not made",
    "run": "a run of the notebook's was not made",
    "log": "some of what the notebook logs itself was not recorded",
    "model": "a model of the notebook's was not recorded",
    "artifact": "a file of the notebook's was not recorded",
}
_MODEL_STATUS = {
    "LOGGED_MODEL_PENDING": "PENDING",
    "LOGGED_MODEL_READY": "READY",
    "LOGGED_MODEL_UPLOAD_FAILED": "FAILED",
}


def _groups(calls: Iterator[tuple[Call, int]]) -> Iterator[_Group]:
    """Calls that follow each other and can be sent as one are; MLflow counts in batches."""
    group: _Group | None = None
    for call, offset in calls:
        if group is not None and group.take(call, offset):
            continue
        if group is not None:
            yield group
        group = _Group.of(call, offset)
    if group is not None:
        yield group


def _count(group: _Group) -> int:
    return len(group.metrics) + len(group.params) + len(group.tags)


def _text_length(*texts: Mapping[str, str]) -> int:
    return sum(len(name) + len(value) for some in texts for name, value in some.items())


def _identity_of(metric: Mapping[str, Any]) -> tuple[str, int, int, str]:
    return point_identity(
        metric["key"], metric["step"], metric["timestamp"], float(metric["value"])
    )


def _link(path: Path, to: Path) -> None:
    try:
        to.hardlink_to(path)
    except OSError:
        shutil.copyfile(path, to)
