"""What is taken for a credential and what is not: a table, because precision is the point."""

from __future__ import annotations

import pytest

from dagbook.preflight.credential_patterns import (
    find_known,
    looks_like_example,
    names_credential,
    refused_value,
)

# Put together, so that no scanner of repositories takes this file for a leak.
AWS = "AKIA" + "QYLPMN5HHHFPZAM2"
GITHUB = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
JWT = "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0In0aa" + ".dozjgNryP4J3jVmNHl0w5N"

CREDENTIAL_NAMES = [
    *(
        "password",
        "passwd",
        "PASSWORD",
        "db_password",
        "dbPassword",
        "DB-PASSWORD",
        "db_password_2",
    ),
    *("password_prod", "passphrase", "secret", "client_secret", "clientSecret", "secret_key"),
    *("api_key", "apikey", "OPENAI_API_KEY", "x-api-key", "aws_secret_access_key", "private_key"),
    *("account_key", "access_key", "access_token", "github_token", "slackToken", "HF_TOKEN"),
    *("bot_token", "smtp_pass", "pwd", "jwt_token", "sas_token", "signing_key", "test_password"),
    *("PGPASSWORD", "dbpassword", "MYSQL_PWD", "userApiKey"),
]
OTHER_NAMES = [
    *("max_tokens", "token_count", "tokenizer", "token_limit", "tokens", "num_token", "n_tokens"),
    *("pad_token", "eos_token", "next_token", "page_token", "next_page_token", "mask_token"),
    *("primary_key", "key", "sort_key", "foreign_key", "key_column", "keys", "public_key"),
    *("secret_santa", "secret_name", "secret_id", "secrets", "password_file", "password_column"),
    *("password_length", "has_password", "show_password", "forgot_password", "api_key_env"),
    *("api_key_name", "access_key_id", "token_url", "passes", "pass", "low_pass", "passenger"),
    *("author", "authority", "compass", "bypass", "keyword", "keyboard", "monkey", "turkey"),
    *("dsn", "connection_string", "host", "user", "region", "monkey_business", "token"),
]


@pytest.mark.parametrize("name", CREDENTIAL_NAMES)
def test_a_name_calls_it_a_credential(name: str) -> None:
    assert names_credential(name)


@pytest.mark.parametrize("name", OTHER_NAMES)
def test_another_name_does_not(name: str) -> None:
    assert not names_credential(name)


KNOWN = {
    AWS: "an AWS access key",
    "ASIA" + "QYLPMN5HHHFPZAM2": "an AWS access key",
    GITHUB: "a GitHub token",
    "github_pat_" + "11ABCDEFG0" + "a1b2c3d4e5f6g7h8i9j0" * 3: "a GitHub token",
    "glpat-" + "a1b2c3d4e5f6g7h8i9j0": "a GitLab token",
    "sk-" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8": "an API key",
    "sk-proj-" + "a1B2c3D4_e5F6g7H8i9J0-k1L2m3": "an API key",
    "sk_live_" + "a1B2c3D4e5F6g7H8": "a Stripe key",
    "hf_" + "aBcDeFgHiJkLmNoPqRsTuVwXyZaBcDeFgH": "a Hugging Face token",
    "xoxb-" + "123456789012-abcdefghij": "a Slack token",
    "https://hooks.slack.com/services/" + "T024BE7LD/B024BE7LH/aB1cD2eF3gH4": "a Slack webhook",
    "AIza" + "SyA1bC2dE3fG4hI5jK6lM7nO8pQ9rS0tU1v": "a Google API key",
    "dapi" + "0123456789abcdef0123456789abcdef": "a Databricks token",
    "-----BEGIN RSA PRIVATE KEY-----\nMIIE": "a private key",
    "-----BEGIN PRIVATE KEY-----\nMIIE": "a private key",
    "-----BEGIN OPENSSH PRIVATE KEY-----": "a private key",
    JWT: "a signed token (JWT)",
    "postgresql://anna:hunter2@db.company.com/shop": "an address with a password",
    "redis://:hunter2@cache:6379/0": "an address with a password",
    "mongodb+srv://app:s3cr3tW0rd@cluster0.mongodb.net": "an address with a password",
    "AccountName=a;AccountKey=" + "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6==": "a storage key",
    "host=db dbname=shop user=anna password=hunter2": "a connection string with a password",
    "Server=db;Database=shop;User Id=anna;Password=hunter2;": "a connection string with a password",
    "Authorization: Bearer " + "a1B2c3D4e5F6g7H8i9J0k1": "a login in a header",
}


