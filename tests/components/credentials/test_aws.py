"""AWS Secrets Manager and STS, as a real moto server has them."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from dagbook.credentials.aws_assume_role import session_name
from dagbook.credentials.provider import ProviderDown
from dagbook.errors import DagbookError
from dagbook.policy.connections import ConnectionFile
from dagbook.policy.providers import PROVIDERS

from .conftest import connection, fetched, masked

pytestmark = pytest.mark.early

PASSWORD = "moto's own password"
ROLE = "arn:aws:iam::123456789012:role/lake-reader"
AWS_VARIABLES = PROVIDERS["aws_assume_role"].variables


@pytest.fixture(scope="module")
def secrets(moto: str) -> dict[str, Any]:
    """What is kept there, by name."""
    import boto3

    session = boto3.Session("AKIAADMINISTRATOR001", "administrator", region_name="eu-central-1")
    client = session.client("secretsmanager", endpoint_url=moto)
    fields = {"username": "reader", "password": PASSWORD, "host": "db.example.com", "port": 5432}
    return {
        "fields": client.create_secret(Name="prod/db", SecretString=json.dumps(fields)),
        "text": client.create_secret(Name="prod/token", SecretString="one long token"),
        "bytes": client.create_secret(Name="prod/keystore", SecretBinary=b"\0\1\2\3\xff keys"),
        "newer": client.put_secret_value(SecretId="prod/token", SecretString="a newer token"),
        "deleted": (
            client.create_secret(Name="prod/old", SecretString="an old secret"),
            client.delete_secret(SecretId="prod/old"),
        ),
    }


def settings(moto: str, **more: str) -> dict[str, dict[str, str]]:
    told = {"endpoint_url": moto, "region": "eu-central-1", **more}
    return {"aws_secrets_manager": told, "aws_assume_role": told}


@pytest.mark.usefixtures("deployment", "secrets")
def test_the_fields_of_a_secret_are_given_and_its_password_is_masked(moto: str) -> None:
    before = dict(os.environ)
    wanted = {"PGUSER": "username", "PGPASSWORD": "password", "PGPORT": "port", "DB": None}
    given = fetched(connection("aws_secrets_manager", "prod/db", wanted), settings=settings(moto))
    whole = given.environment["DB"]
    assert json.loads(whole)["password"] == PASSWORD
    assert given.environment == {
        "PGUSER": "reader",
        "PGPASSWORD": PASSWORD,
        "PGPORT": "5432",
        "DB": whole,
    }
    assert masked(given) == {PASSWORD, whole}
    assert given.expires_at is None
    # The deployment's own stay where they are, and nothing of boto3's stays at all.
    import boto3

    assert dict(os.environ) == before
    assert boto3.DEFAULT_SESSION is None


@pytest.mark.usefixtures("deployment")
def test_a_version_of_a_secret_is_given_by_its_label_or_identity(
    moto: str, secrets: dict[str, Any]
) -> None:
    def version(**options: str) -> str:
        wanted = connection("aws_secrets_manager", "prod/token", options=options)
        return fetched(wanted, settings=settings(moto)).environment["SECRET"]

    assert version() == "a newer token"
    assert version(version_stage="AWSPREVIOUS") == "one long token"
    assert version(version_id=secrets["text"]["VersionId"]) == "one long token"


@pytest.mark.usefixtures("deployment")
def test_the_arn_of_a_secret_says_its_region(moto: str, secrets: dict[str, Any]) -> None:
    wanted = connection("aws_secrets_manager", secrets["text"]["ARN"])
    told = {"aws_secrets_manager": {"endpoint_url": moto}}
    assert fetched(wanted, settings=told).environment == {"SECRET": "a newer token"}


@pytest.mark.usefixtures("deployment", "secrets")
def test_the_endpoint_may_come_from_the_deployments_environment(
    moto: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", moto)
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    given = fetched(connection("aws_secrets_manager", "prod/token"))
    assert given.environment == {"SECRET": "a newer token"}


@pytest.mark.usefixtures("deployment", "secrets")
def test_a_secret_that_is_no_text_is_given_as_a_file(moto: str) -> None:
    files = (ConnectionFile("KEYSTORE", "keystore"),)
    given = fetched(
        connection("aws_secrets_manager", "prod/keystore", files=files), settings=settings(moto)
    )
    assert given.files[0].content == b"\0\1\2\3\xff keys"


@pytest.mark.parametrize(
    ("key", "options", "text"),
    [
        (
            "prod/bd",
            {},
            "aws_secrets_manager has no secret `prod/bd` in this account and region: mend `key` or "
            "`region`",
        ),
        (
            "prod/db",
            {"region": "eu-west-1"},
            "aws_secrets_manager has no secret `prod/db` in this account and region: mend `key` or "
            "`region`",
        ),
        (
            "prod/db",
            {"version_stage": "AWSPENDING"},
            "aws_secrets_manager has no secret `prod/db` in this account and region, or no version "
            "`AWSPENDING` of it: mend `key` or `region`",
        ),
        (
            "prod/old",
            {},
            "aws_secrets_manager does not give `prod/old`: it is marked for deletion",
        ),
    ],
    ids=["another name", "another region", "another version", "deleted"],
)
@pytest.mark.usefixtures("deployment", "secrets")
def test_a_wrong_key_is_named(moto: str, key: str, options: dict[str, str], text: str) -> None:
    with pytest.raises(DagbookError) as raised:
        fetched(connection("aws_secrets_manager", key, options=options), settings=settings(moto))
    assert str(raised.value) == f"connection `warehouse`: {text}"
    assert not isinstance(raised.value, ProviderDown)


@pytest.mark.usefixtures("deployment", "secrets")
def test_a_wrong_field_is_named_with_those_there_are(moto: str) -> None:
    wanted = connection("aws_secrets_manager", "prod/db", {"PGPASSWORD": "pasword"})
    with pytest.raises(DagbookError) as raised:
        fetched(wanted, settings=settings(moto))
    assert str(raised.value) == (
        "connection `warehouse`: the secret has no field `pasword`. Did you mean `password`? "
        "Known: password, port, host, username"
    )


@pytest.mark.usefixtures("secrets")
def test_a_deployment_without_credentials_of_its_own_is_told_so(moto: str) -> None:
    with pytest.raises(DagbookError) as raised:
        fetched(connection("aws_secrets_manager", "prod/db"), settings=settings(moto))
    assert str(raised.value) == (
        "connection `warehouse`: aws_secrets_manager: the deployment has no AWS credentials of its "
        "own: give its machine a role, or set them where Dagster starts"
    )


@pytest.mark.usefixtures("deployment")
def test_a_region_or_profile_that_nobody_knows_is_asked_for() -> None:
    with pytest.raises(DagbookError) as raised:
        fetched(connection("aws_secrets_manager", "prod/db"))
    assert str(raised.value) == (
        "connection `warehouse`: aws_secrets_manager: no AWS region is known: write `region` below "
        "`providers.aws_secrets_manager`"
    )
    with pytest.raises(DagbookError) as raised:
        fetched(
            connection("aws_secrets_manager", "prod/db"),
            settings={"aws_secrets_manager": {"profile": "growth"}},
        )
    assert str(raised.value) == (
        "connection `warehouse`: aws_secrets_manager: the deployment's AWS configuration has no "
        "profile `growth`"
    )


@pytest.fixture
def with_permissions(moto: str, aws: Callable[[str], Any]) -> Iterator[dict[str, str]]:
    """Keys of a user who may do nothing, while moto looks at permissions."""
    iam = aws("iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]

    def allow(calls: int) -> None:
        data = str(calls).encode()
        kind = {"Content-Type": "text/plain"}
        request = urllib.request.Request(f"{moto}/moto-api/reset-auth", data, kind)
        urllib.request.urlopen(request, timeout=30).close()

    allow(0)
    try:
        yield {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }
    finally:
        allow(1_000_000_000)
        iam.delete_access_key(UserName="nobody", AccessKeyId=key["AccessKeyId"])
        iam.delete_user(UserName="nobody")


@pytest.mark.usefixtures("secrets")
def test_a_deployment_that_may_not_is_told_what_it_needs(
    moto: str, with_permissions: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in with_permissions.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(DagbookError) as raised:
        fetched(
            connection("aws_secrets_manager", "prod/db"),
            connection("aws_assume_role", ROLE, AWS_VARIABLES, name="lake"),
            settings=settings(moto),
        )
    assert str(raised.value) == (
        "connection `warehouse`: aws_secrets_manager: the deployment is not permitted to read "
        "`prod/db`: it needs secretsmanager:GetSecretValue, and kms:Decrypt where the secret has a "
        f"key of its own; connection `lake`: aws_assume_role: the deployment is not permitted to "
        f"assume `{ROLE}`: its own role needs sts:AssumeRole, and the role's trust policy has to "
        "name it"
    )
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not the key's secret")
    with pytest.raises(DagbookError) as raised:
        fetched(connection("aws_assume_role", ROLE, AWS_VARIABLES), settings=settings(moto))
    assert str(raised.value) == (
        "connection `warehouse`: aws_assume_role: AWS does not accept the deployment's own "
        "credentials (SignatureDoesNotMatch)"
    )


# A provider that is down


@pytest.mark.usefixtures("deployment")
def test_an_address_where_nobody_answers_is_one_line() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ProviderDown) as raised:
        fetched(
            connection("aws_secrets_manager", "prod/db"),
            settings=settings(f"http://127.0.0.1:{port}"),
        )
    assert str(raised.value) == (
        f"connection `warehouse`: aws_secrets_manager: 127.0.0.1:{port} does not answer "
        "(EndpointConnectionError): check the network of the deployment, its proxy and "
        "`endpoint_url`"
    )


@contextmanager
def answering(status: int, **headers: str) -> Iterator[tuple[str, list[str]]]:
    """A server that always answers the same: its address, and the paths it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        do_GET = do_POST

        def log_message(self, *_: Any) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", asked
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.usefixtures("deployment")
def test_a_server_that_is_out_of_order_is_asked_twice_and_no_more() -> None:
    with answering(503) as (url, asked), pytest.raises(ProviderDown) as raised:
        fetched(connection("aws_secrets_manager", "prod/db"), settings=settings(url))
    assert str(raised.value) == (
        "connection `warehouse`: aws_secrets_manager: AWS is busy or out of order (503)"
    )
    assert len(asked) == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.usefixtures("deployment")
