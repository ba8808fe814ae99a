"""What a run records of where its result comes from."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from tests.components.execution.conftest import code_cells

import dagbook
from dagbook.execution import RunStatus, run_notebook
from dagbook.execution.commit import Commit, CommitQuestion
from dagbook.execution.interpreter import (
    Interpreter,
    ask_kernel,
    packages_hash,
    python_packages,
    r_packages,
)
from dagbook.execution.place import recover_runs
from dagbook.execution.provenance import Origin, Provenance
from dagbook.policy import find_size


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def git(folder: Path, *words: str) -> str:
    command = ["git", "-c", "user.name=n", "-c", "user.email=e@example.com", *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


@pytest.fixture
def kernel_of_another_environment(tmp_path, monkeypatch):
    """A kernel started through a wrapper script, by an interpreter with packages of its own."""
    extra = tmp_path / "packages"
    (extra / "Only_Here-1.2.3.dist-info").mkdir(parents=True)
    wrapper = tmp_path / "start-kernel"
    wrapper.write_text(f'#!/bin/sh\nexec {sys.executable} -m ipykernel_launcher "$@"\n')
    wrapper.chmod(0o755)
    folder = tmp_path / "jupyter" / "kernels" / "other"
    folder.mkdir(parents=True)
    (folder / "kernel.json").write_text(
        json.dumps(
            {
                "argv": [str(wrapper), "-f", "{connection_file}"],
                "language": "python",
                "env": {"PYTHONPATH": str(extra)},
            }
        )
    )
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "jupyter"))
    return "other"


def test_a_run_records_what_ran_it(make_notebook):
    result = run_notebook(make_notebook("1"))

    found = result.provenance
    assert found.dagbook == dagbook.__version__
    assert found.interpreter == {
        "language": "python",
        "version": sys.version.split()[0],
        "implementation": sys.implementation.name,
        "path": sys.executable,
        "kernel": "python3",
    }
    # What importlib.metadata says, which opens every file to say it.
    asked = "import importlib.metadata as m; print(m.version('ipykernel'), m.version('nbclient'))"
    said = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True)
    assert [found.packages["ipykernel"], found.packages["nbclient"]] == said.stdout.split()
    assert found.packages_hash == packages_hash(found.packages)


def test_the_kernel_answers_for_itself_wherever_its_command_leads(
    make_notebook, kernel_of_another_environment
):
    result = run_notebook(make_notebook("1"), kernel=kernel_of_another_environment)

    assert result.provenance.interpreter["path"] == sys.executable
    assert result.provenance.packages["only-here"] == "1.2.3"


def test_the_question_leaves_no_trace_in_the_notebook(make_notebook):
    result = run_notebook(
        make_notebook(
            "print([n for n in globals() if not n.startswith('_') and n not in "
            "('In', 'Out', 'get_ipython', 'exit', 'quit', 'open')])",
            "len(In)",
        )
    )
    first, second = code_cells(result.executed_notebook)
    assert first.execution_count == 1
    assert first.outputs[0].text == "[]\n"
    assert second.outputs[0].data["text/plain"] == "3"  # an empty one, and these two


def test_every_file_that_decides_how_it_runs_is_hashed(make_notebook, tmp_path):
    path = make_notebook("import helper\nhelper")
    module = tmp_path / "helper.py"
    module.write_text("x = 1\n")
    yaml = tmp_path / "defs.yaml"
    yaml.write_text("type: x\n")

    found = run_notebook(path, origin=Origin(yaml)).provenance

    assert found.files == [
        {"role": "notebook", "path": "notebook.ipynb", "sha256": sha256(path)},
        {"role": "component", "path": "defs.yaml", "sha256": sha256(yaml)},
        {"role": "module", "path": "helper.py", "sha256": sha256(module)},
    ]
    module.write_text("x = 2\n")
    assert run_notebook(path, origin=Origin(yaml)).provenance.code_version != found.code_version


def test_the_notebooks_hash_is_of_what_was_read_not_of_what_was_saved_since(make_notebook):
    path = make_notebook("from pathlib import Path\nPath('notebook.ipynb').write_text('{}')")
    before = sha256(path)
    assert run_notebook(path).provenance.files[0]["sha256"] == before != sha256(path)


def test_commit_and_differences_from_it_are_recorded(make_notebook, tmp_path):
    path = make_notebook("import helper")
    (tmp_path / "helper.py").write_text("")
    git(tmp_path, "init", "-q")
    assert run_notebook(path).provenance.git is None  # no commit yet
    git(tmp_path, "add", "notebook.ipynb", "helper.py")
    git(tmp_path, "commit", "-qm", "x")
    commit = git(tmp_path, "rev-parse", "HEAD").strip()

    assert run_notebook(path).provenance.git == {"commit": commit, "differing": []}
    (tmp_path / "helper.py").write_text("x = 1\n")
    assert run_notebook(path).provenance.git == {"commit": commit, "differing": ["helper.py"]}


def test_files_that_are_new_ignored_or_outside_are_not_as_committed(tmp_path):
    top = tmp_path / "repository"
    (top / "ignored").mkdir(parents=True)
    names = ["kept.ipynb", "with space.ipynb", "new ü.py", "ignored/deep.py"]
    for name in names:
        (top / name).touch()
    (top / ".gitignore").write_text("ignored/\n")
    git(top, "init", "-q")
    git(top, "add", "kept.ipynb", "with space.ipynb")
    git(top, "commit", "-qm", "x")
    (top / "with space.ipynb").write_text("changed")
    outside = tmp_path / "outside.py"
    outside.touch()

    question = CommitQuestion(top / "ignored", [*(top / name for name in names), outside])

    assert question.wait(30) == Commit(
        git(top, "rev-parse", "HEAD").strip(),
        ("ignored/deep.py", "new ü.py", "with space.ipynb", str(outside)),
    )


def test_no_git_or_a_git_that_does_not_answer_costs_only_the_commit(
    make_notebook, tmp_path, monkeypatch
):
    path = make_notebook("1")
    git(tmp_path, "init", "-q")
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    assert run_notebook(path).provenance.git is None
    slow = programs / "git"
    slow.write_text("#!/bin/sh\nexec /bin/sleep 1000\n")
    slow.chmod(0o755)
    monkeypatch.setattr("dagbook.execution.tracing.COMMIT_SECONDS", 0.1)
    result = run_notebook(path)
    assert result.succeeded
    assert result.provenance.git is None
    waiting = subprocess.run(
        ["/bin/ps", "--ppid", str(os.getpid()), "-o", "args="], capture_output=True, text=True
    )
    assert "sleep 1000" not in waiting.stdout


def test_who_ran_it_and_what_it_was_allowed_is_recorded(make_notebook):
    result = run_notebook(
        make_notebook("1"),
        size="medium",
        timeout=60,
        origin=Origin(identity={"run_id": "r1", "partition": None, "user": "somebody else"}),
    )
    size = find_size("medium")
    identity = result.provenance.identity
    assert identity["run_id"] == "r1"
    assert identity["uid"] == str(os.geteuid())
    assert identity["user"] != "somebody else"
    assert identity["host"] == os.uname().nodename
    assert "partition" not in identity
    assert result.provenance.limits == {
        "size": "medium",
        "memory_bytes": size.memory_bytes,
        "cpus": 4,
        "gpus": 0,
        "run_seconds": 60,
        "cell_seconds": None,
    }


@pytest.mark.parametrize("language", ["bash", pytest.param("R", marks=pytest.mark.needs("r"))])
def test_other_languages_record_what_their_kernel_says(make_notebook, request, language):
    if language == "bash":
        request.getfixturevalue("bash_kernel")
    found = run_notebook(make_notebook("x=1", language=language)).provenance
    assert found.interpreter["language"] == language
    if language == "R":
        assert found.interpreter["implementation"] == f"IRkernel {found.packages['IRkernel']}"
        assert found.interpreter["version"] == found.packages["base"]
        asked = "cat(as.character(packageVersion('IRkernel')), as.character(getRversion()))"
        said = subprocess.run(["Rscript", "-e", asked], capture_output=True, text=True)
        assert [found.packages["IRkernel"], found.packages["base"]] == said.stdout.split()
    else:
        assert found.interpreter["implementation"].startswith("bash_kernel ")
        assert found.packages is None
        assert found.packages_hash is None


def test_it_is_stored_in_the_executed_notebook_and_in_the_json(make_notebook):
    result = run_notebook(make_notebook("1"))
    stored = nbformat.read(result.executed_notebook, as_version=4).metadata.dagbook.provenance
    assert stored == result.to_json()["provenance"]
    assert Provenance.from_json({**stored, "of_later": 1}) == result.provenance


@pytest.mark.parametrize(
    ("cell", "status"),
    [("1 / 0", RunStatus.FAILED), ("import os\nos.kill(os.getpid(), 9)", RunStatus.KILLED)],
    ids=["failed", "killed"],
)
def test_runs_that_do_not_succeed_record_it_as_well(make_notebook, cell, status):
    result = run_notebook(make_notebook(cell))
    assert result.status is status
    assert result.provenance.packages["ipykernel"]


def test_a_run_that_vanished_has_it_after_recovery(make_notebook, tmp_path):
    good = make_notebook("1")
    assert run_notebook(good).succeeded
    path = make_notebook("2", "import time\nopen('running', 'w').close()\ntime.sleep(600)")
    runner = subprocess.Popen([sys.executable, "-m", "dagbook", "run", str(path)])
    folder = tmp_path / "runs" / "notebook"
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            journals = list(folder.glob(".*.running/journal.jsonl"))
            if (tmp_path / "running").exists() and '["provenance"' in journals[0].read_text():
                break
            time.sleep(0.05)
    finally:
        runner.send_signal(signal.SIGKILL)
        runner.wait()
    deadline = time.monotonic() + 30
    while not (recovered := recover_runs(folder)) and time.monotonic() < deadline:
        time.sleep(0.05)

    notebook = nbformat.read(recovered[0], as_version=4)
    stored = notebook.metadata.dagbook
    assert stored.status == "killed"
    assert stored.provenance.interpreter.path == sys.executable
    assert stored.provenance.packages.ipykernel
    assert stored.provenance.files[0].sha256 == sha256(path)
    assert stored.last_good_run.differences[0] == "cell 1 changed: 2"
    assert any("Different from the last good run" in cell.source for cell in notebook.cells)


def test_names_of_metadata_folders_are_read_as_names_and_versions():
    folders = [
        ["scikit_learn-1.5.0.dist-info", "zope.interface-6.0-py3.11-linux-x86_64.egg-info"],
        ["Scikit_Learn-1.0.dist-info", "develop.egg-info"],
    ]
    conda = ["libblas-3.9.0-22_linux64.json", "history", "scikit-learn-1.5.0-py311.json"]
    assert python_packages(folders, conda) == {
        "develop": "unknown",
        "libblas": "3.9.0",
        "scikit-learn": "1.5.0",
        "zope-interface": "6.0",
    }


def test_the_first_of_rs_libraries_is_the_one_that_is_loaded(tmp_path):
    for library, version in (("own", "2.0"), ("system", "1.0")):
        package = tmp_path / library / "stats"
        package.mkdir(parents=True)
        (package / "DESCRIPTION").write_text(f"Package: stats\nVersion: {version}\n")
    (tmp_path / "own" / "broken").mkdir()
    (tmp_path / "own" / "broken" / "DESCRIPTION").mkdir()
    assert r_packages([tmp_path / "own", tmp_path / "system"]) == {"stats": "2.0"}


@pytest.mark.parametrize(
    "reply",
    [
        {},
        {"user_expressions": None},
        {"user_expressions": {"installed": {"status": "error", "ename": "KeyError"}}},
        {"user_expressions": {"installed": {"data": {"text/plain": "<odd>"}}}},
        {"user_expressions": {"installed": {"data": {"text/plain": "'[1, 2]'"}}}},
    ],
    ids=["nothing", "none", "an error", "no text", "another shape"],
)
def test_a_python_kernel_that_answers_oddly_costs_only_the_packages(reply):
    class Kernel:
        def execute(self, *_args, **_options):
            return reply

    known = Interpreter("python", "3.12", "other", "/bin/python", "other")
    assert ask_kernel(Kernel(), known, lambda: None) == (known, None)
