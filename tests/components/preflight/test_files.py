"""Files that are not there, or not the project's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dagbook.preflight.edits import apply_edits
from dagbook.preflight.files import ABSOLUTE, MISSING, OUTSIDE
from dagbook.preflight.finding import NightFinding, Severity

Found = Callable[..., list[NightFinding]]
FAIL, SURPRISE = Severity.WILL_FAIL, Severity.MAY_SURPRISE
IMPORTS = "import os, sys, json, joblib, numpy as np, pandas as pd\nfrom pathlib import Path\n"


@pytest.fixture
def told(found: Found) -> Callable[..., list[tuple[str, Severity, int]]]:
    def find(*cells: str | tuple[str, ...], **more: object) -> list[tuple[str, Severity, int]]:
        rules = {MISSING, ABSOLUTE, OUTSIDE}
        return [(f.rule, f.severity, f.line) for f in found(*cells, **more) if f.rule in rules]

    return find


Told = Callable[..., list[tuple[str, Severity, int]]]


@pytest.mark.parametrize(
    "use",
    [
        'pd.read_csv("gone.csv")',
        'pd.read_parquet(path="gone.parquet")',
        'open("gone.txt").read()',
        'with open("gone.txt", encoding="utf-8") as f:\n    pass',
        'open("gone.bin", "rb")',
        'np.load("gone.npy")',
        'joblib.load("models/gone.joblib")',
        'Path("gone.txt").read_text()',
        '(Path("data") / "gone.txt").read_bytes()',
        'Path("gone.txt").open()',
        'pd.read_csv(Path("data", "gone.csv"))',
        'pd.read_csv(os.path.join("data", "gone.csv"))',
        'folder = "data"\npd.read_csv(f"{folder}/gone.csv")',
        'folder = Path("data")\npd.read_csv(folder / "gone.csv")',
        'pd.read_csv("data" + "/gone.csv")',
        'for row in open("gone.txt"):\n    pass',
        'os.chdir("gone")',
        'pd.read_csv("/srv/nowhere/gone.csv")',
        'pd.read_csv("/home/someone/gone.csv")',
        'pd.read_csv("~/gone.csv")',
        'pd.read_csv(Path.home() / "gone.csv")',
        'pd.read_csv(os.path.expanduser("~/gone.csv"))',
    ],
)
def test_a_file_that_is_read_and_not_there_is_told(use: str, told: Told) -> None:
    ((rule, severity, line),) = told(IMPORTS, use)
    assert (rule, severity) == (MISSING, FAIL)
    assert line <= use.count("\n") + 1


@pytest.mark.parametrize(
    "cells",
    [
        ('open("made.txt", "w")',),
        ('open("made.txt", mode)',),
        ('frame.to_csv("made.csv")', 'pd.read_csv("made.csv")'),
        ('pd.read_csv("https://example.com/x.csv")',),
        ('pd.read_csv("s3://bucket/x.csv")',),
        ('pd.read_csv("data/*.csv")',),
        ('pd.read_csv(f"{name}.csv")',),
        ("pd.read_csv(name)",),
        ('name = "a.csv"\nname = "b.csv"\npd.read_csv(name)',),
        (('name = "gone.csv"', "parameters"), "pd.read_csv(name)"),
        ('if os.path.exists("gone.csv"):\n    pd.read_csv("gone.csv")',),
        ('try:\n    pd.read_csv("gone.csv")\nexcept FileNotFoundError:\n    pass',),
        ("!wget https://example.com/gone.csv", 'pd.read_csv("gone.csv")'),
        ("archive.extractall()", 'pd.read_csv("gone.csv")'),
        ("os.chdir(elsewhere)", 'pd.read_csv("gone.csv")'),
        ("%cd data", 'pd.read_csv("gone.csv")'),
        (('pd.read_csv("gone.csv")', "skip"),),
        (('pd.read_csv("gone.csv")', "raises-exception"),),
        ('store.read_csv("gone.csv")',),
        ('client.load("gone")',),
        ("pd.read_csv('a,b\\n1,2')",),
        ('open("/dev/null")',),
        ('open("/proc/meminfo")',),
        ('frame.to_csv("/tmp/made.csv")',),
        ('make("gone.csv")', 'pd.read_csv("gone.csv")'),
    ],
)
def test_what_may_well_be_there_is_not_told(cells: tuple[str, ...], told: Told) -> None:
    assert told(IMPORTS, *cells) == []


def test_a_change_of_folder_further_down_changes_nothing_above(told: Told) -> None:
    read = 'pd.read_csv("gone.csv")'
    assert told(IMPORTS, read, "%cd data") == [(MISSING, Severity.WILL_FAIL, 1)]
    in_function = f"def load():\n    return {read}"
    assert told(IMPORTS, in_function, "%cd data", "load()") == []


def test_a_read_in_a_function_may_surprise(told: Told) -> None:
    assert told(IMPORTS, 'def f():\n    return pd.read_csv("gone.csv")') == [(MISSING, SURPRISE, 2)]


def test_a_file_beside_the_notebook_is_found(tmp_path: Path, told: Told) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "here.csv").touch()
    assert told(IMPORTS, 'pd.read_csv("data/here.csv")', 'os.listdir("data")') == []


def test_a_file_that_another_notebook_names_is_not_missed(tmp_path: Path, told: Told) -> None:
    (tmp_path / "make.ipynb").write_text('frame.to_csv("gone.csv")')
    assert told(IMPORTS, 'pd.read_csv("../data/gone.csv")') == []
    (tmp_path / "make.ipynb").unlink()
    assert told(IMPORTS, 'pd.read_csv("../data/gone.csv")') == [(MISSING, FAIL, 1)]


def test_without_a_folder_nothing_is_said(told: Told) -> None:
    assert told(IMPORTS, 'pd.read_csv("gone.csv")', folder=None) == []


def test_an_absolute_path_into_the_project_is_written_anew(tmp_path: Path, found: Found) -> None:
    (tmp_path / "here.csv").touch()
    source = f'import pandas as pd\nx = pd.read_csv("{tmp_path}/here.csv", sep=";")  # «all»'
    (finding,) = found(source, rule=ABSOLUTE)
    assert finding.severity is SURPRISE
    assert finding.text == (
        f"`{tmp_path}/here.csv` names this machine's folders, though it lies in the project: "
        "write `here.csv`, as seen from the notebook"
    )
    document = {"cells": [{"cell_type": "code", "id": "c0", "metadata": {}, "source": source}]}
    changed, _ = apply_edits(document, finding.fixes[0].arguments["edits"])
    assert changed["cells"][0]["source"] == (
        'import pandas as pd\nx = pd.read_csv("here.csv", sep=";")  # «all»'
    )


def test_a_path_made_of_pieces_has_no_fix(tmp_path: Path, found: Found) -> None:
    (tmp_path / "here.csv").touch()
    source = f'from pathlib import Path\n(Path("{tmp_path}") / "here.csv").read_text()'
    (finding,) = found(source, rule=ABSOLUTE)
    assert finding.fixes == ()


def test_a_file_outside_the_project_is_told(tmp_path: Path, found: Found) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (tmp_path / "shared.csv").touch()
    source = 'import pandas as pd\npd.read_csv("../shared.csv")'
    (finding,) = found(source, rule=OUTSIDE, folder=project, project_root=project)
    assert (finding.severity, finding.text) == (
        SURPRISE,
        "`../shared.csv` leads out of the project project, so it is on this machine only: put it "
        "into the project",
    )
    assert found(source, rule=OUTSIDE, folder=project, project_root=None) == []


def test_a_project_behind_a_link_is_still_the_project(tmp_path: Path, found: Found) -> None:
    (tmp_path / "real" / "notebooks").mkdir(parents=True)
    (tmp_path / "real" / "rows.csv").touch()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    source = 'import pandas as pd\npd.read_csv("../rows.csv")'
    folder = tmp_path / "link" / "notebooks"
    assert found(source, folder=folder, project_root=tmp_path / "real") == []


def test_a_place_of_one_user_is_told(found: Found) -> None:
    (finding,) = found("x.to_csv('/home/someone/x.csv')", rule=OUTSIDE)
    assert finding.text == (
        "`/home/someone/x.csv` is a place of one user's on one machine, and no part of the "
        "project: a run as another user, or elsewhere, has it not"
    )
    (path,) = found("import sys\nsys.path.append('/home/someone/code')", rule=OUTSIDE)
    assert path.line == 2


def test_a_path_of_windows_is_told(found: Found) -> None:
    (finding,) = found("import pandas as pd\npd.read_csv(r'C:\\data\\x.csv')", rule=ABSOLUTE)
    assert (finding.severity, finding.text) == (
        FAIL,
        "`C:\\data\\x.csv` is a path of Windows, which this machine does not know: name a file of "
        "the project",
    )


def test_a_path_is_told_in_one_short_line(found: Found) -> None:
    (finding,) = found(f"open('{'long/' * 60}\\x1b.txt')", rule=MISSING)
    assert finding.text.startswith("there is no file `long/long/long/long/…")
    assert finding.text.isprintable()
    assert len(finding.text) < 250


def test_the_text_about_a_missing_file(found: Found) -> None:
    (finding,) = found("open('gone.txt')", rule=MISSING)
    assert finding.text == (
        "there is no file `gone.txt`, as seen from the notebook's folder: put it there, or name "
        "the right one"
    )


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ('x <- read.csv("gone.csv")', [(MISSING, FAIL)]),
        ('if (a) x <- readRDS("gone.rds")', []),
        ('x <- read_csv("/home/someone/x.csv")', [(ABSOLUTE, SURPRISE)]),
        ('write.csv(x, "gone.csv"); y <- read.csv("gone.csv")', []),
        ('x <- read.csv("https://example.com/x.csv")', []),
        ('setwd("gone")', []),
        ('# read.csv("gone.csv")', []),
        ('  x <- read.csv("gone.csv")', [(MISSING, SURPRISE)]),
    ],
)
def test_files_of_r(source: str, told: list[tuple[str, Severity]], found: Found) -> None:
    rules = {MISSING, ABSOLUTE, OUTSIDE}
    of_r = [(f.rule, f.severity) for f in found(source, language="R") if f.rule in rules]
    assert of_r == told