def test_a_redirection_is_not_followed(status: int) -> None:
    with (
        answering(200) as (other, asked_of_other),
        answering(status, Location=other) as (url, asked),
        pytest.raises(DagbookError),
    ):
        fetched(connection("aws_secrets_manager", "prod/db"), settings=settings(url))
    assert asked and asked_of_other == []


# STS


@pytest.mark.usefixtures("deployment")
def test_a_role_gives_credentials_that_end(moto: str) -> None:
    before = time.time()
    wanted = connection("aws_assume_role", ROLE, AWS_VARIABLES, options={"duration_seconds": "900"})
    given = fetched(wanted, settings=settings(moto), asset="models/churn")
    assert set(given.environment) == set(AWS_VARIABLES)
    assert given.environment["AWS_ACCESS_KEY_ID"].startswith("ASIA")
    assert set(given.environment.values()) == masked(given)
    assert given.expires_at is not None and 890 <= given.expires_at - before <= 930
    assert given.renew is not None
    assert given.renew().environment["AWS_ACCESS_KEY_ID"] != given.environment["AWS_ACCESS_KEY_ID"]


@pytest.mark.usefixtures("deployment")
def test_the_name_of_the_session_says_whose_run_it_is(moto: str) -> None:
    import boto3

    given = fetched(
        connection("aws_assume_role", ROLE, AWS_VARIABLES),
        settings=settings(moto),
        asset="models/churn",
    )
    client = boto3.Session(
        given.environment["AWS_ACCESS_KEY_ID"],
        given.environment["AWS_SECRET_ACCESS_KEY"],
        given.environment["AWS_SESSION_TOKEN"],
        region_name="eu-central-1",
    ).client("sts", endpoint_url=moto)
    arn = client.get_caller_identity()["Arn"]
    assert arn == "arn:aws:sts::123456789012:assumed-role/lake-reader/dagbook-models-churn"


