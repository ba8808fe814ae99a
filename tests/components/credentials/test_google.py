"""The provider of Google Secret Manager, against a local server of its own messages.

There is no Google Cloud here. The server speaks gRPC over TLS with the classes of Google's own
library, and checks the token that the deployment's service account signs; that Google's service
answers so is not shown.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.early

ACCOUNT = "runs@growth.iam.gserviceaccount.com"

#: A process of its own: gRPC reads the certificates it trusts once.
CHILD = """
import json, os, sys

sys.path[:] = json.loads(sys.argv[2])
from dagbook.credentials.fetching import fetch
from dagbook.errors import DagbookError
from dagbook.policy.connections import Connection, Entitlement
from dagbook.policy.platform import Platform

told = json.loads(sys.argv[1])
connection = Connection(
    "warehouse", "google_secret_manager", told["key"], told["options"], told["variables"]
)
platform = Platform(providers={"google_secret_manager": told["settings"]})
before = dict(os.environ)
try:
    given = fetch(Entitlement({"db": connection}), platform)
except DagbookError as error:
    print(json.dumps([type(error).__name__, str(error)]))
else:
    print(json.dumps([dict(given.environment), sorted(s.value for s in given.secrets)]))
assert dict(os.environ) == before
"""


@dataclass
class Service:
    """The server, and how to reach it."""

    address: str
    environment: dict[str, str]
    asked: list[str]

    def fetch(
        self,
        key: str,
        variables: dict[str, str | None] | None = None,
        *,
        environment: dict[str, str] | None = None,
        **more: Any,
    ) -> tuple[Any, Any]:
        told = {
            "key": key,
            "variables": variables or {"SECRET": None},
            "options": more.get("options", {}),
            "settings": {"endpoint": self.address, **more.get("settings", {})},
        }
        done = subprocess.run(
            [sys.executable, "-c", CHILD, json.dumps(told), json.dumps(sys.path)],
            capture_output=True,
            text=True,
            env={**os.environ, **self.environment, **(environment or {})},
        )
        assert done.returncode == 0, done.stderr
        first, second = json.loads(done.stdout)
        return first, second


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A server over TLS, which knows one service account."""
    import grpc
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import rsa
    from google.cloud import secretmanager_v1

    folder = tmp_path_factory.mktemp("google")
    server_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    certificate = _certificate(server_key)
    (folder / "roots.pem").write_bytes(certificate)
    account_key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    account = {
        "type": "service_account",
        "project_id": "growth",
        "private_key_id": "0123456789",
        "private_key": _pem(account_key).decode(),
        "client_email": ACCOUNT,
        "client_id": "1",
        "token_uri": "http://127.0.0.1:9/never-asked",
    }
    (folder / "account.json").write_text(json.dumps(account))
    public = account_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    asked: list[str] = []

    def access(request: Any, context: grpc.ServicerContext) -> Any:
        _check_token(dict(context.invocation_metadata()), public, context)
        asked.append(request.name)
        secret = request.name.split("/")[3]
        if secret in ERRORS:
            context.abort(ERRORS[secret](grpc.StatusCode), "hidden words of the server")
        if secret not in SECRETS:
            context.abort(grpc.StatusCode.NOT_FOUND, "hidden words of the server")
        return secretmanager_v1.AccessSecretVersionResponse(
            name=request.name, payload={"data": SECRETS[secret]}
        )

    handler = grpc.unary_unary_rpc_method_handler(
        access,
        request_deserializer=secretmanager_v1.AccessSecretVersionRequest.deserialize,
        response_serializer=secretmanager_v1.AccessSecretVersionResponse.serialize,
    )
    name = "google.cloud.secretmanager.v1.SecretManagerService"
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=4))
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler(name, {"AccessSecretVersion": handler}),)
    )
    tls = grpc.ssl_server_credentials([(_pem(server_key), certificate)])
    port = server.add_secure_port("127.0.0.1:0", tls)
    server.start()
    try:
        environment = {
            "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(folder / "roots.pem"),
            "GOOGLE_APPLICATION_CREDENTIALS": str(folder / "account.json"),
        }
        yield Service(f"localhost:{port}", environment, asked)
    finally:
        server.stop(None)


SECRETS = {
    "db": b'{"username": "reader", "password": "google\'s password"}',
    "token": b"one long token",
    "keystore": b"\0\1\xff and more",
}
ERRORS: dict[str, Any] = {
    "forbidden": lambda code: code.PERMISSION_DENIED,
    "disabled": lambda code: code.FAILED_PRECONDITION,
    "busy": lambda code: code.RESOURCE_EXHAUSTED,
    "broken": lambda code: code.INTERNAL,
    "odd": lambda code: code.OUT_OF_RANGE,
}


def _check_token(metadata: dict[str, str], public: bytes, context: Any) -> None:
    """As Google does: the account itself signs who it is and for whom."""
    import grpc
    import jwt

    token = metadata.get("authorization", "").removeprefix("Bearer ")
    try:
        claims = jwt.decode(token, public, ["RS256"], options={"verify_aud": False})
    except jwt.InvalidTokenError:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "hidden words of the server")
    if claims["iss"] != ACCOUNT:
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "hidden words of the server")


