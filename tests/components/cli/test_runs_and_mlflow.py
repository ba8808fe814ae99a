"""`dagbook runs list` says what is not in MLflow."""

from __future__ import annotations

from pathlib import Path

import pytest

from dagbook.cli import main
from dagbook.project import create_project
from dagbook.sinks.spool import SPOOL_FOLDER


def test_runs_that_wait_for_mlflow_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    project = create_project(tmp_path / "work", name="shop")
    monkeypatch.chdir(project.root)
    assert main(["runs", "list"]) == 0
    assert capsys.readouterr().out == "No runs yet.\n"

    spool = project.state_folder / SPOOL_FOLDER / "run-1"
    spool.mkdir(parents=True)
    (spool / "state.json").write_text('{"problem": "connection refused"}')
    assert main(["runs", "list"]) == 0

    assert capsys.readouterr().out == (
        "No runs yet.\n"
        "MLflow: 1 run is not in MLflow yet, sent when it answers: connection refused\n"
    )