@pytest.mark.parametrize(
    ("asset", "name"),
    [
        (None, "dagbook-check"),
        ("a b/ü", "dagbook-a-b-"),
        ("x" * 80, f"dagbook-{'x' * 47}-1df41e37"),
    ],
)
def test_a_session_has_a_name_that_aws_takes(asset: str | None, name: str) -> None:
    assert session_name(asset) == name
    assert len(name) <= 64


def test_two_long_keys_that_begin_alike_are_two_sessions() -> None:
    assert session_name("x" * 80) != session_name("x" * 81)


@pytest.mark.usefixtures("deployment")
def test_a_role_that_is_none_or_a_time_that_is_too_long_is_refused(moto: str) -> None:
    def refused(key: str, **options: str) -> str:
        with pytest.raises(DagbookError) as raised:
            fetched(
                connection("aws_assume_role", key, AWS_VARIABLES, options=options),
                settings=settings(moto),
            )
        assert not isinstance(raised.value, ProviderDown)
        return str(raised.value).removeprefix("connection `warehouse`: aws_assume_role: ")

    assert refused("lake") == "AWS takes no such key or option: see `key` and `options`"
    assert refused(ROLE, duration_seconds="60") == (
        "`duration_seconds` is from 900 to 43200, not 60"
    )


CHILD = """
import sys, time
import boto3

client = boto3.Session().client("sts", endpoint_url=sys.argv[1])
for line in sys.stdin:
    print(client.get_caller_identity()["Arn"], flush=True)
"""

