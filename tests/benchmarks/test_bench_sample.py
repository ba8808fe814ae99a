"""A small sample of the benchmarks: the harness works and compares like with like."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

BENCH = Path(__file__).with_name("bench.py")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what one round left: the tables, the runs, the executed notebooks."""
    folder = tmp_path_factory.mktemp("bench")
    command = [sys.executable, BENCH, "--here", "--rounds", "1", "--subjects", "empty,pandas"]
    command += ["--contestants", "dagbook,papermill", "--keep", folder]
    command += ["--json", folder / "runs.json", "--write", folder / "page.md"]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    return folder


def test_every_round_measures_every_contestant_on_every_subject(kept: Path) -> None:
    runs = json.loads((kept / "runs.json").read_text(encoding="utf-8"))
    assert [(run["kind"], run["subject"], run["contestant"]) for run in runs] == [
        (kind, subject, contestant)
        for kind in ("warm-up", "time", "memory")
        for subject in ("empty", "pandas")
        for contestant in ("dagbook", "papermill")
    ]
    for run in runs:
        assert run["exit"] == 0
        assert min(run["wall"], run["cpu"], run["written"], run["final"]) > 0
        assert ("runner" in run) == ("tree" in run) == (run["kind"] == "memory")
        assert min(run.get("runner", 1), run.get("tree", 1)) > 0


def test_the_page_has_a_table_for_each_subject_with_ratios_to_papermill(kept: Path) -> None:
    page = (kept / "page.md").read_text(encoding="utf-8")
    assert [line for line in page.splitlines() if line.startswith("#")] == [
        "# Benchmarks",
        "## An empty notebook (one cell, `pass`)",
        "## Pandas + scikit-learn",
        "## Versions",
    ]
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `papermill` |")]
    assert [sum("(1.00)" in cell for cell in row) for row in rows] == [5, 5]


@pytest.mark.parametrize("subject", ["empty", "pandas"])
def test_both_leave_the_same_outputs(kept: Path, subject: str) -> None:
    ours, theirs = (outputs(kept / f"{subject}-{who}.ipynb") for who in ("dagbook", "papermill"))
    assert ours == theirs


def outputs(path: Path) -> list[list[dict[str, Any]]]:
    """The outputs of each code cell, their texts joined."""
    document = json.loads(path.read_text(encoding="utf-8"))
    return [
        [
            {key: "".join(value) if key == "text" else value for key, value in output.items()}
            for output in cell["outputs"]
        ]
        for cell in document["cells"]
        if cell["cell_type"] == "code"
    ]
