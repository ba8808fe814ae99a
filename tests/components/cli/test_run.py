"""`dagbook run`: what it prints, and the exit status that says how a run ended."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import jsonschema
import nbformat
import pytest

import dagbook
from dagbook.cli import main

SCHEMA = json.loads(
    (Path(dagbook.__file__).parent / "schemas" / "execution-1.schema.json").read_text("utf-8")
)


@pytest.fixture
def notebook(tmp_path):
    def make(*sources, parameters=None):
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
        made.metadata.kernelspec = {"name": "python3", "display_name": "P", "language": "python"}
        path = tmp_path / "churn.ipynb"
        nbformat.write(made, path)
        return str(path)

    return make


@pytest.mark.parametrize(
    ("source", "options", "status", "code"),
    [
        ("1", [], "succeeded", 0),
        ("1 / 0", [], "failed", 1),
        ("# dagster: check rows\nassert False", [], "failed", 1),
        ("1", ["-p", "nope=1"], "refused", 2),
        ("import os\nos.kill(os.getpid(), 9)", [], "killed", 3),
        ("import time\ntime.sleep(60)", ["--timeout", "1"], "timed_out", 4),
    ],
)
def test_the_exit_status_and_the_object_say_how_it_ended(
    notebook, capsys, source, options, status, code
):
    assert main(["run", notebook(source), "--json", *options]) == code
    printed = capsys.readouterr()
    told = json.loads(printed.out)
    assert printed.err == ""
    assert told["status"] == status
    jsonschema.validate(told, SCHEMA)


def test_a_run_says_what_came_out_and_where_it_is(notebook, capsys):
    path = notebook("# dagster: metrics\nauc = 0.81", "# dagster: check rows\nassert True")
    assert main(["run", path, "--html"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "✓ succeeded"
    assert lines[1].endswith("· size small")
    assert lines[2:4] == ["  auc = 0.81", "  ✓ check rows"]
    assert lines[4].endswith("-succeeded.ipynb")
    assert lines[5].endswith("-succeeded.html")


def test_parameters_are_read_by_their_type(notebook, tmp_path, capsys):
    path = notebook("# dagster: parameters\ndays = 7\nfast = False", "print(days + 1, fast)")
    out = tmp_path / "out.ipynb"
    assert main(["run", path, "-p", "days=30", "-p", "fast=yes", "--output", str(out)]) == 0
    cells = nbformat.read(out, as_version=4).cells
    assert cells[2].outputs[0].text == "31 True\n"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["-p", "days"], "dagbook: -p days: give a parameter as NAME=VALUE\n"),
        (["-p", "a=1", "-p", "a=2"], "dagbook: -p a: it is given twice\n"),
        (
            ["--size", "smal"],
            "dagbook: compute size 'smal' does not exist. Did you mean `small`? "
            "Known: small, large, medium, gpu_large, gpu_medium\n",
        ),
        (["--timeout", "0"], "dagbook: timeout: 0 is not a time; give seconds above 0\n"),
        (["--output", "x.txt"], "x.txt: the executed notebook's name must end in .ipynb\n"),
    ],
)
def test_a_mistake_is_one_line_and_exit_status_2(notebook, capsys, options, text):
    assert main(["run", notebook("1"), *options]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.endswith(text)


def test_a_credential_as_parameter_is_refused_before_anything_is_kept(
    notebook, tmp_path, capsys, monkeypatch
):
    path = notebook("# dagster: parameters\nregion = 'DE'\npassword = ''")
    folder = Path(path).parent
    monkeypatch.chdir(folder)
    assert main(["init"]) == 0
    (folder / "dagbook-platform.yaml").write_text("contact: someone@example.com\n")
    capsys.readouterr()
    token = "ghp_" + "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"
    for word in (f"region={token}", f"password={token}", f"pasword={token}"):
        for options in ([], ["--json"]):
            assert main(["run", path, "-p", word, *options]) == 2
            printed = capsys.readouterr()
            assert "looks like a GitHub token" in printed.out + printed.err
            assert token not in printed.out + printed.err
    kept = [file for file in folder.rglob("*") if file.is_file()]
    assert kept
    assert not [file for file in kept if token.encode() in file.read_bytes()]
    assert not (folder / "runs").exists() or not list((folder / "runs").rglob("*.ipynb"))


def test_progress_is_drawn_at_a_terminal_only(notebook):
    import io

    from dagbook.cli.progress_bar import ProgressBar
    from dagbook.execution import CellResult, CellStarted

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    terminal, file = Terminal(), io.StringIO()
    event = CellStarted(3, 4, CellResult(2, "a", None))
    for stream in (terminal, file):
        bar = ProgressBar(stream)
        bar(event)
        bar.close()
    assert "▓▓▓▓▓▓▓▓▓▓░░░░░░░░░░ cell 3 of 4 · 0:00" in terminal.getvalue()
    assert file.getvalue() == ""


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["text", "json"])
def test_a_terminal_that_knows_ascii_only_is_no_reason_to_fail(notebook, tmp_path, options):
    path = Path(notebook("1"))
    path = path.rename(tmp_path / os.fsdecode(b"\xff\xc3\xa9.ipynb"))
    done = subprocess.run(
        [sys.executable, "-m", "dagbook", "run", path, *options],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii:strict"},
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout.decode("ascii")
    assert json.loads(said)["status"] == "succeeded" if options else "succeeded" in said