PAGE = Path(__file__).parents[3] / "docs" / "credentials.md"


@pytest.mark.usefixtures("deployment")
def test_a_long_run_gets_fresh_credentials_of_a_role_by_the_file(moto: str, tmp_path: Path) -> None:
    """The way to a notebook's own AWS library that the docs show, past a real end."""
    files = (ConnectionFile("AWS_CREDENTIALS_JSON", "aws.json"),)
    wanted = connection("aws_assume_role", ROLE, files=files)
    given = fetched(wanted, settings=settings(moto), asset="first")
    path, config = tmp_path / "aws.json", tmp_path / "config"
    config.write_text(re.findall(r"^```ini\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)[0])

    def deliver(content: bytes, seconds: float) -> None:
        # Moto's own clock goes on no faster, so the end is moved.
        end = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))
        path.write_text(json.dumps({**json.loads(content), "Expiration": end}), "utf-8")

    deliver(given.files[0].content, 3)
    environment = {
        "PATH": os.environ["PATH"],
        "AWS_CONFIG_FILE": str(config),
        "AWS_CREDENTIALS_JSON": str(path),
    }
    with subprocess.Popen(
        [sys.executable, "-c", CHILD, moto],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
    ) as child:
        assert child.stdin is not None and child.stdout is not None

        def ask() -> str:
            print(file=child.stdin, flush=True)
            return str(child.stdout.readline()).strip()  # type: ignore[union-attr]

        assert ask().endswith("/dagbook-first")
        again = fetched(wanted, settings=settings(moto), asset="second")
        deliver(again.files[0].content, 3600)
        time.sleep(3)
        assert ask().endswith("/dagbook-second")
        child.stdin.close()
