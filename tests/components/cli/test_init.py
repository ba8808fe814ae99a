"""`dagbook init`: a project in one step, the demo in one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from dagbook.cli import main
from dagbook.project import require_project


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_new_folder_becomes_a_project_and_the_next_step_is_told(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "my churn"]) == 0
    assert capsys.readouterr().out == (
        f"✓ made the project `my_churn` in {here}/my churn\n"
        "  my churn/dg.toml\n"
        "  my churn/my_churn/defs\n"
        "  my churn/.gitignore\n"
        "next: cd 'my churn' && dagbook schedule NOTEBOOK.ipynb \"daily 06:00\"\n"
    )
    assert require_project(here / "my churn").module == "my_churn"


def test_this_folder_is_the_default_and_its_notebook_is_named(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "churn.ipynb").write_text("{}")
    assert main(["init", "--name", "growth"]) == 0
    assert capsys.readouterr().out == (
        f"✓ made the project `growth` in {here}\n"
        "  dg.toml\n"
        "  growth/defs\n"
        "  .gitignore\n"
        'next: dagbook schedule churn.ipynb "daily 06:00"\n'
    )


def test_a_second_time_changes_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "churn"]) == 0
    capsys.readouterr()
    before = {path: path.stat().st_mtime_ns for path in here.rglob("*")}
    assert main(["init", "churn"]) == 0
    assert capsys.readouterr().out == (
        f"✓ {here}/churn is a project already, nothing to make\n"
        'next: cd churn && dagbook schedule NOTEBOOK.ipynb "daily 06:00"\n'
    )
    assert {path: path.stat().st_mtime_ns for path in here.rglob("*")} == before


def test_json_says_what_was_made(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init", "churn", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "schema": "dagbook.init/1",
        "root": f"{here}/churn",
        "module": "churn",
        "defs_folder": f"{here}/churn/churn/defs",
        "made": [f"{here}/churn/dg.toml", f"{here}/churn/churn/defs", f"{here}/churn/.gitignore"],
        "next": 'cd churn && dagbook schedule NOTEBOOK.ipynb "daily 06:00"',
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["init", "file"], "dagbook: {here}/file is a file: name a folder\n"),
        (
            ["init", "--name", "my-churn"],
            "dagbook: 'my-churn' cannot be the project's module: use letters, digits and _, for "
            "example `my_churn`\n",
        ),
        (
            ["init", "project/models"],
            "dagbook: {here}/project/models lies in the project {here}/project already: schedule "
            "its notebooks from there, nothing needs to be made\n",
        ),
        (["init", "file", "--demo"], "dagbook: file is a file: name a folder\n"),
        (
            ["init", "project/models", "--demo"],
            "dagbook: project/models lies in the project {here}/project: name a folder outside "
            "it\n",
        ),
        (["init", "--demo", "--name", "x"], "dagbook: the demo has a name already: leave --name out\n"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(
    arguments: list[str], said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "file").write_text("mine")
    (here / "project").mkdir()
    (here / "project" / "dg.toml").write_text(
        'directory_type = "project"\n[project]\nroot_module = "x"\n'
    )
    before = sorted(here.rglob("*"))
    assert main(arguments) == 2
    output = capsys.readouterr()
    assert (output.out, output.err) == ("", said.format(here=here))
    assert sorted(here.rglob("*")) == before


@pytest.mark.needs("other-uid")
def test_a_folder_that_may_not_be_written_is_said_so(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder in (here, *here.parents):
        if folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    os.seteuid(65534)
    try:
        status = main(["init", "churn"])
    finally:
        os.seteuid(0)
    assert status == 2
    assert capsys.readouterr().err == (
        f"dagbook: cannot make a project in {here}/churn: Permission denied\n"
    )


def test_the_demo_is_copied_and_may_be_edited(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["init", "try it", "--demo"]) == 0
    project = require_project(here / "try it")
    files = [path for path in project.root.rglob("*") if path.is_file()]
    assert capsys.readouterr().out == (
        f"✓ made the demo in {here}/try it: {len(files)} files\nnext: cd 'try it' && dagbook up\n"
    )
    assert len(project.component_files()) >= 3
    assert all(os.access(path, os.W_OK) for path in files)
    names = {part for path in files for part in path.relative_to(project.root).parts}
    assert not names & {"__pycache__", ".ipynb_checkpoints", "runs", ".dagbook"}
    assert main(["validate", "try it"]) == 0


def test_the_demo_overwrites_nothing(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (here / "dagbook-demo").mkdir()
    (here / "dagbook-demo" / "dg.toml").write_text("# mine\n")
    assert main(["init", "--demo"]) == 2
    assert capsys.readouterr().err == (
        "dagbook: dagbook-demo/dg.toml exists already, nothing was copied: name an empty folder\n"
    )
    assert [path.name for path in (here / "dagbook-demo").iterdir()] == ["dg.toml"]


def test_it_runs_as_a_command(here: Path) -> None:
    command = Path(sys.executable).with_name("dagbook")
    ran = subprocess.run([command, "init", "churn"], capture_output=True, text=True)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith(f"✓ made the project `churn` in {here}/churn\n")
    helped = subprocess.run([command, "init", "--help"], capture_output=True, text=True)
    assert helped.returncode == 0
    assert "dagbook init try-it --demo" in helped.stdout
