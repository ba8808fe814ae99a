"""The demo project: what a newcomer sees first runs, is valid, and says what came out."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

import dagbook
from dagbook.notebook import read_notebook

pytestmark = pytest.mark.early

DEMO = Path(dagbook.__file__).parent / "demo"
NOTEBOOKS = sorted((DEMO / "notebooks").glob("*.ipynb"))


@pytest.fixture
def demo(tmp_path: Path) -> Path:
    """A copy of the demo in a folder of its own."""
    return Path(shutil.copytree(DEMO, tmp_path / "demo"))


def tour(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the demo as `make demo` does, from the folder that holds it."""
    return subprocess.run(
        [sys.executable, "-m", "dagbook.tour", folder.name],
        cwd=folder.parent,
        capture_output=True,
        text=True,
    )


def lines_of(output: str, title: str) -> Iterator[str]:
    """The lines below the one that begins with `title`."""
    below = False
    for line in output.splitlines():
        if below and not line.startswith("    "):
            return
        if below:
            yield line.strip()
        below = below or line.startswith(title)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_demo_notebooks_are_valid_and_stored_without_outputs(path: Path) -> None:
    document = json.loads(path.read_text(encoding="utf-8"))
    nbformat.validate(document)
    assert (document["nbformat"], document["nbformat_minor"]) == (4, 5)
    code = [cell for cell in document["cells"] if cell["cell_type"] == "code"]
    assert [(cell["outputs"], cell["execution_count"]) for cell in code] == [([], None)] * len(code)


def test_demo_shows_every_role_and_more_than_one_way_to_give_it() -> None:
    cells = [cell for path in NOTEBOOKS for cell in read_notebook(path).cells if cell.role]
    assert {str(cell.role).partition(":")[0] for cell in cells} == {
        "parameters",
        "skip",
        "metrics",
        "check",
        "check-warn",
    }
    assert {bool(cell.tags) for cell in cells} == {True, False}


def test_demo_runs_through_dagster_and_says_what_came_out(demo: Path) -> None:
    run = tour(demo)
    assert run.returncode == 0, run.stdout + run.stderr
    assert re.findall(r"^(digits/\S+(?: 2026-01-\d\d)?) +(\w+) in", run.stdout, re.M) == [
        *((f"digits/features 2026-01-0{day}", "succeeded") for day in range(1, 6)),
        ("digits/model", "succeeded"),
        ("digits/report", "succeeded"),
    ]
    metrics, checks, *_ = lines_of(run.stdout, "digits/features 2026-01-03")
    assert metrics.startswith("metrics  images 200  mean_ink 0.")
    assert checks == "checks   complete passed  every_digit_appears passed"
    metrics, more, checks, noted = lines_of(run.stdout, "digits/model")
    names = ["watch_loss", "watch_accuracy", "accuracy", "macro_f1"]
    names += ["most_frequent_digit", "training_images"]
    assert re.findall(r"(\w+) [\d.]+", f"{metrics} {more}") == names
    assert checks == (
        "checks   days_to_learn_from passed  better_than_guessing passed  no_weak_digit not passed"
    )
    assert re.fullmatch(
        r"no_weak_digit, noted only: of the \ds only \d\d% are read right, not 85%", noted
    )
    pages = [line.split()[1] for line in lines_of(run.stdout, "Where to look")][:3]
    assert [(demo.parent / page).is_file() for page in pages] == [True] * 3


def test_demo_stops_at_the_first_notebook_that_fails_and_says_why(demo: Path) -> None:
    (demo / "notebooks" / "zones.csv").unlink()
    run = tour(demo)
    assert run.returncode == 1
    assert list(lines_of(run.stdout, "digits/features 2026-01-01    did not succeed")) == [
        "failed   FileNotFoundError: [Errno 2] No such file or directory: 'zones.csv' in cell 9"
    ]
    assert "2026-01-02" not in run.stdout


def test_tour_of_another_project_is_refused_with_the_way_to_the_demo(demo: Path) -> None:
    shutil.rmtree(demo / "handwriting/defs/digits/report")
    run = tour(demo)
    assert run.returncode == 2
    assert run.stderr.splitlines()[-1] == (
        f"dagbook: {demo} is not the demo, it lacks digits/report: make it with "
        "`dagbook init demo --demo`"
    )
