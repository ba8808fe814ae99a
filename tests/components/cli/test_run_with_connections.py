"""`dagbook run` of a notebook whose component names connections: the own first, then production's."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import nbformat
import pytest

from dagbook.cli import main
from dagbook.credentials.kept import keep
from dagbook.project import create_project

SECRET, OTHER = "hunter2-Zq9", "other-s3cret"
PLATFORM = """\
resources:
  database: {connections: [analytics, payroll]}
  s3_bucket: {values: [company-*]}
teams: [{folder: "people/**", team: people}, {folder: "**", team: growth}]
connections:
  analytics:
    provider: environment
    key: DEPLOYED_ANALYTICS
    variables: {DB_USER: username, DB_PASSWORD: password}
    values: {DB_HOST: db.example.com}
    environments: [prod]
  payroll:
    provider: environment
    key: DEPLOYED_PAYROLL
    variables: {PAY_PASSWORD: password}
    teams: [people]
"""
CODE = """\
import hashlib, os
print("password", os.environ["DB_PASSWORD"], os.environ["DB_USER"], os.environ["DB_HOST"])
with open("seen", "w") as file:
    file.write(hashlib.sha256(os.environ["DB_PASSWORD"].encode()).hexdigest())
assert os.environ["S3_BUCKET"] == "company-data"
assert "DEPLOYED_ANALYTICS" not in os.environ and "UNRELATED" not in os.environ
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("UNRELATED", "of-the-shell-alone")
    for name in ("DB_USER", "DB_PASSWORD", "DAGBOOK_ENVIRONMENT"):
        monkeypatch.delenv(name, raising=False)
    root = create_project(tmp_path / "shop", name="shop").root
    (root / "dagbook-platform.yaml").write_text(PLATFORM)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CODE)])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "x", "language": "python"}
    nbformat.write(notebook, root / "churn.ipynb")
    component(root, "churn", "{database: analytics, s3_bucket: company-data}")
    monkeypatch.chdir(root)
    return root


def component(root: Path, name: str, resources: str) -> None:
    folder = root / "shop" / "defs" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "defs.yaml").write_text(
        "type: dagbook.NotebookRunnerComponent\n"
        f"attributes:\n  notebook: churn.ipynb\n  resources: {resources}\n"
    )


def seen(root: Path) -> str:
    """Whose password the kernel had."""
    digest = (root / "seen").read_text()
    known = {hashlib.sha256(value.encode()).hexdigest(): value for value in (SECRET, OTHER)}
    return known[digest]


def shown(root: Path) -> str:
    (path,) = (root / "runs").rglob("*-succeeded.ipynb")
    return nbformat.read(path, as_version=4).cells[-1].outputs[0].text


def test_the_own_environment_is_handed_over_and_masked(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DB_USER", "anna")
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    assert main(["run", "churn.ipynb", "--json"]) == 0
    assert seen(root) == SECRET
    assert SECRET not in capsys.readouterr().out
    assert "anna db.example.com" in shown(root)
    assert SECRET not in shown(root)
    found = [f for f in root.rglob("*") if f.is_file() and SECRET.encode() in f.read_bytes()]
    assert found == []
    # Which connection was used is on record.
    main(["platform", "log", "--json"])
    assert '"analytics"' in capsys.readouterr().out


def test_what_is_kept_is_handed_over(root: Path) -> None:
    keep(root, "analytics", {"DB_USER": "anna", "DB_PASSWORD": SECRET}, public=["DB_USER"])
    assert main(["run", "churn.ipynb"]) == 0
    assert seen(root) == SECRET


def test_what_is_not_the_own_comes_from_the_platform_where_this_deployment_may_use_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    deployed = json.dumps({"username": "bot", "password": OTHER})
    monkeypatch.setenv("DEPLOYED_ANALYTICS", deployed)
    assert main(["run", "churn.ipynb"]) == 2
    said = capsys.readouterr().err
    assert "'analytics' is for the environment prod, and this one is dev" in said
    assert said.endswith("; or give your own: `dagbook platform keep analytics`\n")
    monkeypatch.setenv("DAGBOOK_ENVIRONMENT", "prod")
    assert main(["run", "churn.ipynb"]) == 0
    assert seen(root) == OTHER
    assert OTHER not in shown(root)


def test_without_any_it_says_in_one_line_what_is_lacking(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DAGBOOK_ENVIRONMENT", "prod")
    assert main(["run", "churn.ipynb"]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.endswith(
        "; or give your own: connection `analytics`: `DB_USER`, `DB_PASSWORD` are neither set here "
        "nor kept: `dagbook platform keep analytics`\n"
    )
    assert not (root / "seen").exists()


def test_the_own_does_not_lead_round_who_may_use_a_connection(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    component(root, "churn", "{database: payroll}")
    monkeypatch.setenv("PAY_PASSWORD", SECRET)
    assert main(["run", "churn.ipynb"]) == 2
    assert "'payroll' is for the team people" in capsys.readouterr().err
    assert not (root / "seen").exists()


def test_where_several_components_differ_one_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DB_USER", "anna")
    monkeypatch.setenv("DB_PASSWORD", SECRET)
    component(root, "other", "{database: payroll}")
    assert main(["run", "churn.ipynb"]) == 2
    assert capsys.readouterr().err == (
        "dagbook: churn.ipynb is run by the components `churn`, `other`, whose `resources` differ: "
        "say which one with --component\n"
    )
    assert main(["run", "churn.ipynb", "--component", "chrun"]) == 2
    assert capsys.readouterr().err == (
        "dagbook: no component `chrun` runs churn.ipynb. Did you mean `churn`? Known: churn, other\n"
    )
    assert main(["run", "churn.ipynb", "--component", "churn"]) == 0
    assert seen(root) == SECRET


def test_dagbook_test_takes_the_own_as_well(
    root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    keep(root, "analytics", {"DB_USER": "anna", "DB_PASSWORD": SECRET}, public=["DB_USER"])
    monkeypatch.setenv("DEPLOYED_ANALYTICS", json.dumps({"username": "b", "password": OTHER}))
    assert main(["test", "churn.ipynb", "--json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert seen(root) == SECRET
    found = [f for f in Path(run["folder"]).rglob("*") if f.is_file()]
    assert found
    assert not [f for f in found if SECRET.encode() in f.read_bytes()]


def test_dagbook_test_says_what_is_lacking(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", "churn.ipynb"]) == 2
    assert "or give your own: `dagbook platform keep analytics`" in capsys.readouterr().out
    assert not (root / "seen").exists()
