"""What is left out of a test run is said, and an absence that must not be fails."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

CONFTEST = Path(__file__).with_name("conftest.py")


def run_pytest(
    folder: Path, source: str, require: str | None = None, workers: int = 0
) -> subprocess.CompletedProcess[str]:
    """Run a test file of `source` in a folder of its own, with this folder's conftest."""
    (folder / "conftest.py").write_text(CONFTEST.read_text(encoding="utf-8"), encoding="utf-8")
    (folder / "pytest.ini").write_text(
        "[pytest]\nmarkers = needs(name): something\naddopts = -p no:cacheprovider\n"
    )
    (folder / "test_it.py").write_text(source, encoding="utf-8")
    ours = ("DAGBOOK_REQUIRE", "PATH", "PYTEST_ADDOPTS")
    environment = {k: v for k, v in os.environ.items() if k not in ours}
    environment["PATH"] = str(folder)  # no Rscript here, whatever the machine has
    if require is not None:
        environment["DAGBOOK_REQUIRE"] = require
    return subprocess.run(
        [sys.executable, "-m", "pytest", "--color=no", "-n", str(workers)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


NEEDS_R = """
import pytest

def test_runs_anywhere():
    pass

@pytest.mark.needs("r")
def test_of_r():
    raise AssertionError("must not run without R")
"""


@pytest.mark.parametrize("workers", [0, 2])
def test_an_absent_need_is_left_out_and_listed_with_its_remedy(
    tmp_path: Path, workers: int
) -> None:
    run = run_pytest(tmp_path, NEEDS_R, workers=workers)
    assert run.returncode == 0, run.stdout
    assert run.stdout.splitlines()[-3:-1] == [
        "needs  tests  why it is not here      how to get it",
        "r      1      no Rscript on the PATH  apt install r-base-core r-cran-irkernel",
    ]
    assert re.match(r"=+ 1 passed, 1 skipped in ", run.stdout.splitlines()[-1])


@pytest.mark.parametrize("workers", [0, 2])
def test_an_absent_need_that_is_required_fails(tmp_path: Path, workers: int) -> None:
    run = run_pytest(tmp_path, NEEDS_R, require="r", workers=workers)
    assert run.returncode == 1
    assert "needs r, which DAGBOOK_REQUIRE names: no Rscript on the PATH" in run.stdout
    assert " left out =" not in run.stdout


@pytest.mark.parametrize(
    ("source", "require", "status", "text"),
    [
        pytest.param(
            "def test_it(): pass",
            "r,cobol",
            4,
            "DAGBOOK_REQUIRE names cobol; known: browser, control-groups, dagstermill, r, nvidia, other-uid, plain-user, mount",
            id="in the variable",
        ),
        pytest.param(
            "import pytest\n@pytest.mark.needs('cobol')\ndef test_it(): pass",
            None,
            1,
            "needs 'cobol'; known: browser, control-groups, dagstermill, r, nvidia, other-uid, plain-user, mount",
            id="in a mark",
        ),
    ],
)
def test_a_misspelt_need_is_an_error(
    tmp_path: Path, source: str, require: str | None, status: int, text: str
) -> None:
    run = run_pytest(tmp_path, source, require)
    assert run.returncode == status
    assert text in run.stderr + run.stdout
