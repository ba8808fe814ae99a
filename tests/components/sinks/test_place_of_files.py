"""Files go to no server but the one that the login is for."""

from __future__ import annotations

import pytest

from dagbook.sinks.mlflow import MlflowError
from dagbook.sinks.place_of_files import confirm_place

SERVER = "https://me:word@mlflow.example.com/growth"


@pytest.mark.parametrize(
    "address",
    [
        "mlflow-artifacts:/7/f/artifacts",
        "mlflow-artifacts://mlflow.example.com/7",
        "https://MLflow.example.com/files/7",
        "s3://company-mlflow/7/f/artifacts",
        "/srv/mlflow/7/f/artifacts",
    ],
)
def test_where_the_server_keeps_files_they_go(address: str) -> None:
    confirm_place(address, SERVER)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://elsewhere.example.com/7", "https://elsewhere.example.com/7"),
        (
            "mlflow-artifacts://elsewhere.example.com/7",
            "mlflow-artifacts://elsewhere.example.com/7",
        ),
        ("http://mlflow.example.com/7", "http://mlflow.example.com/7"),
        ("https://mlflow.example.com:444/7", "https://mlflow.example.com:444/7"),
        ("https://elsewhere.example.com\\@mlflow.example.com/7", "https://mlflow.example.com/7"),
        ("https://me:word@elsewhere.example.com/7", "https://elsewhere.example.com/7"),
    ],
)
def test_to_another_server_they_do_not_go(address: str, shown: str) -> None:
    with pytest.raises(MlflowError) as refused:
        confirm_place(address, SERVER)

    assert str(refused.value) == (
        f"the experiment keeps its files at {shown}, which is not the tracking server, so neither "
        "they nor the login are sent there: use another experiment"
    )


def test_from_a_store_without_a_server_they_go_to_none() -> None:
    confirm_place("file:///srv/mlartifacts/churn", "sqlite:////srv/mlflow.db")

    with pytest.raises(MlflowError):
        confirm_place("http://elsewhere.example.com/7", "sqlite:////srv/mlflow.db")
