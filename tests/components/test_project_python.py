"""Which Python a project runs in, found out without starting any."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from dagbook.errors import DagbookError
from dagbook.project_python import Interpreter, find_python


def program(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\nexit 1\n")
    path.chmod(0o755)
    return path


def test_without_anything_it_is_this_one(tmp_path: Path) -> None:
    assert find_python(tmp_path, {}) == Interpreter(Path(sys.executable), "this process")


def test_its_own_environment_comes_before_that(tmp_path: Path) -> None:
    own = program(tmp_path / ".venv/bin/python")
    assert find_python(tmp_path, {}) == Interpreter(own, ".venv")


@pytest.mark.parametrize(
    "line",
    [
        "DG_PROJECT_PYTHON_EXECUTABLE={path}",
        'export DG_PROJECT_PYTHON_EXECUTABLE = "{path}"  # ours',
        "DG_PROJECT_PYTHON_EXECUTABLE='{path}'",
        "DG_PROJECT_PYTHON_EXECUTABLE={path} # ours",
        "DG_PROJECT_PYTHON_EXECUTABLE=/another\nDG_PROJECT_PYTHON_EXECUTABLE={path}",
        "#DG_PROJECT_PYTHON_EXECUTABLE=/no\nOTHER=1\nDG_PROJECT_PYTHON_EXECUTABLE=python here/bin",
    ],
)
def test_what_its_env_file_names_comes_first(tmp_path: Path, line: str) -> None:
    program(tmp_path / ".venv/bin/python")
    named = program(tmp_path / "python here/bin")
    (tmp_path / ".env").write_text(line.format(path=named) + "\n")
    assert find_python(tmp_path, {}) == Interpreter(named, "DG_PROJECT_PYTHON_EXECUTABLE in .env")


def test_an_empty_value_says_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DG_PROJECT_PYTHON_EXECUTABLE=\n")
    assert find_python(tmp_path, {}).origin == "this process"


def test_a_python_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("A=1\nDG_PROJECT_PYTHON_EXECUTABLE=gone/python\n")
    with pytest.raises(DagbookError) as raised:
        find_python(tmp_path, {})
    assert str(raised.value) == (
        f"{tmp_path}/.env:2: DG_PROJECT_PYTHON_EXECUTABLE names gone/python, which is no program "
        "that can be started: mend or remove the line"
    )


def test_an_environment_of_conda_is_taken_if_it_has_dagster(tmp_path: Path) -> None:
    conda = program(tmp_path / "conda/bin/python")
    environment = {"CONDA_PREFIX": str(tmp_path / "conda")}
    root = tmp_path / "project"
    root.mkdir()
    assert find_python(root, environment).origin == "this process"
    package = tmp_path / "conda/lib/python3.12/site-packages/dagster"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    assert find_python(root, environment) == Interpreter(conda, "CONDA_PREFIX")
