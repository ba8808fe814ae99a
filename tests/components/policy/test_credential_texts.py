"""A credential is known by its form, and its name is none."""

from __future__ import annotations

import pytest

from dagbook.policy.credential_texts import looks_like_credential

#: Put together here, so that none stands in this file as its issuer makes it.
MADE_UP = "Ab1" * 12


@pytest.mark.parametrize(
    "text",
    [
        "https://me:hunter2@db.example.com",
        "postgresql://u:p@h/db",
        "redis://:hunter2@cache:6379",
        "ghp_" + MADE_UP,
        "AKIA" + "ABCDEFGH12345678",
        "-----BEGIN RSA PRIVATE " + "KEY-----",
        "Server=db;User Id=me;Password=hunter2",
        "helper --token=abcd1234",
        "https://api.example.com/?api_key=abcd1234",
    ],
)
def test_a_credential_is_known_by_its_form(text: str) -> None:
    assert looks_like_credential(text)


@pytest.mark.parametrize(
    "text",
    [
        "analytics_prod",
        "company-ml-data/growth",
        "https://mlflow.example.com:8443/path",
        "arn:aws:secretsmanager:eu-central-1:123456789012:secret:prod/analytics-AbCdEf",
        "projects/shop/secrets/analytics/versions/latest",
        "/run/secrets/bigquery.json",
        "helper --token-file /run/secrets/token",
        "helper --token=$TOKEN",
        "password",
        "postgresql://me@db.example.com/shop",
        "the password=… of the warehouse",
    ],
)
def test_the_name_of_one_is_none(text: str) -> None:
    assert not looks_like_credential(text)
