"""A small sample of the benchmarks: the harness works and compares like with like."""

from __future__ import annotations

import importlib
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
        assert min(run["wall"], run["cpu"], run["written"], run["final"], run["kept"]) > 0
        if run["kind"] == "time":
            assert 0 < run["own"] <= run["cpu"]
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


@pytest.fixture
def tables(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that writes the page."""
    monkeypatch.syspath_prepend(str(BENCH.parent))
    return importlib.import_module("tables")


def test_the_page_says_what_a_line_costs_and_what_was_lost(tables: Any) -> None:
    from contestants import CONTESTANTS
    from subjects import SUBJECTS

    def run(contestant: str, subject: str, own: float, kept: float = 1.0) -> dict[str, Any]:
        figures = {"wall": 1.0, "cpu": 2.0, "written": 1, "final": 1}
        names = {"contestant": contestant, "subject": subject, "kind": "time"}
        return names | figures | {"own": own, "kept": kept}

    runs = [
        run("dagbook", "empty", 0.1),
        run("dagbook", "flushed", 0.7),
        run("nbclient", "empty", 0.2),
        run("nbclient", "flushed", 3.2, kept=0.5),
    ]
    contestants = [CONTESTANTS[name] for name in ("dagbook", "nbclient")]
    rows = tables._line_rows(runs, contestants, SUBJECTS["flushed"])
    assert rows == [
        ["`dagbook run`", "0.70 s", "20 µs", "0.10", "100.0%"],
        ["`jupyter execute`", "3.20 s", "200 µs", "1.00", "50.0%"],
    ]
    assert tables._line_rows(runs[:1], contestants, SUBJECTS["flushed"]) == []


def test_the_page_says_how_the_cost_grows_with_the_cells(tables: Any) -> None:
    from contestants import CONTESTANTS

    runs = [
        {"contestant": name, "subject": subject, "kind": "time", "cpu": cpu}
        for name, power in (("dagbook", 1), ("papermill", 2))
        for subject, cpu in (
            ("empty", 0.5),
            *((f"cells{n}", 0.5 + (n / 100) ** power) for n in (100, 200, 400)),
        )
    ]
    contestants = [CONTESTANTS[name] for name in ("dagbook", "papermill", "script")]
    _, table = tables._growth(runs, contestants)
    assert [row.split(" | ")[-1] for row in table.splitlines()[2:]] == ["1.00 |", "2.00 |"]
