"""Each endpoint of MLflow's REST API, and what becomes of a call to it.

A call is *taken* (written down, delivered later), *read* (answered from what was taken; passed on
where that does not know), *passed* on to the server, or *refused*. What a newer MLflow adds is in
no table: a test tells, and until then it is refused with a line that says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

from dagbook.recorder import reading
from dagbook.recorder.reading import Read
from dagbook.recorder.taking import Take, Taking

#: Methods and paths below ``/api/2.0`` and ``/api/3.0``, as MLflow's services describe them.
TAKEN: Mapping[tuple[str, str], Take] = {
    ("POST", "/mlflow/experiments/create"): Taking.create_experiment,
    ("POST", "/mlflow/experiments/set-experiment-tag"): Taking.set_experiment_tag,
    ("POST", "/mlflow/runs/create"): Taking.create_run,
    ("POST", "/mlflow/runs/update"): Taking.update_run,
    ("POST", "/mlflow/runs/delete"): Taking.delete_run,
    ("POST", "/mlflow/runs/restore"): Taking.restore_run,
    ("POST", "/mlflow/runs/log-metric"): Taking.log_metric,
    ("POST", "/mlflow/runs/log-parameter"): Taking.log_parameter,
    ("POST", "/mlflow/runs/set-tag"): Taking.set_tag,
    ("POST", "/mlflow/runs/log-batch"): Taking.log_batch,
    ("POST", "/mlflow/runs/delete-tag"): Taking.delete_tag,
    ("POST", "/mlflow/runs/log-model"): Taking.log_model_history,
    ("POST", "/mlflow/runs/log-inputs"): Taking.log_inputs,
    ("POST", "/mlflow/runs/outputs"): Taking.log_outputs,
    ("POST", "/mlflow/logged-models"): Taking.create_model,
    ("PATCH", "/mlflow/logged-models/{model_id}"): Taking.finalize_model,
    ("DELETE", "/mlflow/logged-models/{model_id}"): Taking.delete_model,
    ("PATCH", "/mlflow/logged-models/{model_id}/tags"): Taking.set_model_tags,
    ("DELETE", "/mlflow/logged-models/{model_id}/tags/{tag_key}"): Taking.delete_model_tag,
    ("POST", "/mlflow/logged-models/{model_id}/params"): Taking.log_model_params,
}
READ: Mapping[tuple[str, str], Read] = {
    ("GET", "/mlflow/experiments/get"): reading.get_experiment,
    ("GET", "/mlflow/experiments/get-by-name"): reading.get_experiment_by_name,
    ("GET", "/mlflow/runs/get"): reading.get_run,
    ("GET", "/mlflow/metrics/get-history"): reading.get_metric_history,
    ("GET", "/mlflow/artifacts/list"): reading.list_artifacts,
    ("GET", "/mlflow/logged-models/{model_id}"): reading.get_model,
    (
        "GET",
        "/mlflow/logged-models/{model_id}/artifacts/directories",
    ): reading.list_model_artifacts,
}
PASSED = frozenset(
    {
        ("POST", "/mlflow/experiments/search"),
        ("GET", "/mlflow/experiments/search"),
        ("POST", "/mlflow/experiments/search-datasets"),
        ("POST", "/mlflow/experiments/delete-experiment-tag"),
        ("POST", "/mlflow/runs/search"),
        ("POST", "/mlflow/logged-models/search"),
        ("GET", "/mlflow/metrics/get-history-bulk-interval"),
        ("GET", "/mlflow/unified-traces"),
        ("GET", "/mlflow/get-online-trace-details"),
    }
)
#: What is answered from what was taken where the server does not answer.
ELSE_READ: Mapping[tuple[str, str], Read] = {
    ("POST", "/mlflow/logged-models/search"): reading.search_own_models,
}
#: Families of which everything is passed on: the registry, traces, data sets for evaluation.
PASSED_BELOW = (
    "/mlflow/registered-models/",
    "/mlflow/model-versions/",
    "/mlflow/traces",
    "/mlflow/datasets/",
    "/mlflow/scorers/",
    "/mlflow/issues",
    "/mlflow/label-schemas/",
    "/mlflow/review-queues/",
)
#: By endpoint, why it is refused.
REFUSED: Mapping[tuple[str, str], str] = {
    ("POST", "/mlflow/experiments/delete"): "a run deletes no experiments",
    ("POST", "/mlflow/experiments/restore"): "a run restores no experiments",
    ("POST", "/mlflow/experiments/update"): "a run renames no experiments",
    (
        "POST",
        "/mlflow/artifacts/presigned-upload-url",
    ): "artifacts go through the recorder, not past it",
    (
        "POST",
        "/mlflow/artifacts/presigned-download-url",
    ): "artifacts go through the recorder, not past it",
}
#: Families of which everything is refused.
REFUSED_BELOW: Mapping[str, str] = {
    "/mlflow/gateway/": "a run does not administer the gateway",
    "/mlflow/workspaces": "a run does not administer workspaces",
    "/mlflow/webhooks": "a run does not administer webhooks",
    "/mlflow/prompt-optimization/": "a run starts no jobs on the server",
    "/mlflow-artifacts/mpu/": "artifacts are uploaded in one piece here",
    "/mlflow-artifacts/presigned/": "artifacts go through the recorder, not past it",
}
#: Below it the bytes of artifacts are sent and fetched.
ARTIFACTS = "/mlflow-artifacts/artifacts"


@dataclass(frozen=True)
class Endpoint:
    """What becomes of a call: one of the first three, or a reason to refuse it."""

    take: Take | None = None
    read: Read | None = None
    passed: bool = False
    else_read: Read | None = None
    reason: str | None = None
    #: What stands in the path.
    fields: Mapping[str, str] | None = None


UNKNOWN = Endpoint(reason="it is not among those that are known here")


def is_plain(path: str) -> bool:
    """Whether everybody on the way to a server takes a path for the same one.

    A server, or a proxy before it, may resolve ``traces/../experiments``, which is refused by its
    name, after it was found among what is passed on.
    """
    for _ in range(3):
        if "\\" in path or any(part.partition(";")[0] in (".", "..") for part in path.split("/")):
            return False
        path = unquote(path)
    return True


def find(method: str, path: str) -> Endpoint:
    """What becomes of a call to a path below ``/api/2.0`` or ``/api/3.0``."""
    for (known, pattern), expression in _EXPRESSIONS.items():
        found = expression.fullmatch(path) if known == method else None
        if found is None:
            continue
        fields = {name: unquote(value) for name, value in found.groupdict().items()}
        key = (known, pattern)
        return Endpoint(
            TAKEN.get(key),
            READ.get(key),
            key in PASSED,
            ELSE_READ.get(key),
            REFUSED.get(key),
            fields,
        )
    for prefix, reason in REFUSED_BELOW.items():
        if path.startswith(prefix):
            return Endpoint(reason=reason)
    return Endpoint(passed=True) if path.startswith(PASSED_BELOW) else UNKNOWN


def _expression(pattern: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(pattern)))


_EXPRESSIONS = {key: _expression(key[1]) for key in (*TAKEN, *READ, *sorted(PASSED), *REFUSED)}
