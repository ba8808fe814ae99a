"""`%load_ext dagbook` sets what a reader keeps of the notebook's connections."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nbformat
import pytest

from dagbook.credentials.kept import keep
from dagbook.project import create_project

PLATFORM = """
connections:
  analytics: {provider: environment, key: KEPT, variables: DB_PASSWORD, values: {DB_HOST: db.local}}
resources:
  database: {connections: [analytics]}
"""
YAML = """
type: dagbook.NotebookRunnerComponent
attributes:
  notebook: churn.ipynb
  resources: {database: analytics}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("DB_PASSWORD", "DB_HOST"):
        # Put back after the test, whatever it sets.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    root = tmp_path / "work"
    root.mkdir()
    made = create_project(root)
    nbformat.write(nbformat.v4.new_notebook(), root / "churn.ipynb")
    (root / "dagbook-platform.yaml").write_text(PLATFORM)
    (made.defs_folder / "churn").mkdir(parents=True)
    (made.defs_folder / "churn" / "defs.yaml").write_text(YAML)
    monkeypatch.setenv("JPY_SESSION_NAME", str(root / "churn.ipynb"))
    return root


def test_nothing_is_said_where_nothing_is_kept(project: Path, bare_shell: Any) -> None:
    assert bare_shell.run("%load_ext dagbook").success
    assert bare_shell.published == []


def test_what_is_kept_is_set_and_told_by_name(project: Path, bare_shell: Any) -> None:
    keep(project, "analytics", {"DB_PASSWORD": "correct horse"})
    bare_shell.run("%load_ext dagbook")
    assert bare_shell.text == "Set from what you keep: DB_PASSWORD, DB_HOST"
    assert os.environ["DB_PASSWORD"] == "correct horse"
    assert os.environ["DB_HOST"] == "db.local"


def test_what_is_set_stays_as_it_is(
    project: Path, bare_shell: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "from elsewhere")
    keep(project, "analytics", {"DB_PASSWORD": "correct horse"})
    bare_shell.run("%load_ext dagbook")
    assert os.environ["DB_PASSWORD"] == "from elsewhere"


def test_what_cannot_be_used_is_one_line_and_the_extension_is_there(
    project: Path, bare_shell: Any, tmp_path: Path
) -> None:
    keep(project, "analytics", {"DB_PASSWORD": "correct horse"})
    (project / "dagbook-platform.yaml").write_text("connections: 3")
    assert bare_shell.run("%load_ext dagbook").success
    assert bare_shell.text.startswith("! Your kept credentials were not set: ")
    assert len(bare_shell.text.splitlines()) == 1
    bare_shell.run("%%dagster skip\nx = 1")
    assert bare_shell.text == "In production this cell is left out."
