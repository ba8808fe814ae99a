"""Each endpoint that MLflow's client can ask for is known here: taken, read, passed or refused."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from dagbook.recorder.endpoints import (
    ARTIFACTS,
    ELSE_READ,
    PASSED,
    PASSED_BELOW,
    READ,
    REFUSED,
    REFUSED_BELOW,
    TAKEN,
    UNKNOWN,
    find,
)

#: Whose methods an open-source server answers, below /api/2.0 and /api/3.0.
SERVICES = {
    "service_pb2": "MlflowService",
    "mlflow_artifacts_pb2": "MlflowArtifactsService",
    "model_registry_pb2": "ModelRegistryService",
    "webhooks_pb2": "WebhookService",
}


def _offered() -> Iterator[tuple[str, str]]:
    import importlib

    from mlflow.protos import databricks_pb2

    for module, service in SERVICES.items():
        try:
            protos = importlib.import_module(f"mlflow.protos.{module}")
        except ImportError:
            continue  # an older MLflow, without it
        for method in protos.DESCRIPTOR.services_by_name[service].methods:
            for endpoint in method.GetOptions().Extensions[databricks_pb2.rpc].endpoints:
                yield endpoint.method, f"/{endpoint.path.lstrip('/')}"


def test_a_newer_mlflow_asks_for_nothing_that_nobody_thought_of() -> None:
    pytest.importorskip("mlflow")

    def is_known(method: str, path: str) -> bool:
        real = re.sub(r"<path:\w+>|\{[\w.]+\}", "x", path)
        return path.startswith(ARTIFACTS) or find(method, real) != UNKNOWN

    offered = set(_offered())
    unknown = sorted(f"{m} {p}" for m, p in offered if not is_known(m, p))

    assert len(offered) > 40
    assert unknown == []


def test_what_is_in_the_tables_is_what_mlflow_offers() -> None:
    offered = {(method, re.sub(r"\{[\w.]+\}", "{}", path)) for method, path in _offered()}

    ours = {*TAKEN, *READ, *PASSED, *REFUSED, *ELSE_READ}
    gone = sorted(
        f"{method} {path}"
        for method, path in ours
        if (method, re.sub(r"\{\w+\}", "{}", path)) not in offered
    )

    assert gone == []
    families = (*PASSED_BELOW, *(f for f in REFUSED_BELOW if "mlflow-artifacts" not in f))
    assert [f for f in families if not any(path.startswith(f) for _, path in offered)] == []


@pytest.mark.parametrize(
    ("method", "path", "reason"),
    [
        ("POST", "/mlflow/experiments/delete", "a run deletes no experiments"),
        ("POST", "/mlflow/gateway/secrets/create", "a run does not administer the gateway"),
        ("DELETE", "/mlflow/workspaces/x", "a run does not administer workspaces"),
        ("POST", "/mlflow/new-in-5", "it is not among those that are known here"),
    ],
)
def test_what_is_refused_has_a_reason(method: str, path: str, reason: str) -> None:
    assert find(method, path).reason == reason


def test_what_stands_in_a_path_is_found() -> None:
    endpoint = find("DELETE", "/mlflow/logged-models/m-1/tags/a%20b")

    assert endpoint.fields == {"model_id": "m-1", "tag_key": "a b"}
