"""Which login goes to which server."""

from __future__ import annotations

import pytest

from dagbook.policy.connections import Connection
from dagbook.sinks.login import Login, own_login

SERVER, ELSEWHERE = "https://mlflow.example.com", "https://elsewhere.example.com"
OWN = {"MLFLOW_TRACKING_TOKEN": "the deployment's", "MLFLOW_TRACKING_INSECURE_TLS": "false"}
PLATFORMS = Login(
    {"MLFLOW_TRACKING_TOKEN": "the connection's"},
    (Connection("ml", "environment", "ML", hosts=("mlflow.example.com",)),),
)


@pytest.fixture(autouse=True)
def deployed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    for name, value in OWN.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("named", [SERVER, "https://me:word@MLflow.example.com/growth", "", "db"])
def test_the_deployments_login_is_for_the_server_it_names(
    named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", named)

    assert Login().for_server(f"{SERVER}/growth") == OWN


@pytest.mark.parametrize("other", [ELSEWHERE, "http://mlflow.example.com", f"{SERVER}:444"])
def test_it_goes_to_no_other_that_a_component_names(
    other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", SERVER)

    assert Login().for_server(other) == {"MLFLOW_TRACKING_INSECURE_TLS": "false"}
    assert own_login(other, {**OWN, "MLFLOW_TRACKING_URI": SERVER}) == {
        "MLFLOW_TRACKING_INSECURE_TLS": "false"
    }


def test_where_a_connection_is_not_bound_nothing_logs_in_in_its_place() -> None:
    assert PLATFORMS.for_server(SERVER)["MLFLOW_TRACKING_TOKEN"] == "the connection's"
    assert PLATFORMS.for_server(ELSEWHERE) == {"MLFLOW_TRACKING_INSECURE_TLS": "false"}