@pytest.mark.parametrize(("text", "what"), KNOWN.items(), ids=range(len(KNOWN)))
def test_a_shape_says_what_it_is_wherever_it_stands(text: str, what: str) -> None:
    for around in ("{}", "x = '{}'", "a line\n  key: {} # why", "({})"):
        assert [known.what for known in find_known(around.format(text))] == [what]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "https://company.com/a/page?x=1",
        "https://user@company.com/",
        "postgresql://db.company.com:5432/shop",
        "postgresql://{user}:{password}@db/shop",
        "postgresql://$USER:$PASSWORD@db/shop",
        "postgresql://<user>:<password>@db/shop",
        "postgresql://user:password@db/shop",
        "postgresql://user:%s@db/shop",
        "AKIAIOSFODNN7EXAMPLE",
        "sk-...",
        "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "sk-learn-pipeline-with-many-words-in-its-name",
        "hf_model_name",
        "s3://bucket/key",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----",
        "Bearer {token}",
        "Basic statistics of the population",
        "eyJ",
        "host=db dbname=shop user=anna password=$PGPASSWORD",
        "Server=db;Database=shop;Trusted_Connection=yes",
        "http://[::1]:8080/a@b",
        "git@github.com:company/repository.git",
        "the password = what you were given",
        "12:30:45 anna@company.com",
    ],
)
def test_other_texts_have_no_such_shape(text: str) -> None:
    assert list(find_known(text)) == []


def test_where_it_begins_is_told() -> None:
    (known,) = find_known(f"one\ntwo {GITHUB}")
    assert known.start == 8


@pytest.mark.parametrize(
    "text",
    [
        *("<your password>", "YOUR_API_KEY", "changeme", "password", "...", "xxxxxx", "****"),
        *(
            "${DB_PASSWORD}",
            "{{ partition_key }}",
            "DB_PASSWORD",
            "Enter your password:",
            "db_password",
        ),
        *("%(password)s", "string", "api-key"),
    ],
)
def test_what_stands_in_for_a_credential_is_known(text: str) -> None:
    assert looks_like_example(text)


@pytest.mark.parametrize("text", ["hunter2", "correct horse battery", "Tr0ub4dor&3", "s3cr3t"])
def test_a_password_is_no_example(text: str) -> None:
    assert not looks_like_example(text)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("password", "hunter2", "is called a credential"),
        ("password", "x", "is called a credential"),
        ("db_password", 123456, "is called a credential"),
        ("token", "hunter2", "is called a credential"),
        ("region", GITHUB, "looks like a GitHub token"),
        ("urls", ["https://a", "postgresql://a:hunter2@b/c"], "looks like an address with a password"),
        ("login", {"user": "anna", "password": "hunter2"}, "is called a credential"),
        ("nested", {"a": [{"b": AWS}]}, "looks like an AWS access key"),
    ],
)  # fmt: skip
def test_a_parameter_that_looks_like_a_credential_is_refused_in_words_without_it(
    name: str, value: object, reason: str
) -> None:
    assert refused_value(name, value) == reason


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("password", ""), ("password", None), ("password", "{{ partition_key }}")),
        *(("use_password", True), ("password", False), ("password_length", 12345)),
        *(("token", "BTC"), ("token", "bitcoin"), ("token", "[CLS]"), ("token", "ETHUSDT2024")),
        *(("token_limit", 4096), ("max_tokens", "4096"), ("api_key_name", "prod-key-1")),
        *(("region", "DE"), ("since", "2026-01-01"), ("sort_key", "created_at2")),
        *(("credentials", "conf/service.json"), ("auth", "kerberos"), ("ids", [1, 2, 3])),
        *(("token", "0xdAC17F958D2ee523a2206206994597C13D831ec7"), ("pat", "tern")),
        *(("secret_name", "projects/1/secrets/db-password"), ("access_key_id", "key-1")),
    ],
)
def test_a_parameter_that_does_not_is_taken(name: str, value: object) -> None:
    assert refused_value(name, value) is None
