"""What the notebook has told so far, so that it can read its own words back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagbook.recorder.calls import Call
from dagbook.recorder.names import artifact_root

#: MLflow's words for the end of a model's upload.
MODEL_PENDING = "LOGGED_MODEL_PENDING"


@dataclass
class OwnExperiment:
    """An experiment that the notebook made, or that its run is recorded in."""

    experiment_id: str
    name: str
    tags: dict[str, str] = field(default_factory=dict)
    created: int = 0

    def as_json(self) -> dict[str, Any]:
        """It in MLflow's words."""
        return {
            "experiment_id": self.experiment_id,
            "name": self.name,
            "artifact_location": f"mlflow-artifacts:/dagbook/experiment/{self.experiment_id}",
            "lifecycle_stage": "active",
            "creation_time": self.created,
            "last_update_time": self.created,
            "tags": pairs(self.tags),
        }


@dataclass
class OwnRun:
    """A run that the notebook made, or the one it is recorded in."""

    run_id: str
    experiment_id: str
    name: str
    user: str
    started: int
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, dict[str, Any]] = field(default_factory=dict)
    status: str = "RUNNING"
    ended: int | None = None
    stage: str = "active"
    datasets: list[dict[str, Any]] = field(default_factory=list)
    models_in: list[dict[str, Any]] = field(default_factory=list)
    models_out: list[dict[str, Any]] = field(default_factory=list)

    def info(self) -> dict[str, Any]:
        """What MLflow calls its info."""
        return {
            "run_id": self.run_id,
            "run_uuid": self.run_id,
            "run_name": self.name,
            "experiment_id": self.experiment_id,
            "user_id": self.user,
            "status": self.status,
            "start_time": self.started,
            **({} if self.ended is None else {"end_time": self.ended}),
            "artifact_uri": artifact_root("run", self.run_id),
            "lifecycle_stage": self.stage,
        }

    def as_json(self) -> dict[str, Any]:
        """It in MLflow's words."""
        return {
            "info": self.info(),
            "data": {
                "metrics": [metric_json(m) for m in self.metrics.values()],
                "params": pairs(self.params),
                "tags": pairs(self.tags),
            },
            "inputs": {"dataset_inputs": self.datasets, "model_inputs": self.models_in},
            "outputs": {"model_outputs": self.models_out},
        }


@dataclass
class OwnModel:
    """A model that the notebook logged."""

    model_id: str
    experiment_id: str
    name: str
    model_type: str
    run_id: str
    created: int
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    status: str = MODEL_PENDING

    def as_json(self) -> dict[str, Any]:
        """It in MLflow's words."""
        return {
            "info": {
                "model_id": self.model_id,
                "experiment_id": self.experiment_id,
                "name": self.name,
                "creation_timestamp_ms": self.created,
                "last_updated_timestamp_ms": self.created,
                "artifact_uri": artifact_root("model", self.model_id),
                "status": self.status,
                "model_type": self.model_type,
                "source_run_id": self.run_id,
                "tags": pairs(self.tags),
            },
            "data": {
                "params": pairs(self.params),
                "metrics": [metric_json(m) for m in self.metrics],
            },
        }


