"""A run of a notebook, just as it is now, that succeeded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dagbook.execution import RunStatus, run_notebook
from dagbook.execution.passed_trial import PassedTrial, find_passed_trial
from dagbook.execution.situation import circumstances_of
from dagbook.notebook import read_notebook
from dagbook.preflight.registry import findings

SOURCES = ("# dagster: parameters\nstop = 0", "import ours", "assert not stop", "")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A notebook with a module of its own."""
    (tmp_path / "ours.py").write_text("x = 1\n")
    return write(tmp_path / "n.ipynb", *SOURCES)


def write(path: Path, *sources: str) -> Path:
    cells = [
        {
            "cell_type": "code",
            "id": f"c{number}",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(sources)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {
        "cells": cells,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(document))
    return path


def passed(path: Path) -> PassedTrial | None:
    return find_passed_trial(read_notebook(path), path.parent, path.parent / "runs")


def test_a_run_counts_until_the_notebook_or_a_module_changes(path: Path) -> None:
    assert passed(path) is None
    failed = run_notebook(read_notebook(path), {"stop": 1})
    assert failed.status is RunStatus.FAILED
    assert passed(path) is None

    result = run_notebook(read_notebook(path), {})
    assert result.executed_notebook is not None
    trial = passed(path)
    assert trial is not None
    assert trial.executed == result.executed_notebook
    assert trial.moment.endswith(" UTC")
    assert (
        findings(read_notebook(path), circumstances_of(read_notebook(path), None).situation) == []
    )

    # Outputs are no change; a source, a role, a module are.
    text = path.read_text()
    path.write_text(text.replace('"outputs": []', '"outputs": [], "execution_count": 7'))
    assert passed(path) is not None
    write(path, *SOURCES[:-1], "# dagster: metrics\nx = 1")
    assert passed(path) is None
    path.write_text(text)
    assert passed(path) is not None
    (path.parent / "ours.py").write_text("x = 2\n")
    assert passed(path) is None


def test_a_trial_clears_what_was_found(path: Path) -> None:
    write(path, "%pdb on", 'country = "DE"', "print(country)")
    before = circumstances_of(read_notebook(path), None)
    assert len(findings(read_notebook(path), before.situation)) == 2
    run_notebook(read_notebook(path), {})
    after = circumstances_of(read_notebook(path), None)
    assert after.situation.passed_trial
    assert findings(read_notebook(path), after.situation) == []


def test_files_of_others_are_passed_over(path: Path) -> None:
    runs = path.parent / "runs" / "n"
    runs.mkdir(parents=True)
    for number, text in enumerate(("", "{", '{"cells": []}', '\n  "dagbook": {"status": 1}')):
        (runs / f"2026010{number + 1}T000000Z-succeeded.ipynb").write_text(text)
    assert passed(path) is None
