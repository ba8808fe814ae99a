"""Brings what a notebook told MLflow itself to MLflow, in the order in which it told it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dagbook.recorder.calls import Call, Ids, length_of, read_calls
from dagbook.recorder.names import artifact_root
from dagbook.sinks.author_files import send_file
from dagbook.sinks.call_groups import CallGroup, groups_of
from dagbook.sinks.mlflow import (
    RECORDING_TAG,
    MlflowError,
    MlflowRun,
    artifact_location,
    point_identity,
)
from dagbook.sinks.place_of_files import confirm_place
from dagbook.sinks.spool import Spool

_UNFINISHED = frozenset({"RUNNING", "SCHEDULED"})


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
        # Those whose files go to no other server than this run.
        self._confirmed: set[tuple[str, str]] = set()
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
        for group in groups_of(read_calls(self._folder, offset)):
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

    def _send(self, group: CallGroup) -> None:
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
            uri, state_folder = self._run.tracking_uri, Spool(self._folder).state_folder
            try:
                made = self._client.create_experiment(
                    name,
                    artifact_location=artifact_location(uri, name, state_folder),
                    tags=call["experiment_tags"],
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

    def _send_log(self, group: CallGroup) -> None:
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
            tags = [InputTag(tag["key"], tag.get("value", "")) for tag in item.get("tags", ())]
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
        owner = self._ids.of(call["owner"])
        self._confirm_place(call["kind"], owner)
        send_file(self._client, call, owner, self._folder, self._text, self._uploading)

    def _confirm_place(self, kind: str, owner: str) -> None:
        if (kind, owner) not in self._confirmed:
            confirm_place(self._artifact_uri(kind, owner), self._run.tracking_uri)
            self._confirmed.add((kind, owner))

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


def _identity_of(metric: Mapping[str, Any]) -> tuple[str, int, int, str]:
    return point_identity(
        metric["key"], metric["step"], metric["timestamp"], float(metric["value"])
    )
