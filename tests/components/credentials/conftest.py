"""A real moto server, a stub that is called one for Vault, and connections to try."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dagbook.credentials.delivery import Delivery
from dagbook.credentials.fetching import fetch
from dagbook.policy.connections import Connection, ConnectionFile, Entitlement
from dagbook.policy.platform import Platform

Fetch = Callable[..., Delivery]


@pytest.fixture(autouse=True)
def no_credentials_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The deployment has what a test gives it, and asks no machine of a cloud."""
    for name in list(os.environ):
        if name.startswith(("AWS_", "VAULT_", "GOOGLE_", "GCLOUD_", "BOTO_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("NO_GCE_CHECK", "true")


@pytest.fixture
def deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    """AWS credentials of the deployment itself."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIADEPLOYMENT000001")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "the-deployments-own-secret")


@pytest.fixture(scope="session")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A real moto server, spoken to over HTTP."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = tmp_path_factory.mktemp("moto") / "log"
    command = [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)]
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file, start_new_session=True)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait_for(url, log)
            yield url
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(30)


def _wait_for(url: str, log: Path) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/moto-api/data.json", timeout=5):
                return
        except OSError:
            time.sleep(0.3)
    raise AssertionError(log.read_text())


@pytest.fixture
def aws(moto: str) -> Callable[[str], Any]:
    """Make a client of moto, as an administrator."""
    import boto3

    session = boto3.Session("AKIAADMINISTRATOR001", "administrator", region_name="eu-central-1")
    return lambda service: session.client(service, endpoint_url=moto)


def connection(
    provider: str,
    key: str,
    variables: Mapping[str, str | None] | None = None,
    *,
    name: str = "warehouse",
    files: tuple[ConnectionFile, ...] = (),
    **more: Any,
) -> Connection:
    """A connection; without variables and files it gives all of the secret as `SECRET`."""
    if variables is None:
        variables = {} if files else {"SECRET": None}
    return Connection(name, provider, key, variables=variables, files=files, **more)


def fetched(
    *connections: Connection,
    settings: Mapping[str, Mapping[str, str]] | None = None,
    environment: Mapping[str, str] | None = None,
    platform_file: Path | None = None,
    values: Mapping[str, str] | None = None,
    **more: Any,
) -> Delivery:
    """What a run is given that is entitled to these."""
    entitlement = Entitlement({c.name: c for c in connections}, values or {})
    platform = Platform(providers=settings or {}, file=platform_file)
    return fetch(entitlement, platform, os.environ if environment is None else environment, **more)


def masked(delivery: Delivery) -> set[str]:
    """The values that are masked."""
    return {secret.value for secret in delivery.secrets}
