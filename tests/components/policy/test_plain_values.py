"""Plain values fit a pattern only where there is one way to read them."""

from __future__ import annotations

import pytest

from dagbook.policy.plain_values import fits_value, value_pattern_problem


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("company-*", "company-ml-data"),
        ("company-data", "company-data"),
        ("company-data", "company-data/growth/2026"),
        ("company-data", "company-data/"),
        ("company-*/growth", "company-data/growth"),
        ("https://mlflow.example.com", "https://mlflow.example.com"),
        ("https://mlflow.example.com", "https://mlflow.example.com:8443/a/b"),
        ("https://mlflow.example.com", "HTTPS://MLflow.example.com/"),
        ("https://mlflow.example.com:443", "https://mlflow.example.com/"),
        ("https://*.example.com/public", "https://a.b.example.com/public/x"),
        ("https://*.example.com/a/*", "https://a.example.com/a/b"),
        ("s3://company-*", "s3://company-ml-data/growth"),
        ("s3://company-data/growth", "s3://company-data/growth/x.csv"),
    ],
)
def test_a_value_that_is_meant_fits(pattern: str, value: str) -> None:
    assert value_pattern_problem(pattern) is None
    assert fits_value(pattern, value)


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        ("company-*", "other-data"),
        ("company-*", "company-data/../other"),
        ("company-*", "company-data/other"),
        ("company-data", "company-data/../../other"),
        ("company-data", "company-data/%2e%2e/other"),
        ("company-data", "company-data2"),
        ("company-*", "company-a b"),
        ("company-*", "company-a\nb"),
        ("company-*", "company-a\\b"),
        ("company-*", "company-a://evil.example.org"),
        ("company-*", ""),
        ("https://mlflow.example.com", "http://mlflow.example.com"),
        ("https://mlflow.example.com", "mlflow.example.com"),
        ("https://mlflow.example.com", "https://mlflow.example.com.evil.example.org"),
        ("https://mlflow.example.com", "https://mlflow.example.com@evil.example.org"),
        ("https://mlflow.example.com", "https://evil.example.org/?https://mlflow.example.com"),
        ("https://mlflow.example.com", "https://evil.example.org#mlflow.example.com"),
        ("https://mlflow.example.com/a", "https://mlflow.example.com/a/../b"),
        ("https://mlflow.example.com/a", "https://mlflow.example.com/b"),
        ("https://mlflow.example.com/a", "https://mlflow.example.com/a?b=c"),
        ("https://mlflow.example.com:443", "https://mlflow.example.com:444"),
        ("https://*.example.com", "https://example.com"),
        ("s3://company-*", "s3://other"),
        ("s3://company-*", "gs://company-data"),
    ],
)
def test_a_value_that_is_not_or_could_be_read_in_two_ways_does_not(
    pattern: str, value: str
) -> None:
    assert not fits_value(pattern, value)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("*", "'*' is every value: write more of it, as in company-*"),
        ("**/*", "'**/*' is every value: write more of it, as in company-*"),
        ("a b", "'a b' holds blanks: write one pattern"),
        ("*://a.example.com", "'*://a.example.com': write the scheme out, as in https://"),
        (
            "https://me@a.example.com",
            "'https://me@a.example.com' is no pattern of addresses: write scheme, host and path "
            "alone",
        ),
        (
            "https://*",
            "'https://*': its host '*' is nearly every host: write more of it, as in *.example.com",
        ),
        (
            "file:///tmp",
            "'file:///tmp': its host '' is no host: write it like db.example.com, *.example.com or "
            "[::1]:80",
        ),
    ],
)
def test_a_pattern_that_means_everything_or_nothing_is_refused(pattern: str, text: str) -> None:
    assert value_pattern_problem(pattern) == text
