"""What the notebook can read back at once, for it told it itself: no server is asked for that."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from dagbook.recorder.bodies import integer, text
from dagbook.recorder.calls import read_calls
from dagbook.recorder.names import artifact_root
from dagbook.recorder.records import history
from dagbook.recorder.taking import Answer, Taking

#: How many points of a metric one answer holds, as on the server.
_PAGE = 25_000
_NAMED = re.compile(r"name = (['\"])([^'\"]*)\1")

Body = Mapping[str, Any]


def get_experiment(taking: Taking, body: Body) -> Answer | None:
    """``experiments/get``."""
    own = taking.records.experiments.get(text(body, "experiment_id"))
    return None if own is None else {"experiment": own.as_json()}


def get_experiment_by_name(taking: Taking, body: Body) -> Answer | None:
    """``experiments/get-by-name``."""
    name = text(body, "experiment_name")
    own = next((e for e in taking.records.experiments.values() if e.name == name), None)
    return None if own is None else {"experiment": own.as_json()}


def get_run(taking: Taking, body: Body) -> Answer | None:
    """``runs/get``."""
    with taking.lock:
        own = taking.records.runs.get(taking.own_id(text(body, "run_id", "run_uuid")))
        return None if own is None else {"run": own.as_json()}


def get_metric_history(taking: Taking, body: Body) -> Answer | None:
    """``metrics/get-history``."""
    run_id = taking.own_id(text(body, "run_id", "run_uuid"))
    if run_id not in taking.records.runs:
        return None
    most = min(integer(body, "max_results", _PAGE), _PAGE)
    start = integer(body, "page_token", 0) if body.get("page_token") else 0
    calls = (call for call, _ in read_calls(taking.folder))
    found = list(islice(history(calls, run_id, text(body, "metric_key")), start, start + most + 1))
    more = {"next_page_token": str(start + most)} if len(found) > most else {}
    return {"metrics": found[:most], **more}


def list_artifacts(taking: Taking, body: Body) -> Answer | None:
    """``artifacts/list``."""
    run_id = taking.own_id(text(body, "run_id", "run_uuid"))
    if run_id not in taking.records.runs:
        return None
    path = text(body, "path", default="").strip("/")
    files = taking.records.list_artifacts("run", run_id, path)
    return {
        "root_uri": artifact_root("run", run_id),
        "files": [f for f in files if f["is_dir"] or f["path"] != path],
    }


def get_model(taking: Taking, body: Body) -> Answer | None:
    """``logged-models/{model_id}``."""
    own = taking.records.models.get(taking.own_id(text(body, "model_id")))
    return None if own is None else {"model": own.as_json()}


def list_model_artifacts(taking: Taking, body: Body) -> Answer | None:
    """``logged-models/{model_id}/artifacts/directories``."""
    model_id = taking.own_id(text(body, "model_id"))
    if model_id not in taking.records.models:
        return None
    path = text(body, "artifact_directory_path", default="").strip("/")
    return {
        "root_uri": artifact_root("model", model_id),
        "files": taking.records.list_artifacts("model", model_id, path),
    }


def search_own_models(taking: Taking, body: Body) -> Answer | None:
    """``logged-models/search`` by a name, while no server answers: the notebook's own.

    MLflow's client asks so when it lists the files of a run.
    """
    named = _NAMED.fullmatch(text(body, "filter", default=""))
    if named is None or body.get("page_token"):
        return None
    asked = body.get("experiment_ids") or []
    with taking.lock:
        if not all(experiment in taking.records.experiments for experiment in asked):
            return None
        found = [m for m in taking.records.models.values() if m.name == named[2]]
        return {"models": [m.as_json() for m in found if m.experiment_id in asked]}


#: A question of MLflow's REST API; the answer is None where only the server knows it.
Read = Callable[[Taking, Body], Answer | None]
