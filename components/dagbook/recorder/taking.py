"""What is taken from the notebook: each call checked, written down, and answered as MLflow would."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import RLock
from typing import Any

from dagbook.recorder import bodies
from dagbook.recorder.answers import Refusal, bad_value, no_such
from dagbook.recorder.bodies import integer, items, strings, text
from dagbook.recorder.calls import Call, CallLog, Ids, read_calls
from dagbook.recorder.names import new_experiment_id, new_model_id, new_run_id
from dagbook.recorder.records import MODEL_PENDING, OwnRun, Records

Body = Mapping[str, Any]
Answer = dict[str, Any]

_RUN_STATUS = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")
_MODEL_STATUS = (MODEL_PENDING, "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED")
_LOGGED_MODELS_TAG = "mlflow.log-model.history"


class Taking:
    """Takes the calls of one run; any thread may call, one call is taken after the other.

    Each method is one call of MLflow's REST API: it raises `Refusal` for what MLflow would refuse
    as well, and `OSError` where the disk is full.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lock = RLock()
        self.records = Records()
        for call, _ in read_calls(folder):
            self.records.apply(call)
        self.log = CallLog(folder)
        #: What the server calls what has a name of ours.
        self.ids = Ids(folder)

    def begin(self, managed: Call) -> None:
        """Take the run itself, before the notebook can ask for it."""
        if managed["run"] not in self.records.runs:
            self.keep("managed", **managed)

    def keep(self, call: str, **values: Any) -> None:
        """Write a call down, and know it from then on."""
        with self.lock:
            entry = {"call": call, **values}
            self.log.append(entry)
            self.records.apply(entry)

    def own_id(self, name: str) -> str:
        """The name by which we know what the server may call otherwise."""
        if name in self.records.runs or name in self.records.models:
            return name
        return self.ids.translate_back(name)

    # Experiments

    def create_experiment(self, body: Body) -> Answer:
        """``experiments/create``."""
        name = text(body, "name")
        if len(name) > bodies.LONGEST_EXPERIMENT_NAME:
            raise bad_value(
                f"the name of an experiment may have {bodies.LONGEST_EXPERIMENT_NAME} characters"
            )
        if body.get("artifact_location"):
            # Who brings the files there has the server's login and the runner's own access.
            raise bad_value(
                "a run does not choose where the files of an experiment lie: leave "
                "artifact_location out, and they lie where the tracking server keeps them"
            )
        with self.lock:
            if any(known.name == name for known in self.records.experiments.values()):
                raise Refusal("RESOURCE_ALREADY_EXISTS", f"Experiment '{name}' already exists.")
            experiment = new_experiment_id()
            tags = strings(items(body, "tags"), "tags", bodies.LONGEST_EXPERIMENT_TAG)
            self.keep(
                "experiment", experiment=experiment, experiment_name=name, experiment_tags=tags,
                time=_now(),
            )  # fmt: skip
        return {"experiment_id": experiment}

    def set_experiment_tag(self, body: Body) -> Answer:
        """``experiments/set-experiment-tag``."""
        (tag,) = strings([dict(body)], "key", bodies.LONGEST_EXPERIMENT_TAG).items()
        experiment = bodies.id_of(text(body, "experiment_id"), "experiment")
        self.keep("experiment_tag", experiment=experiment, key=tag[0], value=tag[1])
        return {}

    # Runs

    def create_run(self, body: Body) -> Answer:
        """``runs/create``."""
        run_id = new_run_id()
        tags = strings(items(body, "tags"), "tags")
        name = text(body, "run_name", default=tags.get("mlflow.runName") or f"run-{run_id[:8]}")
        with self.lock:
            self.keep(
                "run", run=run_id, experiment=_experiment_id(body), name=name,
                user=text(body, "user_id", default=tags.get("mlflow.user", "")), tags=tags,
                time=integer(body, "start_time", _now()),
            )  # fmt: skip
            return {"run": self.records.runs[run_id].as_json()}

    def update_run(self, body: Body) -> Answer:
        """``runs/update``."""
        run_id = self._run_id(body)
        changes: dict[str, Any] = {}
        status = body.get("status")
        if isinstance(status, int):
            # As protobuf numbers them.
            status = dict(enumerate(_RUN_STATUS, start=1)).get(status, status)
        if status is not None:
            if status not in _RUN_STATUS:
                raise bad_value(f"status has to be one of {', '.join(_RUN_STATUS)}")
            changes["status"] = str(status)
        if body.get("end_time") is not None:
            changes["end_time"] = integer(body, "end_time", 0)
        if body.get("run_name"):
            changes["name"] = text(body, "run_name")
        with self.lock:
            self._active(run_id)
            self.keep("update", run=run_id, **changes)
            run = self.records.runs.get(run_id)
            # Of somebody else's run only what was changed is known.
            return {"run_info": run.info() if run else {"run_id": run_id, "run_uuid": run_id}}

    def delete_run(self, body: Body) -> Answer:
        """``runs/delete``, of a run that the notebook made itself."""
        return self._stage(body, "deleted")

    def restore_run(self, body: Body) -> Answer:
        """``runs/restore``, of a run that the notebook made itself."""
        return self._stage(body, "active")

    def log_metric(self, body: Body) -> Answer:
        """``runs/log-metric``."""
        return self._log(body, metrics=[bodies.metric(body)])

    def log_parameter(self, body: Body) -> Answer:
        """``runs/log-parameter``."""
        return self._log(body, params=[dict(body)], alone=True)

    def set_tag(self, body: Body) -> Answer:
        """``runs/set-tag``."""
        return self._log(body, tags=strings([dict(body)], "key"))

    def log_batch(self, body: Body) -> Answer:
        """``runs/log-batch``."""
        metrics = [bodies.metric(m) for m in items(body, "metrics", bodies.MOST_METRICS)]
        params = items(body, "params", bodies.MOST_OTHERS)
        tags = strings(items(body, "tags", bodies.MOST_OTHERS), "key")
        count = len(metrics) + len(params) + len(tags)
        if count > bodies.MOST_METRICS:
            raise bad_value(
                f"A batch logging request can contain at most {bodies.MOST_METRICS} metrics, "
                f"params, and tags. Got {count}. Please split up your request and try again."
            )
        return self._log(body, metrics=metrics, params=params, tags=tags)

    def delete_tag(self, body: Body) -> Answer:
        """``runs/delete-tag``."""
        run_id, key = self._run_id(body), text(body, "key")
        with self.lock:
            run = self._active(run_id)
            if run is not None and key not in run.tags:
                raise no_such(f"No tag with name: {key} in run with id {run_id}")
            self.keep("untag", run=run_id, key=key)
        return {}

    def log_model_history(self, body: Body) -> Answer:
        """``runs/log-model``: the model's description joins a tag, as on the server."""
        run_id = self._run_id(body)
        try:
            model = json.loads(text(body, "model_json"))
        except ValueError:
            raise bad_value("model_json has to be JSON") from None
        with self.lock:
            run = self._active(run_id)
            before = json.loads(run.tags.get(_LOGGED_MODELS_TAG, "[]")) if run else []
            value = json.dumps([*before, model])
            if len(value) <= bodies.LONGEST_TAG:
                self._log(body, tags={_LOGGED_MODELS_TAG: value})
        return {}

    def log_inputs(self, body: Body) -> Answer:
        """``runs/log-inputs``."""
        run_id = self._run_id(body)
        with self.lock:
            self._active(run_id)
            datasets, models = items(body, "datasets"), items(body, "models")
            bodies.confirm_datasets(datasets)
            bodies.confirm_models(models)
            self.keep("inputs", run=run_id, datasets=datasets, models=models)
        return {}

    def log_outputs(self, body: Body) -> Answer:
        """``runs/outputs``."""
        run_id = self._run_id(body)
        with self.lock:
            self._active(run_id)
            models = items(body, "models")
            bodies.confirm_models(models)
            self.keep("outputs", run=run_id, models=models)
        return {}

    # Models

    def create_model(self, body: Body) -> Answer:
        """``logged-models``."""
        model_id = new_model_id()
        with self.lock:
            self.keep(
                "model", model=model_id, experiment=_experiment_id(body),
                name=text(body, "name", default=f"model-{model_id[2:10]}"),
                model_type=text(body, "model_type", default=""),
                run=text(body, "source_run_id", default=""),
                params=strings(items(body, "params"), "params", bodies.LONGEST_PARAM),
                tags=strings(items(body, "tags"), "tags"), time=_now(),
            )  # fmt: skip
            return {"model": self.records.models[model_id].as_json()}

    def finalize_model(self, body: Body) -> Answer:
        """``logged-models/{model_id}``."""
        status = body.get("status")
        if isinstance(status, int):
            status = dict(enumerate(_MODEL_STATUS, start=1)).get(status, status)
        if status not in _MODEL_STATUS:
            raise bad_value(f"status has to be one of {', '.join(_MODEL_STATUS)}")
        return self._of_model(body, "finalize", status=status)

    def set_model_tags(self, body: Body) -> Answer:
        """``logged-models/{model_id}/tags``."""
        return self._of_model(body, "model_tags", tags=strings(items(body, "tags"), "key"))

    def delete_model_tag(self, body: Body) -> Answer:
        """``logged-models/{model_id}/tags/{tag_key}``."""
        return self._of_model(body, "model_untag", key=text(body, "tag_key"))

    def log_model_params(self, body: Body) -> Answer:
        """``logged-models/{model_id}/params``."""
        params = strings(items(body, "params"), "params", bodies.LONGEST_PARAM)
        return self._of_model(body, "model_params", params=params)

    def delete_model(self, body: Body) -> Answer:
        """``logged-models/{model_id}``, of a model that the notebook logged itself."""
        model_id = text(body, "model_id")
        with self.lock:
            if model_id not in self.records.models:
                raise Refusal(
                    "PERMISSION_DENIED",
                    f"the model {model_id} was not logged by this run, so it cannot delete it",
                )
            self.keep("delete_model", model=model_id)
        return {}

    # Together

    def _log(
        self,
        body: Body,
        *,
        metrics: list[dict[str, Any]] | None = None,
        params: list[dict[str, Any]] | None = None,
        tags: dict[str, str] | None = None,
        alone: bool = False,
    ) -> Answer:
        run_id = self._run_id(body)
        with self.lock:
            run = self._active(run_id)
            known = run.params if run else {}
            found = bodies.checked_params(known, params or [], run_id, alone=alone)
            new = {key: value for key, value in found.items() if key not in known}
            if metrics or new or tags:
                self.keep("log", run=run_id, metrics=metrics or [], params=new, tags=tags or {})
        return {}

    def _stage(self, body: Body, stage: str) -> Answer:
        run_id = self._run_id(body)
        with self.lock:
            if run_id not in self.records.runs:
                raise Refusal(
                    "PERMISSION_DENIED",
                    f"the run {run_id} was not made by this notebook, so it cannot be {stage} by it",
                )
            self.keep("stage", run=run_id, stage=stage)
        return {}

    def _of_model(self, body: Body, call: str, **values: Any) -> Answer:
        model_id = self.own_id(bodies.id_of(text(body, "model_id"), "model"))
        with self.lock:
            self.keep(call, model=model_id, **values)
            model = self.records.models.get(model_id)
            return {"model": model.as_json() if model else {"info": {"model_id": model_id}}}

    def _run_id(self, body: Body) -> str:
        return self.own_id(bodies.id_of(text(body, "run_id", "run_uuid"), "run"))

    def _active(self, run_id: str) -> OwnRun | None:
        """The run, where it is one of ours and may be changed."""
        run = self.records.runs.get(run_id)
        if run is not None and run.stage != "active":
            raise bad_value(
                f"The run {run_id} must be in the 'active' state. Current state is deleted."
            )
        return run


#: A call of MLflow's REST API.
Take = Callable[[Taking, Body], Answer]


def _experiment_id(body: Body) -> str:
    return bodies.id_of(text(body, "experiment_id", default="0"), "experiment")


def _now() -> int:
    return int(time.time() * 1000)