class Records:
    """Everything of it, as the calls say, one after the other."""

    def __init__(self) -> None:
        self.experiments: dict[str, OwnExperiment] = {}
        self.runs: dict[str, OwnRun] = {}
        self.models: dict[str, OwnModel] = {}
        # By kind, owner and path, the file and its length in bytes.
        self.artifacts: dict[tuple[str, str], dict[str, tuple[str, int]]] = {}

    def apply(self, call: Call) -> None:
        """Take a call in; one about somebody else's run changes nothing here."""
        getattr(self, f"_take_{call['call']}")(call)

    def _take_managed(self, call: Call) -> None:
        self._take_experiment(call)
        self._take_run(call)

    def _take_experiment(self, call: Call) -> None:
        known = self.experiments.setdefault(
            call["experiment"],
            OwnExperiment(call["experiment"], call["experiment_name"], created=call["time"]),
        )
        known.tags.update(call.get("experiment_tags", {}))

    def _take_experiment_tag(self, call: Call) -> None:
        if own := self.experiments.get(call["experiment"]):
            own.tags[call["key"]] = call["value"]

    def _take_run(self, call: Call) -> None:
        self.runs[call["run"]] = OwnRun(
            call["run"], call["experiment"], call["name"], call["user"], call["time"],
            tags={**call["tags"], "mlflow.runName": call["name"]},
        )  # fmt: skip

    def _take_log(self, call: Call) -> None:
        for metric in call["metrics"]:
            self._take_metric(call["run"], metric)
        if run := self.runs.get(call["run"]):
            run.params.update(call["params"])
            run.tags.update(call["tags"])
            run.name = call["tags"].get("mlflow.runName", run.name)

    def _take_metric(self, run_id: str, metric: dict[str, Any]) -> None:
        if run := self.runs.get(run_id):
            before = run.metrics.get(metric["key"])
            if before is None or _order(metric) >= _order(before):
                run.metrics[metric["key"]] = metric
        if model := self.models.get(metric.get("model_id", "")):
            model.metrics.append({**metric, "run_id": run_id})

    def _take_untag(self, call: Call) -> None:
        if run := self.runs.get(call["run"]):
            run.tags.pop(call["key"], None)

    def _take_update(self, call: Call) -> None:
        if run := self.runs.get(call["run"]):
            run.status = call.get("status", run.status)
            if run.status == "RUNNING":
                run.ended = None
            run.ended = call.get("end_time", run.ended)
            run.name = call.get("name", run.name)
            run.tags["mlflow.runName"] = run.name

    def _take_stage(self, call: Call) -> None:
        if run := self.runs.get(call["run"]):
            run.stage = call["stage"]

    def _take_inputs(self, call: Call) -> None:
        if run := self.runs.get(call["run"]):
            run.datasets += call["datasets"]
            run.models_in += call["models"]

    def _take_outputs(self, call: Call) -> None:
        if run := self.runs.get(call["run"]):
            run.models_out += call["models"]

    def _take_model(self, call: Call) -> None:
        self.models[call["model"]] = OwnModel(
            call["model"], call["experiment"], call["name"], call["model_type"], call["run"],
            call["time"], tags=dict(call["tags"]), params=dict(call["params"]),
        )  # fmt: skip

    def _take_model_params(self, call: Call) -> None:
        if model := self.models.get(call["model"]):
            model.params.update(call["params"])

    def _take_model_tags(self, call: Call) -> None:
        if model := self.models.get(call["model"]):
            model.tags.update(call["tags"])

    def _take_model_untag(self, call: Call) -> None:
        if model := self.models.get(call["model"]):
            model.tags.pop(call["key"], None)

    def _take_finalize(self, call: Call) -> None:
        if model := self.models.get(call["model"]):
            model.status = call["status"]

    def _take_delete_model(self, call: Call) -> None:
        self.models.pop(call["model"], None)

    def _take_artifact(self, call: Call) -> None:
        files = self.artifacts.setdefault((call["kind"], call["owner"]), {})
        files[call["path"]] = (call["file"], call["bytes"])

    def artifact(self, kind: str, owner: str, path: str, folder: Path) -> Path | None:
        """The file of an artifact, where it is one of ours."""
        found = self.artifacts.get((kind, owner), {}).get(path)
        return None if found is None else folder / found[0]

    def files(self) -> list[tuple[str, int]]:
        """All files that were uploaded, below the run's folder, with their lengths."""
        return [file for files in self.artifacts.values() for file in files.values()]

    def list_artifacts(self, kind: str, owner: str, path: str) -> list[dict[str, Any]]:
        """What lies directly below a path, in MLflow's words; a file lists itself."""
        files = self.artifacts.get((kind, owner), {})
        if path in files:
            return [_file_json(path, files[path][1])]
        prefix = f"{path}/" if path else ""
        found: dict[str, dict[str, Any]] = {}
        for name, (_, length) in files.items():
            if name.startswith(prefix):
                first, _, below = name[len(prefix) :].partition("/")
                whole = prefix + first
                found[whole] = (
                    {"path": whole, "is_dir": True} if below else _file_json(whole, length)
                )
        return [found[name] for name in sorted(found)]


def history(calls: Iterable[Call], run_id: str, key: str) -> Iterator[dict[str, Any]]:
    """The points of one metric, in MLflow's words."""
    for call in calls:
        if call["call"] == "log" and call["run"] == run_id:
            yield from (metric_json(m) for m in call["metrics"] if m["key"] == key)


def metric_json(metric: Mapping[str, Any]) -> dict[str, Any]:
    """A point in MLflow's words; JSON has no word for what is no number, protobuf has."""
    value = metric["value"]
    if value != value:
        value = "NaN"
    elif value in (float("inf"), float("-inf")):
        value = "Infinity" if value > 0 else "-Infinity"
    return {**metric, "value": value}


def pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    """Names with values, as MLflow lists them."""
    return [{"key": key, "value": value} for key, value in values.items()]


def _order(metric: Mapping[str, Any]) -> tuple[Any, ...]:
    value = metric["value"]
    return (metric["step"], metric["timestamp"], value if value == value else float("-inf"))


def _file_json(path: str, length: int) -> dict[str, Any]:
    return {"path": path, "is_dir": False, "file_size": length}
