"""Several providers at once, one that hangs, and a company's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dagbook.credentials.provider import ProviderDown
from dagbook.errors import DagbookError
from dagbook.policy import providers
from dagbook.policy.connections import Connection
from dagbook.policy.providers import PROVIDERS, find_provider, load_provider, provider_names

from .conftest import connection, fetched, masked

PROVIDER = """
import threading, time

from dagbook.credentials.provider import Fetched, ProviderDown
from dagbook.errors import DagbookError

MEET = threading.Barrier(3, timeout=20)

def fetch(lookup):
    if lookup.key == "hang":
        time.sleep(600)
    if lookup.key == "meet":
        MEET.wait()
    if lookup.key == "down":
        raise ProviderDown("the safe is shut")
    if lookup.key == "break":
        raise ValueError("hidden " + lookup.settings["safe"])
    if lookup.key == "odd":
        return "hidden"
    words = [lookup.key, lookup.options["drawer"], lookup.settings["safe"], lookup.asset or "-"]
    return Fetched({"words": " ".join(words)})
"""

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Install a package with a provider, as pip does: a module and what is known of it."""
    site = tmp_path / "site-packages"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def put(name: str, module: str = "company_credentials", code: str = PROVIDER) -> None:
        (site / f"{module}.py").write_text(code, "utf-8")
        known = site / f"{module}-1.0.dist-info"
        known.mkdir()
        (known / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
        points = f"[dagbook.credential_providers]\n{name} = {module}:fetch\n"
        (known / "entry_points.txt").write_text(points)
        monkeypatch.delitem(sys.modules, module, raising=False)
        providers._registered.cache_clear()

    yield put
    providers._registered.cache_clear()


def safe(key: str, name: str = "warehouse") -> Connection:
    return connection(
        "company_safe", key, {name.upper(): "words"}, name=name, options={"drawer": "third"}
    )


SETTINGS = {"company_safe": {"safe": "green"}}


def test_the_table_names_functions_there_are() -> None:
    for name in PROVIDERS:
        assert callable(load_provider(name))


def test_a_company_brings_a_provider_of_its_own(install: Install) -> None:
    install("company_safe")
    assert provider_names() == [*PROVIDERS, "company_safe"]
    found = find_provider("company_safe")
    assert found is not None
    assert (found.help, found.options, found.settings) == (
        "A provider of company_credentials.",
        None,
        None,
    )
    # What is known of it is known without its code.
    assert "company_credentials" not in sys.modules
    given = fetched(safe("gold"), settings=SETTINGS, asset="models/churn")
    assert given.environment == {"WAREHOUSE": "gold third green models/churn"}
    assert masked(given) == {"gold third green models/churn"}


def test_no_package_replaces_a_provider_of_ours(install: Install) -> None:
    install("environment")
    given = fetched(connection("environment", "OURS"), environment={"OURS": "still our own"})
    assert given.environment == {"SECRET": "still our own"}
    assert provider_names() == list(PROVIDERS)


@pytest.mark.parametrize(
    ("key", "text", "down"),
    [
        ("down", "the safe is shut", True),
        (
            "break",
            "the provider company_safe failed (ValueError in company_credentials.py:17)",
            False,
        ),
        ("odd", "the provider company_safe gave str, not Fetched", False),
    ],
)
def test_what_goes_wrong_in_a_companys_provider_is_said_without_its_words(
    install: Install, key: str, text: str, down: bool
) -> None:
    install("company_safe")
    with pytest.raises(DagbookError) as raised:
        fetched(safe(key), settings=SETTINGS)
    assert str(raised.value) == f"connection `warehouse`: {text}"
    assert isinstance(raised.value, ProviderDown) is down
    assert raised.value.__cause__ is None


def test_a_provider_that_cannot_be_imported_is_said_to_be_one(install: Install) -> None:
    install("company_safe", "broken_credentials", "raise RuntimeError('hidden')")
    with pytest.raises(DagbookError) as raised:
        fetched(safe("gold"), settings=SETTINGS)
    assert str(raised.value) == (
        "connection `warehouse`: the provider company_safe cannot be imported (RuntimeError in "
        "broken_credentials.py:1)"
    )


def test_a_provider_there_is_none_of_is_named_with_the_nearest() -> None:
    with pytest.raises(DagbookError) as raised:
        fetched(connection("valt", "key"))
    assert str(raised.value) == (
        "connection `warehouse`: there is no provider `valt`. Did you mean `vault`? Known: vault, "
        "environment, file, aws_assume_role, dotenv, aws_secrets_manager, google_secret_manager, "
        "process"
    )


def test_connections_are_fetched_side_by_side(install: Install) -> None:
    install("company_safe")
    # Each waits until all three are there.
    given = fetched(*(safe("meet", name) for name in "abc"), settings=SETTINGS)
    assert set(given.environment) == {"A", "B", "C"}


def test_a_provider_that_hangs_is_one_line_and_keeps_no_process_alive(
    install: Install, tmp_path: Path
) -> None:
    install("company_safe")
    code = (
        "import json, sys\n"
        "sys.path[:] = json.loads(sys.argv[1])\n"
        "from dagbook.credentials.fetching import fetch\n"
        "from dagbook.policy.connections import Connection, Entitlement\n"
        "from dagbook.policy.platform import Platform\n"
        "hangs = Connection('hangs', 'company_safe', 'hang', {'drawer': 'x'}, {'A': None})\n"
        "other = Connection('other', 'environment', 'HOME', variables={'B': None})\n"
        "try:\n"
        "    fetch(Entitlement({'a': hangs, 'b': other}), Platform(), deadline_seconds=1)\n"
        "except Exception as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(sys.path)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        "ProviderDown connection `hangs`: company_safe did not answer within 1 s: check the network "
        "of the deployment and `providers.company_safe`\n"
    )


@pytest.mark.parametrize(
    ("provider", "module", "extra", "needs"),
    [
        ("aws_secrets_manager", "boto3", "aws", "boto3"),
        ("aws_assume_role", "boto3", "aws", "boto3"),
        ("vault", "hvac", "vault", "hvac"),
        (
            "google_secret_manager",
            "google.cloud",
            "google",
            "google-cloud-secret-manager",
        ),
        ("dotenv", "dotenv", "runner", "python-dotenv"),
    ],
)
def test_a_provider_says_which_extra_it_needs(
    provider: str, module: str, extra: str, needs: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    for ours in [name for name in sys.modules if name.startswith("dagbook.credentials.")]:
        if ours.rpartition(".")[2] in ("aws_session", provider):
            monkeypatch.delitem(sys.modules, ours)
    with pytest.raises(DagbookError) as raised:
        fetched(connection(provider, "/dev/null", {"A": "b"}))
    assert str(raised.value) == (
        f"connection `warehouse`: the provider {provider} needs {needs}: `pip install "
        f"'dagbook[{extra}]'`"
    )


def test_no_thread_is_left_behind() -> None:
    before = threading.active_count()
    fetched(connection("environment", "OURS"), environment={"OURS": "one long secret"})
    deadline = time.monotonic() + 30
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.05)
    assert threading.active_count() == before


def test_fetching_from_here_loads_no_library_of_a_cloud() -> None:
    code = (
        "import os, sys\n"
        "from dagbook.credentials.fetching import fetch\n"
        "from dagbook.policy.connections import Connection, Entitlement\n"
        "from dagbook.policy.platform import Platform\n"
        "fetch(Entitlement({'a': Connection('a', 'environment', 'X', variables={'A': None})}),"
        " Platform(), {'X': 'one long secret'})\n"
        "print(sorted({'boto3', 'botocore', 'hvac', 'google', 'requests', 'dotenv', 'yaml',"
        " 'ruamel', 'dagster'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("[]\n", "")
    assert os.environ.get("X") is None
