"""What a researcher keeps, in a kernel of theirs: there as at night, and in no run."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from jupyter_client.manager import start_new_kernel

from dagbook.credentials.in_lab import Loaded, load_credentials
from dagbook.credentials.kept import keep
from dagbook.errors import DagbookError
from dagbook.project import create_project

SECRET, OTHER = "hunter2-Zq9", "other-s3cret"
PLATFORM = """\
resources:
  database: {connections: [analytics, payroll, gone]}
  lake: {connections: [lake]}
  s3_bucket: {values: [company-*]}
teams: [{folder: "people/**", team: people}, {folder: "**", team: growth}]
connections:
  analytics:
    provider: environment
    key: DEPLOYED
    variables: {DB_USER: username, DB_PASSWORD: password}
    values: {DB_HOST: db.example.com}
  lake:
    provider: environment
    key: DEPLOYED
    files: {LAKE_FILE: lake.json}
  payroll: {provider: environment, key: DEPLOYED, variables: PAY_KEY, teams: [people]}
  gone: {provider: environment, key: DEPLOYED, variables: GONE_KEY, revoked: it was shown}
"""
NAMES = ("DB_USER", "DB_PASSWORD", "DB_HOST", "LAKE_FILE", "PAY_KEY", "GONE_KEY", "S3_BUCKET")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("DAGBOOK_RUN_DIR", raising=False)
    for name in (*NAMES, "JPY_SESSION_NAME"):
        monkeypatch.delenv(name, raising=False)
    root = create_project(tmp_path / "shop", name="shop").root
    (root / "dagbook-platform.yaml").write_text(PLATFORM)
    nbformat.write(nbformat.v4.new_notebook(), root / "churn.ipynb")
    component(root, "{database: analytics, lake: lake, s3_bucket: company-data}")
    monkeypatch.chdir(root)
    yield root
    for name in NAMES:
        os.environ.pop(name, None)


def component(root: Path, resources: str) -> None:
    folder = root / "shop" / "defs" / "churn"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "defs.yaml").write_text(
        "type: dagbook.NotebookRunnerComponent\n"
        f"attributes:\n  notebook: churn.ipynb\n  resources: {resources}\n"
    )


def keep_all(root: Path) -> None:
    keep(root, "analytics", {"DB_USER": "anna", "DB_PASSWORD": SECRET}, public=["DB_USER"])
    keep(root, "lake", {"LAKE_FILE": OTHER})


def test_a_kernel_in_lab_has_what_is_kept_and_loads_no_dagster(root: Path) -> None:
    keep_all(root)
    code = (
        "import json, os, sys, dagbook\n"
        "loaded = dagbook.load_credentials()\n"
        f"names = {NAMES!r}\n"
        "print(json.dumps([{n: os.environ.get(n) for n in names},"
        " open(os.environ['LAKE_FILE']).read(),"
        " oct(os.stat(os.environ['LAKE_FILE']).st_mode), repr(loaded),"
        " sorted({m.split('.')[0] for m in sys.modules} & {'dagster', 'mlflow', 'pandas', 'boto3'}),"
        " os.environ['LAKE_FILE']]))"
    )
    environment = {**os.environ, "JPY_SESSION_NAME": str(root / "churn.ipynb")}
    manager, client = start_new_kernel(kernel_name="python3", env=environment, cwd=str(root))
    try:
        shown: list[str] = []
        reply = client.execute_interactive(
            code,
            timeout=60,
            output_hook=lambda m: shown.append(m["content"].get("text", "")),
        )
        assert reply["content"]["status"] == "ok", shown
        found, content, mode, said, heavy, path = json.loads("".join(shown))
        assert found == {
            "DB_USER": "anna",
            "DB_PASSWORD": SECRET,
            "DB_HOST": "db.example.com",
            "LAKE_FILE": path,
            "PAY_KEY": None,
            "GONE_KEY": None,
            "S3_BUCKET": "company-data",
        }
        assert content == OTHER
        assert mode == oct(stat.S_IFREG | 0o600)
        assert said == "set: DB_USER, DB_PASSWORD, DB_HOST, LAKE_FILE, S3_BUCKET"
        assert heavy == []
        assert stat.S_IMODE(Path(path).parents[1].stat().st_mode) == 0o700
    finally:
        client.stop_channels()
        manager.shutdown_kernel()
    assert not Path(path).exists()
    assert not [f for f in root.rglob("*") if f.is_file() and SECRET.encode() in f.read_bytes()]


def test_what_a_killed_kernel_left_is_removed_by_the_next(root: Path) -> None:
    keep_all(root)
    code = "import dagbook, os; dagbook.load_credentials(notebook='churn.ipynb'); print(os.environ['LAKE_FILE'], flush=True); "
    wait = [sys.executable, "-c", code + "os.kill(os.getpid(), 9)"]
    left = Path(subprocess.run(wait, capture_output=True, text=True).stdout.strip())
    assert left.exists()
    alive = subprocess.Popen(
        [sys.executable, "-c", code + "input()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert alive.stdout is not None
    held = Path(alive.stdout.readline().strip())
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert not left.exists()
    assert held.exists()
    assert not Path(done.stdout.strip()).exists()
    alive.communicate("\n")
    assert not held.exists()


def test_what_is_set_already_stays_and_is_told(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_all(root)
    monkeypatch.setenv("DB_PASSWORD", OTHER)
    component(root, "{database: analytics}")
    loaded = load_credentials(notebook="churn.ipynb")
    assert os.environ["DB_PASSWORD"] == OTHER
    assert loaded == Loaded(("DB_USER", "DB_HOST"), ("DB_PASSWORD",))
    assert repr(loaded) == "set: DB_USER, DB_HOST\nset before: DB_PASSWORD"


def test_what_is_lacking_is_told_with_the_way_to_give_it(root: Path) -> None:
    keep(root, "analytics", {"DB_PASSWORD": SECRET})
    component(root, "{database: analytics}")
    loaded = load_credentials(notebook="churn.ipynb")
    assert loaded.variables == ("DB_PASSWORD", "DB_HOST")
    assert loaded.notes == (
        "`DB_USER` of `analytics` is neither set nor kept: `dagbook platform keep analytics` in a "
        "terminal",
    )


@pytest.mark.parametrize(
    ("name", "note"),
    [
        (
            "payroll",
            "the connection `payroll` is for the team people, and churn.ipynb is of the team growth",
        ),
        ("gone", "the connection `gone` is revoked: it was shown"),
    ],
)
def test_what_the_notebook_may_not_use_is_not_set(root: Path, name: str, note: str) -> None:
    keep(root, name, {"PAY_KEY": SECRET, "GONE_KEY": SECRET})
    component(root, f"{{database: {name}}}")
    assert load_credentials(notebook="churn.ipynb") == Loaded(notes=(note,))
    assert not {"PAY_KEY", "GONE_KEY"} & os.environ.keys()


def test_connections_can_be_named_before_there_is_a_component(root: Path) -> None:
    keep_all(root)
    nbformat.write(nbformat.v4.new_notebook(), root / "new.ipynb")
    assert repr(load_credentials(notebook="new.ipynb")) == (
        "no component of new.ipynb names connections: give their names here"
    )
    assert load_credentials("analytics", notebook="new.ipynb").variables == (
        *("DB_USER", "DB_PASSWORD", "DB_HOST"),
    )
    assert load_credentials("nothing", notebook="new.ipynb").notes == (
        "there is no connection `nothing`, and nothing is kept of it",
    )


def test_in_a_run_nothing_is_done(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keep_all(root)
    monkeypatch.setenv("DAGBOOK_RUN_DIR", str(root))
    assert load_credentials(notebook="churn.ipynb") == Loaded()
    assert "DB_PASSWORD" not in os.environ


def test_outside_a_project_it_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JPY_SESSION_NAME", raising=False)
    monkeypatch.delenv("DAGBOOK_RUN_DIR", raising=False)
    with pytest.raises(DagbookError) as refused:
        load_credentials()
    assert str(refused.value) == (
        f"{tmp_path} is in no dagbook project, so nothing is kept for it: run `dagbook init` in "
        "the folder that holds your notebooks"
    )


def test_what_is_said_holds_no_value(root: Path) -> None:
    keep_all(root)
    loaded = load_credentials(notebook="churn.ipynb")
    assert SECRET not in repr(loaded) + repr(vars(loaded))
