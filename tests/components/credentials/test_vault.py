"""The provider of Vault, against a stub of it: see `vault_stub.py`."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dagbook.credentials.provider import ProviderDown
from dagbook.errors import DagbookError

from .conftest import connection, fetched, masked
from .vault_stub import VaultStub, vault_stub

TOKEN = {"VAULT_TOKEN": "s.the-deployments-own"}
SECRET = {"username": "reader", "password": "the vault's password"}


@pytest.fixture
def stub() -> Iterator[VaultStub]:
    with vault_stub() as stub:
        stub.secrets["secret/data/prod/db"] = [{"password": "an older one"}, SECRET]
        yield stub


def settings(stub: VaultStub, **more: str) -> dict[str, dict[str, str]]:
    return {"vault": {"address": stub.url, **more}}


def test_the_fields_of_a_secret_are_given(stub: VaultStub) -> None:
    wanted = connection("vault", "prod/db", {"PGUSER": "username", "PGPASSWORD": "password"})
    given = fetched(wanted, settings=settings(stub), environment=TOKEN)
    assert given.environment == {"PGUSER": "reader", "PGPASSWORD": "the vault's password"}
    assert masked(given) == {"the vault's password"}
    # The deployment's own token is asked with, and not ended.
    assert [(method, path) for method, path, _ in stub.asked] == [
        ("GET", "/v1/secret/data/prod/db")
    ]
    assert stub.asked[0][2]["x-vault-token"] == "s.the-deployments-own"


def test_a_version_a_mount_and_a_namespace_are_asked_for(stub: VaultStub) -> None:
    stub.secrets["team/data/prod/db"] = [{"password": "of the team"}]
    old = connection("vault", "prod/db", {"A": "password"}, options={"version": "1"})
    team = connection(
        "vault",
        "prod/db",
        {"B": "password"},
        name="team",
        options={"mount": "team", "namespace": "growth"},
    )
    given = fetched(old, team, settings=settings(stub, namespace="all"), environment=TOKEN)
    assert given.environment == {"A": "an older one", "B": "of the team"}
    assert {(path, headers["x-vault-namespace"]) for _, path, headers in stub.asked} == {
        ("/v1/secret/data/prod/db", "all"),
        ("/v1/team/data/prod/db", "growth"),
    }


def test_the_address_may_come_from_the_deployments_environment(stub: VaultStub) -> None:
    wanted = connection("vault", "prod/db", {"A": "password"})
    environment = {**TOKEN, "VAULT_ADDR": stub.url, "VAULT_NAMESPACE": "ours"}
    assert fetched(wanted, environment=environment).environment == {"A": "the vault's password"}
    assert stub.asked[0][2]["x-vault-namespace"] == "ours"


def test_the_token_may_lie_in_a_file_that_nobody_else_can_read(
    stub: VaultStub, tmp_path: Path
) -> None:
    path = tmp_path / "token"
    path.write_text("s.the-deployments-own\n")
    path.chmod(0o600)
    wanted = connection("vault", "prod/db", {"A": "password"})
    told = settings(stub, token_file=str(path))
    assert fetched(wanted, settings=told, environment={}).environment == {
        "A": "the vault's password"
    }
    path.chmod(0o644)
    with pytest.raises(DagbookError, match="can be read by others than its owner"):
        fetched(wanted, settings=told, environment={})


@pytest.mark.parametrize(
    ("auth", "told", "environment", "asked"),
    [
        (
            "approle",
            {"role_id": "the-role"},
            {"VAULT_SECRET_ID": "the-secret-id"},
            ("auth/approle/login", {"role_id": "the-role", "secret_id": "the-secret-id"}),
        ),
        (
            "approle",
            {"role_id": "the-role", "auth_mount": "ours", "secret_id_variable": "OURS"},
            {"OURS": "the-secret-id"},
            ("auth/ours/login", {"role_id": "the-role", "secret_id": "the-secret-id"}),
        ),
        (
            "kubernetes",
            {"role": "runs", "jwt_file": "{folder}/jwt"},
            {},
            ("auth/kubernetes/login", {"role": "runs", "jwt": "a.service.account"}),
        ),
    ],
    ids=["approle", "approle elsewhere", "kubernetes"],
)
def test_a_token_of_a_login_is_ended_after_it_was_used(
    stub: VaultStub,
    tmp_path: Path,
    auth: str,
    told: dict[str, str],
    environment: dict[str, str],
    asked: tuple[str, dict[str, str]],
) -> None:
    (tmp_path / "jwt").write_text("a.service.account")
    stub.logins = dict([asked])
    own = {name: value.format(folder=tmp_path) for name, value in told.items()}
    wanted = connection("vault", "prod/db", {"A": "password"})
    before = set(stub.tokens)
    given = fetched(wanted, settings=settings(stub, auth=auth, **own), environment=environment)
    assert given.environment == {"A": "the vault's password"}
    assert stub.tokens == before
    assert stub.asked[-1][:2] == ("POST", "/v1/auth/token/revoke-self")


@pytest.mark.parametrize(
    ("told", "environment", "text"),
    [
        (
            {},
            {},
            "vault: the deployment has no VAULT_TOKEN: set it where Dagster starts, or write "
            "`token_file` below `providers.vault`",
        ),
        (
            {"auth": "approle", "role_id": "x"},
            {},
            "vault: the deployment has no VAULT_SECRET_ID: set it where Dagster starts, or write "
            "`secret_id_file` below `providers.vault`",
        ),
        (
            {"auth": "approle"},
            {"VAULT_SECRET_ID": "hidden"},
            "vault: `auth: approle` needs `role_id` below `providers.vault`",
        ),
        (
            {"auth": "approle", "role_id": "wrong"},
            {"VAULT_SECRET_ID": "hidden"},
            "vault does not let the deployment log in by approle (InvalidRequest): see "
            "`providers.vault`",
        ),
        (
            {"auth": "kubernetes", "role": "x"},
            {},
            "there is no file /var/run/secrets/kubernetes.io/serviceaccount/token: mend the path, "
            "or put it there",
        ),
    ],
)
def test_a_deployment_that_cannot_log_in_is_told_why(
    stub: VaultStub, told: dict[str, str], environment: dict[str, str], text: str
) -> None:
    stub.logins["auth/approle/login"] = {"role_id": "the-role", "secret_id": "the-secret-id"}
    with pytest.raises(DagbookError) as raised:
        fetched(
            connection("vault", "prod/db", {"A": "password"}),
            settings=settings(stub, **told),
            environment=environment,
        )
    assert str(raised.value) == f"connection `warehouse`: {text}"


def test_a_token_of_hvacs_own_is_never_used(
    stub: VaultStub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".vault-token").write_text("s.the-deployments-own")
    monkeypatch.setenv("VAULT_TOKEN", "s.the-deployments-own")
    with pytest.raises(DagbookError, match="the deployment has no VAULT_TOKEN"):
        fetched(
            connection("vault", "prod/db", {"A": "password"}),
            settings=settings(stub),
            environment={},
        )
    assert stub.asked == []


@pytest.mark.parametrize(
    ("key", "options", "text"),
    [
        (
            "prod/bd",
            {},
            "vault has no secret `prod/bd` below `secret`: mend `key` or `mount`. A store of "
            "version 1 is not read",
        ),
        (
            "prod/db",
            {"version": "7"},
            "vault has no secret `prod/db` below `secret` in version 7: mend `key` or `mount`. A "
            "store of version 1 is not read",
        ),
        (
            "prod/forbidden",
            {},
            "vault: the deployment is not permitted to read `prod/forbidden`: its policy needs "
            "`read` on secret/data/prod/forbidden, or its token has ended",
        ),
    ],
    ids=["another path", "another version", "not permitted"],
)
def test_a_wrong_key_is_named(
    stub: VaultStub, key: str, options: dict[str, str], text: str
) -> None:
    stub.forbidden.add("secret/data/prod/forbidden")
    with pytest.raises(DagbookError) as raised:
        fetched(
            connection("vault", key, {"A": "password"}, options=options),
            settings=settings(stub),
            environment=TOKEN,
        )
    assert str(raised.value) == f"connection `warehouse`: {text}"
    assert not isinstance(raised.value, ProviderDown)


def test_no_token_goes_along_with_a_redirection(stub: VaultStub) -> None:
    with vault_stub() as other:
        stub.redirect = other.url
        with pytest.raises(DagbookError) as raised:
            fetched(
                connection("vault", "prod/db", {"A": "password"}),
                settings=settings(stub),
                environment=TOKEN,
            )
        assert other.asked == []
    assert str(raised.value) == (
        "connection `warehouse`: vault: it answers with a redirection, which is not followed: give "
        "the address of the active node or of a load balancer as `address`"
    )


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (503, "{host} is sealed or on standby"),
        (500, "{host} is busy or out of order (InternalServerError)"),
        (429, "{host} is busy or out of order (RateLimitExceeded)"),
    ],
)
def test_a_vault_that_cannot_answer_now_may_be_asked_again(
    stub: VaultStub, status: int, text: str
) -> None:
    stub.status = status
    with pytest.raises(ProviderDown) as raised:
        fetched(
            connection("vault", "prod/db", {"A": "password"}),
            settings=settings(stub),
            environment=TOKEN,
        )
    host = stub.url.removeprefix("http://")
    assert str(raised.value) == f"connection `warehouse`: vault: {text.format(host=host)}"


def test_an_address_where_nobody_answers_is_one_line_without_its_login() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(ProviderDown) as raised:
        fetched(
            connection("vault", "prod/db", {"A": "password"}),
            environment={**TOKEN, "VAULT_ADDR": f"http://user:hidden@127.0.0.1:{port}"},
        )
    assert str(raised.value) == (
        f"connection `warehouse`: vault: 127.0.0.1:{port} does not answer (ConnectionError): check "
        "`address`, the network of the deployment and its proxy"
    )


def test_a_vault_that_hangs_is_given_up(stub: VaultStub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagbook.credentials.vault.ANSWER_SECONDS", 1.0)
    stub.hangs = True
    with pytest.raises(ProviderDown) as raised:
        fetched(
            connection("vault", "prod/db", {"A": "password"}),
            settings=settings(stub),
            environment=TOKEN,
        )
    assert str(raised.value) == (
        f"connection `warehouse`: vault: {stub.url.removeprefix('http://')} does not answer "
        "(ReadTimeout): check `address`, the network of the deployment and its proxy"
    )


def test_what_is_no_vault_is_said_to_be_none(stub: VaultStub) -> None:
    stub.status = 200
    with pytest.raises(DagbookError) as raised:
        fetched(
            connection("vault", "prod/db", {"A": "password"}),
            settings=settings(stub),
            environment=TOKEN,
        )
    assert str(raised.value) == (
        "connection `warehouse`: vault: what answers for `prod/db` is no KV store of version 2"
    )


def test_the_deployments_environment_is_left_as_it_was(stub: VaultStub) -> None:
    before = dict(os.environ)
    fetched(
        connection("vault", "prod/db", {"A": "password"}),
        settings=settings(stub),
        environment=TOKEN,
    )
    assert dict(os.environ) == before