def _pem(key: Any) -> bytes:
    from cryptography.hazmat.primitives import serialization

    return bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def _certificate(key: Any) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.x509.oid import NameOID

    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    ]
    now = datetime.datetime.now(datetime.UTC)
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.PEM)


def test_the_fields_of_a_secret_are_given(service: Service) -> None:
    given = service.fetch("db", {"PGUSER": "username", "PGPASSWORD": "password"})
    assert given == ({"PGUSER": "reader", "PGPASSWORD": "google's password"}, ["google's password"])
    # The project of the deployment's own account, and the newest version.
    assert service.asked[-1] == "projects/growth/secrets/db/versions/latest"


@pytest.mark.parametrize(
    ("key", "more", "asked"),
    [
        ("token", {"options": {"version": "3"}}, "projects/growth/secrets/token/versions/3"),
        ("token", {"settings": {"project": "p"}}, "projects/p/secrets/token/versions/latest"),
        (
            "token",
            {"settings": {"project": "p"}, "options": {"project": "q"}},
            "projects/q/secrets/token/versions/latest",
        ),
        (
            "token",
            {"environment": {"GOOGLE_CLOUD_PROJECT": "e"}},
            "projects/e/secrets/token/versions/latest",
        ),
        ("projects/r/secrets/token", {}, "projects/r/secrets/token/versions/latest"),
        ("projects/r/secrets/token/versions/5", {}, "projects/r/secrets/token/versions/5"),
    ],
)
def test_the_project_and_the_version_are_those_that_are_named(
    service: Service, key: str, more: dict[str, Any], asked: str
) -> None:
    assert service.fetch(key, **more) == ({"SECRET": "one long token"}, ["one long token"])
    assert service.asked[-1] == asked


@pytest.mark.parametrize(
    ("key", "kind", "text"),
    [
        (
            "nothing",
            "DagbookError",
            "google_secret_manager has no projects/growth/secrets/nothing/versions/latest: mend "
            "`key`, `project` or `version`",
        ),
        (
            "forbidden",
            "DagbookError",
            "google_secret_manager: the deployment is not permitted to read "
            "projects/growth/secrets/forbidden/versions/latest: it needs "
            "roles/secretmanager.secretAccessor",
        ),
        (
            "disabled",
            "DagbookError",
            "google_secret_manager: projects/growth/secrets/disabled/versions/latest is disabled "
            "or destroyed",
        ),
        (
            "busy",
            "ProviderDown",
            "google_secret_manager: {address} does not answer, or is busy (ResourceExhausted): "
            "check the network of the deployment and `endpoint`",
        ),
        (
            "broken",
            "ProviderDown",
            "google_secret_manager: {address} does not answer, or is busy (InternalServerError): "
            "check the network of the deployment and `endpoint`",
        ),
        (
            "odd",
            "DagbookError",
            "google_secret_manager does not give projects/growth/secrets/odd/versions/latest "
            "(OutOfRange)",
        ),
        (
            "keystore",
            "DagbookError",
            "the secret is no text, so `SECRET` cannot hold it: deliver it as a file",
        ),
    ],
)
def test_what_is_not_given_is_said_in_one_line(
    service: Service, key: str, kind: str, text: str
) -> None:
    said = text.format(address=service.address)
    assert service.fetch(key) == (kind, f"connection `warehouse`: {said}")


def test_a_wrong_field_is_named_with_those_there_are(service: Service) -> None:
    assert service.fetch("db", {"PGPASSWORD": "pasword"}) == (
        "DagbookError",
        "connection `warehouse`: the secret has no field `pasword`. Did you mean `password`? "
        "Known: password, username",
    )


def test_a_deployment_that_is_nobody_is_told_so(service: Service, tmp_path: Path) -> None:
    kind, text = service.fetch(
        "db", environment={"GOOGLE_APPLICATION_CREDENTIALS": str(tmp_path / "none.json")}
    )
    assert (kind, text) == (
        "DagbookError",
        "connection `warehouse`: google_secret_manager: the deployment has no Google credentials "
        "of its own: give its machine a service account, or set GOOGLE_APPLICATION_CREDENTIALS "
        "where Dagster starts",
    )
    account = json.loads(Path(service.environment["GOOGLE_APPLICATION_CREDENTIALS"]).read_text())
    other = tmp_path / "other.json"
    other.write_text(json.dumps({**account, "client_email": "somebody-else@example.com"}))
    kind, text = service.fetch("db", environment={"GOOGLE_APPLICATION_CREDENTIALS": str(other)})
    assert (kind, text) == (
        "DagbookError",
        "connection `warehouse`: google_secret_manager does not accept the deployment's own Google "
        "credentials",
    )


def test_an_address_where_nobody_answers_is_one_line(service: Service) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    kind, text = service.fetch("db", settings={"endpoint": f"localhost:{port}"})
    assert (kind, text) == (
        "ProviderDown",
        f"connection `warehouse`: google_secret_manager: localhost:{port} does not answer, or is "
        "busy (ServiceUnavailable): check the network of the deployment and `endpoint`",
    )
