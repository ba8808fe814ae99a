"""The project's own files a notebook imports, found without running anything."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dagbook.notebook import Notebook, code_version, local_modules, parse_notebook


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """An empty project root that is no link, whatever the machine's temporary folder is."""
    root = tmp_path.resolve() / "project"
    root.mkdir()
    return root


def write(root: Path, **files: str) -> None:
    """Write Python files; `__` in a name stands for a folder, so `a__b` is `a/b.py`."""
    for name, text in files.items():
        file = root / (name.replace("__", "/").replace("INIT", "__init__") + ".py")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")


def notebook(root: Path, *sources: str, language: str = "python") -> Notebook:
    cells = [
        {"cell_type": "code", "source": source, "metadata": {}, "outputs": []} for source in sources
    ]
    document = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"language_info": {"name": language}},
        "cells": cells,
    }
    return parse_notebook(document, root / "churn.ipynb")


def found(root: Path, *sources: str, roots: list[Path] | None = None) -> list[str]:
    files = local_modules(notebook(root, *sources), [root] if roots is None else roots)
    assert list(files) == sorted(set(files))
    return [file.relative_to(root.parent).as_posix().removeprefix("project/") for file in files]


def test_modules_packages_and_submodules_are_found(project: Path) -> None:
    write(project, cleaning="", features__INIT="", features__daily="", features__weekly="")
    write(project, lone__part="", unused="")
    assert found(project, "import cleaning") == ["cleaning.py"]
    assert found(project, "import features") == ["features/__init__.py"]
    assert found(project, "import features.daily as d") == [
        "features/__init__.py",
        "features/daily.py",
    ]
    assert found(project, "from features import daily, weekly, NAME") == [
        "features/__init__.py",
        "features/daily.py",
        "features/weekly.py",
    ]
    assert found(project, "from features import *") == ["features/__init__.py"]
    assert found(project, "from lone import part") == ["lone/part.py"]
    assert found(project, "import lone.part, cleaning") == ["cleaning.py", "lone/part.py"]


def test_imports_are_found_wherever_they_stand(project: Path) -> None:
    write(project, a="", b="", c="", d="", e="")
    sources = [
        "%matplotlib inline\n!pip install it's\nimport a",
        "def f():\n    import b",
        "try:\n    import c\nexcept ImportError:\n    pass",
        "%%time\nimport d",
        "x = = 1\nimport e",
    ]
    assert found(project, *sources) == ["a.py", "b.py", "c.py", "d.py"]


def test_imports_are_followed_through_files_and_cycles(project: Path) -> None:
    write(project, a="import b", b="import c\nimport a", c="from pkg import x\nimport numpy")
    write(project, pkg__INIT="from . import y", pkg__x="from .y import z\nfrom ..above import q")
    write(project, pkg__y="from .deep.er import v", pkg__deep__INIT="", pkg__deep__er="import a")
    assert found(project, "import a") == [
        "a.py",
        "b.py",
        "c.py",
        "pkg/__init__.py",
        "pkg/deep/__init__.py",
        "pkg/deep/er.py",
        "pkg/x.py",
        "pkg/y.py",
    ]


def test_what_is_not_local_is_left_out(project: Path) -> None:
    write(project, pkg__INIT="")
    (project / "data").mkdir()
    assert found(project, "import os, numpy as np\nimport data\nfrom nowhere import x") == []
    assert found(project, "from . import pkg\nfrom .. import x") == []
    assert found(project, "import pkg.missing.part") == ["pkg/__init__.py"]


def test_text_skipped_and_foreign_cells_import_nothing(project: Path) -> None:
    write(project, a="", b="")
    cells = ["# dagster: skip\nimport a", "%%dagster\nretries: 2", "%%bash\nimport b"]
    assert found(project, *cells) == []


def test_other_languages_have_no_local_modules(project: Path) -> None:
    write(project, a="")
    assert local_modules(notebook(project, "import a", language="julia"), [project]) == ()


def test_the_first_root_wins_and_a_bare_folder_lets_the_next_one_speak(project: Path) -> None:
    one, two = project / "one", project / "two"
    write(one, same="", spread__a="")
    write(two, same="", spread__INIT="", spread__a="", other="")
    sources = ["import same, other\nfrom spread import a"]
    assert found(project, *sources, roots=[one, two]) == [
        "one/same.py",
        "one/spread/a.py",
        "two/other.py",
        "two/spread/__init__.py",
        "two/spread/a.py",
    ]
    assert found(project, *sources, roots=[two, one]) == [
        "two/other.py",
        "two/same.py",
        "two/spread/__init__.py",
        "two/spread/a.py",
    ]


def test_scripts_that_are_run_count_too(project: Path) -> None:
    write(project, prepare="import helper", helper="", quoted="")
    sources = ["%run prepare.py --fast", "if x:\n    %run -i 'quoted.py'", "%run other.ipynb"]
    assert found(project, *sources) == ["helper.py", "prepare.py", "quoted.py"]


def test_files_outside_the_roots_are_never_taken(project: Path) -> None:
    outside = project.parent / "outside"
    write(outside, secret="", pkg__INIT="")
    (project / "secret.py").symlink_to(outside / "secret.py")
    (project / "pkg").symlink_to(outside / "pkg")
    assert found(project, "import secret, pkg\n%run ../outside/secret.py") == []
    assert found(project, "import secret", roots=[project, outside]) == ["outside/secret.py"]


def test_odd_files_neither_hang_nor_fail(project: Path) -> None:
    os.mkfifo(project / "pipe.py")
    (project / "loop.py").symlink_to(project / "loop.py")
    (project / "binary.py").write_bytes(b"\xff\x00\xfe")
    (project / "latin.py").write_bytes(b"# coding: latin-1\nimport a # \xe9\n")
    write(project, broken="import = 3", a="")
    sources = ["import pipe, loop, binary, broken, latin"]
    assert found(project, *sources) == ["a.py", "binary.py", "broken.py", "latin.py"]


def test_the_code_version_follows_every_file(project: Path) -> None:
    write(project, a="x = 1", b="y = 1")
    book = notebook(project, "import a, b")
    modules = local_modules(book, [project])
    version = code_version(book, *modules)
    assert version == code_version(book, *reversed(modules))
    assert version != code_version(book)
    write(project, b="y = 2")
    assert version != code_version(book, *modules)
    write(project, b="y = 1")
    assert version == code_version(book, *modules)
    (project / "b.py").unlink()
    assert version != code_version(book, *modules)
