"""What installs packages, and what only looks like it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dagbook.preflight.edits import apply_edits
from dagbook.preflight.finding import NightFinding, Severity
from dagbook.preflight.installs import INSTALLS

Found = Callable[..., list[NightFinding]]


@pytest.mark.parametrize(
    "line",
    [
        "%pip install pandas",
        "pip install pandas",
        "!pip install -q pandas",
        "! pip3 install pandas",
        "!pip --quiet install pandas",
        "!{sys.executable} -m pip install pandas",
        '!"{sys.executable}" -m pip install pandas',
        "!python -m pip install pandas",
        "!/opt/venv/bin/python3.11 -m pip install pandas",
        "!uv pip install pandas",
        "%conda install -y pandas",
        "!conda install -y pandas",
        "!mamba update pandas",
        "!apt-get install -y graphviz",
        "!sudo apt -y install graphviz",
        "!cd /tmp && pip install .",
        "!apt update -q && apt-get install -y graphviz",
        "x = !pip install pandas",
        "%%bash\npip install pandas",
        "%%sh\n# a comment\npip install pandas",
        'import os\nos.system("pip install pandas")',
        'import subprocess, sys\nsubprocess.run([sys.executable, "-m", "pip", "install", "x"])',
        'import subprocess\nsubprocess.check_call("pip install pandas", shell=True)',
        'import sys, os\nos.system(f"{sys.executable} -m pip install pandas")',
        'import pip\npip.main(["install", "pandas"])',
        'get_ipython().system("pip install pandas")',
        'get_ipython().run_line_magic("pip", "install pandas")',
        "try:\n    import pandas\nexcept ImportError:\n    %pip install pandas",
    ],
)
def test_an_install_is_told(line: str, found: Found) -> None:
    (finding,) = found(line, rule=INSTALLS)
    assert finding.severity is Severity.MAY_SURPRISE
    assert any(word in line.split("\n")[finding.line - 1] for word in ("install", "update"))


@pytest.mark.parametrize(
    "line",
    [
        "%pip list",
        "!pip freeze",
        "!pip show pandas",
        "!conda env list",
        "# !pip install pandas",
        'print("pip install pandas")',
        '"""\n!pip install pandas\n"""',
        "model.install()",
        "!echo pip install pandas",
        'if "google.colab" in sys.modules:\n    %pip install pandas',
        'if IN_COLAB:\n    get_ipython().system("pip install pandas")',
    ],
)
def test_nothing_is_installed_by(line: str, found: Found) -> None:
    assert found(line, rule=INSTALLS) == []


def test_the_text(found: Found) -> None:
    (finding,) = found("%pip install pandas", rule=INSTALLS)
    assert finding.text == (
        "installs packages in every run: tomorrow's may be another version, and without a network "
        "the run fails. Have them in the environment, and leave this out at night"
    )


def test_a_skipped_cell_installs_nothing(found: Found) -> None:
    assert found(("%pip install pandas", "skip"), rule=INSTALLS) == []


@pytest.mark.parametrize(
    "source",
    [
        "%pip install pandas",
        "# needed\n!pip install a\n\n!pip install b",
        "import sys\n!{sys.executable} -m pip install pandas",
        "%%bash\npip install pandas",
    ],
)
def test_a_cell_that_only_installs_is_skipped(source: str, found: Found) -> None:
    (finding,) = found(source, rule=INSTALLS)
    (fix,) = finding.fixes
    assert (fix.kind, fix.title) == ("role", "Skip cell 1 at night")
    assert fix.arguments["edits"] == [
        {"edit": "tags", "cell": 0, "cell_id": "c0", "add": ["skip"], "remove": []}
    ]


def test_an_install_among_other_code_gets_a_cell_of_its_own(found: Found) -> None:
    source = "import os\n%pip install a\nx = 1\n!pip install b \\\n  c\ny = 2"
    (finding,) = found(source, rule=INSTALLS)
    (fix,) = finding.fixes
    assert fix.title == "Put it into a cell of its own, skipped at night"
    document = {"cells": [{"cell_type": "code", "id": "c0", "metadata": {}, "source": source}]}
    changed, undo = apply_edits(document, fix.arguments["edits"])
    apart, rest = changed["cells"]
    assert apart["metadata"] == {"tags": ["skip"]}
    assert apart["source"] == "%pip install a\n!pip install b \\\n  c"
    assert rest["source"] == "import os\nx = 1\ny = 2"
    assert apply_edits(changed, undo)[0] == document


@pytest.mark.parametrize(
    "cell",
    [
        ("%pip install a\nx = 1", "parameters"),
        ("import os\nx = os.system('pip install a')\nprint(x)",),
        ("try:\n    import a\nexcept ImportError:\n    %pip install a",),
    ],
)
def test_an_install_that_is_part_of_something_has_no_fix(
    cell: tuple[str, ...], found: Found
) -> None:
    (finding,) = found(cell, rule=INSTALLS)
    assert finding.fixes == ()


def test_installs_in_r_and_shell_notebooks(found: Found) -> None:
    source = 'library(x)\ninstall.packages("y")  # y'
    (finding,) = found(source, rule=INSTALLS, language="R")
    assert (finding.line, finding.fixes) == (2, ())
    (alone,) = found('# once\ninstall.packages("y")', rule=INSTALLS, language="R")
    assert alone.fixes[0].title == "Skip cell 1 at night"
    assert found('# install.packages("y")', rule=INSTALLS, language="R") == []
    assert len(found("pip install x", rule=INSTALLS, language="bash")) == 1
