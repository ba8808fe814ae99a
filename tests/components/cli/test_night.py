"""`dagbook validate NOTEBOOK`: what would go wrong at night, its fixes, and how to take them back."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dagbook.cli import main
from dagbook.project import create_project

OURS = "type: dagbook.NotebookRunnerComponent\n"
MESSY = ("%pip install -q x", "print(rows)", "rows = [1]", "import sys\nsys.exit()", "rows")


def notebook(path: Path, *sources: str) -> Path:
    cells = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"c{number}",
            "metadata": {},
            "outputs": [],
            "source": source,
        }
        for number, source in enumerate(sources, 1)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {
        "cells": cells,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    return path


def component(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "defs.yaml").write_text(f"{OURS}attributes: {text}\n")
    return folder / "defs.yaml"


@pytest.fixture(autouse=True)
def defs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "growth"
    project = create_project(root)
    notebook(root / "churn.ipynb", *MESSY)
    notebook(root / "good.ipynb", "print(1)")
    monkeypatch.chdir(root)
    return project.defs_folder


def said(capsys: pytest.CaptureFixture[str], *arguments: str | Path, status: int = 0) -> list[str]:
    assert main(["validate", *map(str, arguments)]) == status
    output = capsys.readouterr()
    return (output.out + output.err).splitlines()


FOUND = [
    "churn.ipynb will fail at night:",
    "  cell 2, line 1: `rows` is defined only in cell 3, and a run goes from top to bottom: move "
    "that cell up (used-before-defined)",
    "    fix: Move cell 3 above cell 2",
    "churn.ipynb may surprise at night:",
    "  cell 1, line 1: installs packages in every run: tomorrow's may be another version, and "
    "without a network the run fails. Have them in the environment, and leave this out at night "
    "(installs-packages)",
    "    fix: Skip cell 1 at night",
    "  cell 4, line 2: `sys.exit()` ends the run here, and no cell below is run: take it out, or "
    "skip this cell at night (ends-early)",
    "    fix: Skip cell 4 at night",
]
HINT = "  apply a fix: dagbook validate churn.ipynb --fix --only RULE:CELL"


def test_a_notebook_without_a_component_is_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    note = '  note: no component runs it yet: `dagbook schedule {} "daily 06:00"` makes one'
    assert said(capsys, "churn.ipynb") == [*FOUND, note.format("churn.ipynb"), HINT]
    assert said(capsys, "good.ipynb") == [
        "✓ good.ipynb: nothing found that would go wrong at night",
        note.format("good.ipynb"),
    ]


def test_the_docs_show_what_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).parents[3] / "docs" / "night.md"
    (shown,) = re.findall(
        r"^\$ dagbook validate churn\.ipynb\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE
    )
    notebook(Path("churn.ipynb"), "%pip install x", "import json", "rows.sort()", "rows = [1]")
    assert said(capsys, "churn.ipynb") == shown.splitlines()
    (fixed,) = re.findall(
        r"^\$ dagbook validate (churn\.ipynb --fix.*?)\n(.*?)change the notebook.*?\n(.*?)```",
        page.read_text(),
        re.DOTALL | re.MULTILINE,
    )
    command, diff, done = fixed
    assert said(capsys, *command.split(), "--yes") == (diff + done).splitlines()


def test_a_notebook_outside_a_project_is_looked_at(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    notebook(tmp_path / "alone.ipynb", "breakpoint()")
    assert said(capsys, "alone.ipynb")[1] == (
        "  cell 1, line 1: `breakpoint()` waits for somebody at a debugger, and nobody is there: "
        "take it out (debugger)"
    )


def test_what_will_fail_on_a_schedule_has_to_be_mended(
    defs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    component(defs / "manual", "{notebook: churn.ipynb}")
    lines = said(capsys, "churn.ipynb")
    assert lines[0] == "✓ growth/defs/manual/defs.yaml:1: churn.ipynb, not scheduled"
    assert lines[-len(FOUND) - 1 :] == [*FOUND, HINT]
    component(defs / "daily", '{notebook: churn.ipynb, schedule: "0 6 * * *"}')
    said(capsys, "churn.ipynb", status=2)
    component(defs / "good", '{notebook: good.ipynb, schedule: "0 6 * * *"}')
    assert said(capsys, "good.ipynb")[-1] == (
        "✓ good.ipynb: nothing found that would go wrong at night"
    )


def test_a_whole_project_and_component_files_are_checked_as_before(
    defs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = component(defs / "daily", '{notebook: churn.ipynb, schedule: "0 6 * * *"}')
    line = "✓ growth/defs/daily/defs.yaml:1: churn.ipynb, every day at 06:00 (UTC)"
    assert said(capsys) == [line]
    assert "night" not in "".join(said(capsys, path))


def test_a_notebook_that_cannot_be_read_is_an_error_of_its_component(
    defs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("torn.ipynb").write_text("{")
    assert said(capsys, "torn.ipynb", status=2) == [
        "dagbook: torn.ipynb: line 1: is cut off there; save the notebook again from Jupyter."
    ]
    component(defs / "torn", "{notebook: torn.ipynb}")
    assert said(capsys, "torn.ipynb", status=2)[0].startswith("growth/defs/torn/defs.yaml:2:")


def test_the_kernel_that_the_component_chooses_counts(
    defs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    notebook(Path("k.ipynb"), "import ours_alone")
    component(defs / "k", "{notebook: k.ipynb, kernel: nowhere}")
    lines = said(capsys, "k.ipynb", status=2)
    assert any("nothing is said of imports: kernel 'nowhere'" in line for line in lines)


def test_json_has_findings_and_fixes(capsys: pytest.CaptureFixture[str]) -> None:
    answer = json.loads("\n".join(said(capsys, "--json", "churn.ipynb")))
    (night,) = answer["night"]
    assert night["notebook"] == "churn.ipynb"
    assert night["passed_trial"] is None
    assert [(f["rule"], f["severity"], f["cell"]) for f in night["findings"]] == [
        ("used-before-defined", "will fail", 1),
        ("installs-packages", "may surprise", 0),
        ("ends-early", "may surprise", 3),
    ]
    assert night["findings"][1]["fixes"][0]["arguments"]["edits"][0]["add"] == ["skip"]
    assert "night" not in json.loads("\n".join(said(capsys, "--json")))


def test_of_many_findings_of_a_rule_the_first_are_printed(
    capsys: pytest.CaptureFixture[str],
) -> None:
    notebook(Path("many.ipynb"), *["breakpoint()"] * 13)
    lines = said(capsys, "many.ipynb")
    assert sum("(debugger)" in line for line in lines) == 11
    assert lines[11] == "  and 3 more (debugger)"
    (night,) = json.loads("\n".join(said(capsys, "--json", "many.ipynb")))["night"]
    assert len(night["findings"]) == 13


def test_a_passed_trial_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    notebook(Path("t.ipynb"), 'country = "DE"', "print(country)")
    assert main(["run", "t.ipynb"]) == 0
    capsys.readouterr()
    first = said(capsys, "t.ipynb")[0]
    assert re.fullmatch(
        r"✓ t\.ipynb: ran well just as it is, on \d{4}-\d\d-\d\d \d\d:\d\d UTC", first
    )


def test_a_fix_is_shown_applied_and_taken_back(capsys: pytest.CaptureFixture[str]) -> None:
    path = Path("churn.ipynb")
    before = path.read_bytes()
    only = ("churn.ipynb", "--fix", "--only", "installs-packages:1")
    diff = ["churn.ipynb: Skip cell 1 at night", "--- cell 1, its tags", "+skip"]
    assert said(capsys, *only) == [*diff, "nothing was written: repeat with --yes"]
    assert path.read_bytes() == before
    done = "✓ changed churn.ipynb; take it back: dagbook validate churn.ipynb --undo"
    assert said(capsys, *only, "--yes") == [*diff, done]
    assert said(capsys, "churn.ipynb", "--fix", "--only", "used-before-defined", "--yes") == [
        "churn.ipynb: Move cell 3 above cell 2",
        "--- cell 3 becomes cell 2",
        done,
    ]
    document = json.loads(path.read_text())
    assert [cell["id"] for cell in document["cells"]] == ["c1", "c3", "c2", "c4", "c5"]
    assert document["cells"][0]["metadata"] == {"tags": ["skip"]}
    assert [line for line in said(capsys, "churn.ipynb") if line.startswith("  cell")] == [
        FOUND[-2]
    ]
    undo = ("churn.ipynb", "--undo")
    assert said(capsys, *undo) == ["✓ churn.ipynb: took back: Move cell 3 above cell 2"]
    assert said(capsys, *undo) == ["✓ churn.ipynb: took back: Skip cell 1 at night"]
    assert path.read_bytes() == before
    assert said(capsys, *undo, status=2) == [
        "dagbook: churn.ipynb: no fix was applied to it that can be taken back"
    ]


def test_every_finding_of_a_rule_is_fixed(capsys: pytest.CaptureFixture[str]) -> None:
    sources = ("%pip install a", "x = 1\n!pip install b\ny = 2", "!pip install c", "print(x, y)")
    notebook(Path("p.ipynb"), *sources)
    said(capsys, "p.ipynb", "--fix", "--only", "installs-packages", "--yes")
    cells = json.loads(Path("p.ipynb").read_text())["cells"]
    assert [(c["source"], c["metadata"].get("tags")) for c in cells] == [
        ("%pip install a", ["skip"]),
        ("!pip install b", ["skip"]),
        ("x = 1\ny = 2", None),
        ("!pip install c", ["skip"]),
        ("print(x, y)", None),
    ]
    assert said(capsys, "p.ipynb")[0] == "✓ p.ipynb: nothing found that would go wrong at night"


@pytest.mark.parametrize(("answer", "written"), [("y\n", True), ("n\n", False), ("\n", False)])
def test_on_a_terminal_it_asks(
    answer: str,
    written: bool,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    said(capsys, "churn.ipynb", "--fix", "--only", "ends-early")
    tags = [cell["metadata"] for cell in json.loads(Path("churn.ipynb").read_text())["cells"]]
    assert (tags[3] == {"tags": ["skip"]}) is written


def test_an_edit_made_since_is_not_undone(capsys: pytest.CaptureFixture[str]) -> None:
    notebook(Path("m.ipynb"), "import os\n%matplotlib qt")
    said(capsys, "m.ipynb", "--fix", "--only", "needs-screen", "--yes")
    notebook(Path("m.ipynb"), "import os\n%matplotlib agg")
    before = Path("m.ipynb").read_bytes()
    assert said(capsys, "m.ipynb", "--undo", status=2) == [
        "dagbook: m.ipynb, cell 1, line 2: was changed meanwhile; look at the notebook again"
    ]
    assert Path("m.ipynb").read_bytes() == before


def test_changes_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    fix = ("--json", "churn.ipynb", "--fix", "--only", "ends-early", "--yes")
    change: dict[str, Any] = {"notebook": "churn.ipynb", "title": "Skip cell 4 at night"}
    assert json.loads("\n".join(said(capsys, *fix)))["changed"] == [{**change, "written": True}]
    undo = json.loads("\n".join(said(capsys, "--json", "churn.ipynb", "--undo")))
    assert undo["changed"] == [{**change, "undone": True}]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("churn.ipynb", "--only", "ends-early"), "--only goes with --fix"),
        (("--fix", "--only", "ends-early"), "--only is about one notebook: name its .ipynb"),
        (("dg.toml", "--undo"), "--undo is about one notebook: name its .ipynb"),
        (
            ("churn.ipynb", "--undo", "--fix"),
            "--undo takes back a fix, --fix applies one: give one of them",
        ),
        (
            ("churn.ipynb", "--fix", "--only", "ends-early:four"),
            "--only ends-early:four: name the cell by its number, as in ends-early:3",
        ),
        (
            ("churn.ipynb", "--fix", "--only", "ends-early:2"),
            "churn.ipynb: ends-early:2 is not found in it; there are fixes for "
            "used-before-defined:2, installs-packages:1, ends-early:4",
        ),
        (
            ("good.ipynb", "--fix", "--only", "ends-early"),
            "good.ipynb: ends-early is not found in it",
        ),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: tuple[str, ...], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said(capsys, *arguments, status=2) == [f"dagbook: {text}"]


def test_a_rule_that_there_is_not_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    (line,) = said(capsys, "churn.ipynb", "--fix", "--only", "ends-erly", status=2)
    assert line.startswith(
        "dagbook: --only ends-erly: `ends-erly` is no rule. Did you mean `ends-early`? Known: "
    )


def test_a_finding_without_a_fix_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    notebook(Path("b.ipynb"), "breakpoint()")
    assert said(capsys, "b.ipynb", "--fix", "--only", "debugger", status=2) == [
        "dagbook: b.ipynb: debugger has no fix that can be applied"
    ]


def test_without_dagster_the_notebook_is_looked_at_all_the_same(defs: Path) -> None:
    code = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda n, *a: None if n == 'dagster' else find(n, *a)\n"
        "sys.modules['dagster'] = None\n"
        "from dagbook.cli import main\n"
        "sys.exit(main(['validate', *sys.argv[1:]]))"
    )

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    done = run("good.ipynb")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("✓ good.ipynb: nothing found that would go wrong at night\n")
    component(defs / "good", "{notebook: good.ipynb}")
    done = run("good.ipynb")
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout == (
        "✓ good.ipynb: nothing found that would go wrong at night\n"
        "its components were not checked: checking needs Dagster, which is not installed in "
        f"{sys.prefix}: pip install 'dagbook[dagster]'\n"
    )


def test_nothing_of_dagster_is_loaded_for_a_notebook_without_a_component() -> None:
    code = (
        "import sys\n"
        "from dagbook.cli import main\n"
        "main(['validate', 'churn.ipynb'])\n"
        "sys.exit(sorted({'dagster', 'papermill', 'nbformat', 'IPython', 'pandas', 'mlflow'}"
        " & set(sys.modules)).__repr__())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "[]\n"
