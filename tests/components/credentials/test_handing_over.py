"""What a run is given of a secret, and what is refused."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from dagbook.credentials.handing_over import hand_over
from dagbook.credentials.provider import Fetched, ProviderDown
from dagbook.errors import DagbookError
from dagbook.masking import Masker
from dagbook.policy.connections import Connection, ConnectionFile

from .conftest import connection, fetched, masked

DB = {"username": "reader", "password": "a long password", "host": "db.example.com", "port": 5432}


def given(fields: object, variables: dict[str, str | None], **more: Any) -> dict[str, str]:
    wanted = connection("vault", "key", variables, **more)
    return dict(hand_over(wanted, Fetched(fields)).variables)  # type: ignore[arg-type]


def refused(fields: object, variables: dict[str, str | None], **more: Any) -> str:
    with pytest.raises(DagbookError) as raised:
        given(fields, variables, **more)
    return str(raised.value).removeprefix("connection `warehouse`: ")


def secrets(connection: Connection, value: Any) -> dict[str, str]:
    return {s.value: s.label for s in hand_over(connection, Fetched(value)).secrets}


def test_values_that_are_no_text_are_given_as_json_has_them() -> None:
    fields = {"port": 5432, "ssl": True, "list": ["one", "two"], "deep": {"a": 1}}
    wanted: dict[str, str | None] = {"A": "port", "B": "list", "C": "deep", "D": "ssl"}
    public = frozenset({"port", "list", "deep", "a"})
    assert given(fields, wanted, public_fields=public) == {
        "A": "5432",
        "B": '["one", "two"]',
        "C": '{"a": 1}',
        "D": "true",
    }


@pytest.mark.parametrize(
    ("fields", "variables", "text"),
    [
        (
            {"password": "short"},
            {"A": "password"},
            "field `password` is shorter than 6 characters, which cannot be masked: make it longer, "
            "or a field of `public_fields` if it is no secret",
        ),
        (
            {"password": "  short  "},
            {"A": "password"},
            "field `password` is shorter than 6 characters, which cannot be masked: make it longer, "
            "or a field of `public_fields` if it is no secret",
        ),
        (
            "short",
            {"A": None},
            "the secret is shorter than 6 characters, which cannot be masked: make it longer, or "
            "one of `values` if it is no secret",
        ),
        (
            {"url": "postgresql://reader:short@db.example.com/a"},
            {"A": "url"},
            "the password in the address in field `url` is shorter than 6 characters, which cannot "
            "be masked: make it longer",
        ),
        (
            {**DB, "pin": 1234},
            {"A": None},
            "field `pin` is shorter than 6 characters, which cannot be masked: make it longer, or a "
            "field of `public_fields` if it is no secret",
        ),
        (
            {"password": b"a long password"},
            {"A": "password"},
            "the field `password` is neither text nor what JSON can hold",
        ),
        (
            {"password": b"a long password"},
            {"A": None},
            "the secret is neither text nor what JSON can hold",
        ),
        ({"password": ""}, {"A": "password"}, "the field `password` of the secret is empty"),
        ({"password": None}, {"A": "password"}, "the field `password` of the secret is empty"),
        (
            DB,
            {"A": "pasword"},
            "the secret has no field `pasword`. Did you mean `password`? Known: password, port, "
            "host, username",
        ),
        (
            "one long text",
            {"A": "password"},
            "the secret is one text without fields, so it has no `password`: leave the field out",
        ),
        (
            {"password": "a\0long password"},
            {"A": "password"},
            "`A` cannot hold the field `password`, it is too long or no text: deliver it as a file",
        ),
        (
            {"password": "x" * 200_000},
            {"A": "password"},
            "`A` cannot hold the field `password`, it is too long or no text: deliver it as a file",
        ),
    ],
)
def test_what_cannot_be_given_is_said_without_its_value(
    fields: object, variables: dict[str, str | None], text: str
) -> None:
    assert refused(fields, variables) == text


def test_fields_that_are_no_secret_are_given_and_not_masked() -> None:
    wanted = connection(
        "vault", "key", {"A": "username", "B": "port", "C": "host", "D": "password"}
    )
    assert secrets(wanted, DB) == {"a long password": "warehouse.password"}


def test_the_platform_file_says_which_fields_are_no_secret() -> None:
    none = connection("vault", "key", {"A": "username"}, public_fields=frozenset())
    assert secrets(none, DB) == {"reader": "warehouse.username"}
    password = connection("vault", "key", {"A": "password"}, public_fields=frozenset({"password"}))
    assert secrets(password, {"password": "x"}) == {}


def test_a_secret_with_fields_is_given_whole_as_json() -> None:
    wanted = connection("vault", "key", {"A": None})
    assert json.loads(given(DB, {"A": None})["A"]) == DB
    assert set(secrets(wanted, DB)) == {json.dumps(DB), "a long password"}


def test_a_secret_is_masked_without_the_blanks_around_it_too() -> None:
    wanted = connection("vault", "key", {"A": "password"})
    assert set(secrets(wanted, {"password": " a password\n"})) == {" a password\n", "a password"}


def test_the_password_in_a_public_address_is_masked_all_the_same() -> None:
    wanted = connection("vault", "key", {"A": "endpoint"})
    endpoint = {"endpoint": "https://reader:a-password@db.example.com"}
    assert secrets(wanted, endpoint) == {"a-password": "warehouse.endpoint"}


# Hosts


BOUND = {"hosts": ("db.example.com:5432", "*.internal.example.com")}


@pytest.mark.parametrize(
    "fields",
    [
        DB,
        {"host": "db.example.com:5432"},
        {"host": "a.internal.example.com", "port": "1"},
        {"url": "postgresql://r:a-password@db.example.com/a"},
        {"url": "postgresql+psycopg://r:a-password@db.example.com:5432/a"},
        {"url": "https://a.internal.example.com/x"},
        {"url": "jdbc:postgresql://db.example.com/a?user=r"},
        {"dsn": "host=db.example.com:5432 password=a-password"},
        {"documentation": "https://elsewhere.example.com/read-me"},
        {"url": "mongodb://r:a-password@a.internal.example.com,b.internal.example.com/a"},
        "postgresql://r:a-password@db.example.com/a",
        "no address at all",
    ],
    ids=str,
)
def test_a_secret_that_leads_to_a_host_it_is_bound_to_is_given(fields: object) -> None:
    assert given(fields, {}, **BOUND) == {}


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({**DB, "host": "db.example.com.evil.example.org"}, "host"),
        ({**DB, "port": 5433}, "host"),
        ({"endpoint": "elsewhere.example.com"}, "endpoint"),
        ({"url": "postgresql://r:a-password@elsewhere.example.com/a"}, "url"),
        ({"any": "https://r:a-password@elsewhere.example.com/a"}, "any"),
        ({"url": "https://db.example.com@elsewhere.example.com/"}, "url"),
        ({"url": "https://db.example.com\\@elsewhere.example.com/"}, "url"),
        ({"url": "https://elsewhere.example.com/@db.example.com"}, "url"),
        ({"url": "postgresql://r:a@db.example.com@elsewhere.example.com/a"}, "url"),
        ({"url": "https://db.example.com:5432;@elsewhere.example.com/a"}, "url"),
        ({"dsn": "host=elsewhere.example.com password=a-password"}, "dsn"),
        ({"odbc": "Driver=x;Server=tcp:elsewhere.example.com,1433;Pwd=a-password"}, "odbc"),
        ({"token_uri": "https://elsewhere.example.com/token"}, "token_uri"),
        ({"url": "mongodb://r:p@a.internal.example.com,elsewhere.example.com/a"}, "url"),
        ("postgresql://r:a-password@elsewhere.example.com/a", None),
    ],
    ids=str,
)
def test_a_secret_that_leads_elsewhere_is_refused(fields: object, field: str | None) -> None:
    where = "the secret" if field is None else f"its field `{field}`"
    assert refused(fields, {}, **BOUND) == (
        f"{where} leads to a host that is none of `hosts` (db.example.com:5432, "
        "*.internal.example.com): mend the secret, or `hosts`"
    )


def test_a_connection_that_is_bound_to_no_host_gives_any_secret() -> None:
    url = "postgresql://r:a-password@anywhere.example.com/a"
    assert given({"url": url}, {"A": "url"}) == {"A": url}


# Several connections


def environment(**more: str) -> dict[str, str]:
    return {"ONE": "the first secret", "TWO": "the second secret", **more}


def test_what_logs_in_to_the_tracking_server_is_kept_from_the_kernel() -> None:
    token = connection("environment", "ONE", {"MLFLOW_TRACKING_TOKEN": None}, name="tracking")
    given = fetched(
        token,
        connection("environment", "TWO", {"PGPASSWORD": None}, values={"PGHOST": "db"}),
        environment=environment(),
        values={"S3_BUCKET": "company-data", "MLFLOW_TRACKING_URI": "https://mlflow.example.com"},
    )
    assert given.tracking == {
        "MLFLOW_TRACKING_TOKEN": "the first secret",
        "MLFLOW_TRACKING_URI": "https://mlflow.example.com",
    }
    assert given.environment == {
        "PGPASSWORD": "the second secret",
        "PGHOST": "db",
        "S3_BUCKET": "company-data",
    }
    assert masked(given) == {"the first secret", "the second secret"}
    assert given.connections == ("tracking", "warehouse")


def test_plain_values_alone_are_given_without_a_secret() -> None:
    given = fetched(values={"S3_BUCKET": "company-data"})
    assert given.environment == {"S3_BUCKET": "company-data"}
    assert given.secrets == () and given.renew is None
    assert not fetched()


def test_two_connections_that_give_the_same_variable_are_refused() -> None:
    with pytest.raises(DagbookError) as raised:
        fetched(
            connection("environment", "ONE", {"PGPASSWORD": None}),
            connection("environment", "TWO", {"PGPASSWORD": None}, name="other"),
            environment=environment(),
        )
    assert str(raised.value) == (
        "connection `warehouse` and connection `other` both give `PGPASSWORD`: use one of them, or "
        "have one give another variable"
    )
    file = (ConnectionFile("KEY", "key"),)
    with pytest.raises(DagbookError) as raised:
        fetched(
            connection("environment", "ONE", {"KEY": None}),
            connection("environment", "TWO", name="other", files=file),
            environment=environment(),
        )
    assert str(raised.value) == (
        "connection `warehouse` and connection `other` both give `KEY`: use one of them, or have "
        "one give another variable"
    )


def test_two_connections_may_agree_on_what_everybody_may_know() -> None:
    region = {"AWS_REGION": "eu-central-1"}
    given = fetched(
        connection("environment", "ONE", {"A": None}, values=region),
        connection("environment", "TWO", {"B": None}, values=region, name="other"),
        environment=environment(),
    )
    assert given.environment["AWS_REGION"] == "eu-central-1"


def test_every_connection_that_fails_is_named_and_one_that_will_not_work_decides() -> None:
    with pytest.raises(DagbookError) as raised:
        fetched(
            connection("process", "false", name="down"),
            connection("environment", "NONE", name="wrong"),
            environment=environment(PATH="/bin:/usr/bin"),
        )
    assert not isinstance(raised.value, ProviderDown)
    assert str(raised.value) == (
        "connection `down`: the program false failed with status 1: run it as the deployment's "
        "user to see why; connection `wrong`: the deployment's environment has no variable `NONE`: "
        "set it where Dagster's code server and workers start, or mend `key`"
    )


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "utf-16"])
def test_text_in_another_encoding_is_masked_as_a_notebook_reads_it(encoding: str) -> None:
    content = "password=gr\u00fcne-Wiese-17\nsecond-line-of-it".encode(encoding)
    wanted = Connection("w", "file", "key", files=(ConnectionFile("F", "key"),))
    handed = hand_over(wanted, Fetched(content))
    masker = Masker(handed.secrets)

    assert handed.files[0].content == content
    for shown in (content.decode(encoding), "gr\u00fcne-Wiese-17", "second-line-of-it"):
        assert masker.text(shown) == "***w***"
    if encoding != "utf-16":
        assert "Wiese" not in masker.text(repr(content))
        assert "Wiese" not in masker.text(content.decode("utf-8", "replace"))


def test_of_bytes_that_are_no_text_the_whole_is_masked() -> None:
    content = bytes(range(256))
    wanted = Connection("w", "file", "key", files=(ConnectionFile("F", "key"),))

    assert {secret.value for secret in hand_over(wanted, Fetched(content)).secrets} == {
        base64.b64encode(content).decode(),
        content.hex(),
    }
