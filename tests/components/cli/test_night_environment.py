"""`dagbook validate NOTEBOOK` knows the platform's connections and what the component names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
import pytest

from dagbook.cli import main
from dagbook.project import create_project

PLATFORM = """\
resources:
  database: {connections: [analytics]}
connections:
  analytics: {provider: environment, key: A, variables: {DB_PASSWORD: password}}
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = create_project(tmp_path / "shop", name="shop").root
    (root / "dagbook-platform.yaml").write_text(PLATFORM)
    cells = [nbformat.v4.new_code_cell('import os\nx = os.environ["DB_PASSWORD"]')]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "x", "language": "python"}
    nbformat.write(notebook, root / "churn.ipynb")
    monkeypatch.chdir(root)
    return root


def component(root: Path, name: str, more: str = "") -> None:
    folder = root / "shop" / "defs" / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "defs.yaml").write_text(
        f"type: dagbook.NotebookRunnerComponent\nattributes:\n  notebook: churn.ipynb\n{more}"
    )


def findings(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    main(["validate", "churn.ipynb", "--json"])
    nights = json.loads(capsys.readouterr().out)["night"]
    return [f for night in nights for f in night["findings"]]


def test_the_connection_to_choose_is_told_and_once_chosen_all_is_well(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for has_component in (False, True):
        if has_component:
            component(root, "churn")
        (finding,) = findings(capsys)
        assert finding["text"].endswith(
            ": name the connection under `resources`, `database: analytics`"
        )
        assert finding["fixes"] == [
            {
                "kind": "connection",
                "title": "Use the connection analytics",
                "arguments": {"key": "database", "connection": "analytics"},
            }
        ]
    component(root, "churn", "  resources: {database: analytics}\n")
    assert findings(capsys) == []
    # Another component of the notebook would still go without.
    component(root, "other")
    assert len(findings(capsys)) == 1


def test_a_platform_file_that_cannot_be_used_is_told_and_findings_all_the_same(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (root / "dagbook-platform.yaml").write_text("nonsense: 1\n")
    component(root, "churn")
    (finding,) = findings(capsys)
    assert finding["fixes"] == []
