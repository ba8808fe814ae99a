"""What is masked of a secret beside the whole of it."""

from __future__ import annotations

import base64
import json
import time

import pytest

from dagbook.credentials.secret_parts import is_public, parts_of

PEM = """-----BEGIN PRIVATE KEY-----
MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj
MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu
NMoSfm76oqFvAp8Gy0==
-----END PRIVATE KEY-----"""
PEM_LINES = set(PEM.splitlines()[1:-1])

NETRC = "machine db.example.com login reader password a-netrc-password"
CONFIG = """# kept by the data team
[default]
aws_access_key_id = AKIACONFIG0000000001
aws_secret_access_key = "configured secret"
region = eu-central-1
output = json
opaque = 0a1b2c3d4e5f6a7b8c9d"""


def values(text: str) -> set[str]:
    return {part.value for part in parts_of(text)}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("one word", set()),
        ("postgresql://reader:a-password@db.example.com:5432/analytics", {"a-password"}),
        ("postgresql://reader:p%40ss%2Fword@db.example.com/a", {"p%40ss%2Fword", "p@ss/word"}),
        ("postgresql+psycopg://r:a+b%20cdef@db/a", {"a+b%20cdef", "a+b cdef", "a b cdef"}),
        ("https://0123456789abcdef@git.example.com/a.git", {"0123456789abcdef"}),
        ("https://reader@db.example.com/analytics", set()),
        ("redis://:a-password@cache.example.com/0", {"a-password"}),
        ("postgresql://reader:pass/word@db.example.com/analytics", {"pass/word"}),
        ("jdbc:postgresql://db.example.com/a?user=reader&password=a-password", {"a-password"}),
        ("jdbc:sqlserver://db:1433;databaseName=a;user=r;password=a-password", {"a-password"}),
        ("jdbc:oracle:thin:reader/a-password@//db.example.com:1521/sales", {"a-password"}),
        (
            "https://store.example.com/c/b?sv=2024&sig=a%2Fsignature",
            {"a%2Fsignature", "a/signature"},
        ),
        (
            "https://hooks.example.com/services/T000/B000/0a1b2c3d4e5f6a7b8c9d",
            {"/services/T000/B000/0a1b2c3d4e5f6a7b8c9d", "0a1b2c3d4e5f6a7b8c9d"},
        ),
        ("https://db.example.com/a/plain/path", set()),
        ("host=db user=reader password='a password' dbname=a", {"a password"}),
        ("Server=db,1433;User Id=reader;Pwd=a-password;Encrypt=yes", {"a-password"}),
        (
            "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=0a1b2c3d4e5f==;",
            {"0a1b2c3d4e5f=="},
        ),
        ("0a1b2c3d4e5f6a7b8c9dkey==", set()),
        (
            f"Basic {base64.b64encode(b'reader:a-password').decode()}",
            {"a-password", "cmVhZGVyOmEtcGFzc3dvcmQ="},
        ),
        ("Bearer 0a1b2c3d", {"0a1b2c3d"}),
        (PEM, PEM_LINES),
        ("db:5432:*:reader:a-password\n*:*:*:other:another", {"a-password", "another"}),
        (f"{NETRC}\nmachine b login c password second-one", {"a-netrc-password", "second-one"}),
        (
            CONFIG,
            {"AKIACONFIG0000000001", "configured secret", "0a1b2c3d4e5f6a7b8c9d"},
        ),
        ("first line\nsecond line", {"first line", "second line"}),
        (
            json.dumps(
                {
                    "type": "service_account",
                    "private_key": PEM,
                    "client_email": "runs@example.com",
                    "token_uri": "https://oauth2.example.com/token",
                    "enabled": True,
                    "nothing": None,
                    "deep": {"list": ["first entry", {"pin": 123456}], "user": "reader"},
                }
            ),
            {PEM, *PEM_LINES, "first entry", "123456"},
        ),
        (
            json.dumps({"endpoint": "https://reader:a-password@db.example.com"}),
            {"a-password"},
        ),
    ],
)
def test_the_parts_that_are_secrets_are_found(text: str, parts: set[str]) -> None:
    assert values(text) == parts


@pytest.mark.parametrize(
    ("name", "public"),
    [
        ("host", True),
        ("HOST", True),
        ("db_name", True),
        ("dbInstanceIdentifier", True),
        ("AWS_REGION", True),
        ("username", True),
        ("password", False),
        ("host_key", False),
        ("AccessKeyId", False),
        ("", False),
    ],
)
def test_a_name_says_whether_a_field_is_a_secret(name: str, public: bool) -> None:
    assert is_public(name) is public


@pytest.mark.parametrize(
    "text",
    [
        "a" * 1_000_000,
        "a=" * 500_000,
        "a b " * 250_000,
        "a: " * 300_000,
        "https://" + "@" * 500_000,
    ],
    ids=["one word", "pairs", "words", "colons", "marks"],
)
def test_a_long_secret_is_looked_through_once(text: str) -> None:
    before = time.process_time()
    list(parts_of(text))
    list(parts_of(text.replace(" ", "\n")))
    # A pattern that tries everything would take hours.
    assert time.process_time() - before < 60
