"""Imports that a run's environment does not have, and modules where it does not look."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dagbook.notebook import Notebook
from dagbook.preflight.distributions import distribution_of
from dagbook.preflight.finding import NightFinding, Severity
from dagbook.preflight.imports import LOCAL, UNKNOWN, imported_names

Found = Callable[..., list[NightFinding]]
RULES = {LOCAL, UNKNOWN}
KNOWN = frozenset({"pandas"})


@pytest.fixture
def told(found: Found) -> Callable[..., list[NightFinding]]:
    def find(*cells: str | tuple[str, ...], **situation: object) -> list[NightFinding]:
        situation = {"importable": KNOWN, **situation}
        return [f for f in found(*cells, **situation) if f.rule in RULES]

    return find


@pytest.mark.parametrize(
    ("source", "severity", "text"),
    [
        (
            "import sklearn.svm",
            Severity.WILL_FAIL,
            "`sklearn` is neither installed for the notebook's kernel nor a file beside the "
            "notebook: `pip install scikit-learn` into the kernel's environment",
        ),
        (
            "from google.cloud import bigquery",
            Severity.WILL_FAIL,
            "`google` is neither installed for the notebook's kernel nor a file beside the "
            "notebook: `pip install google-cloud-bigquery` into the kernel's environment",
        ),
        (
            "from ours import x",
            Severity.WILL_FAIL,
            "`ours` is neither installed for the notebook's kernel nor a file beside the notebook: "
            "install it there, or put ours.py here",
        ),
        (
            "def f():\n    import ours",
            Severity.MAY_SURPRISE,
            "`ours` is neither installed for the notebook's kernel nor a file beside the notebook: "
            "install it there, or put ours.py here",
        ),
        (
            "from .ours import x",
            Severity.WILL_FAIL,
            "`from .ours` needs a package around it, and a notebook has none: name the module in "
            "full",
        ),
    ],
)
def test_what_cannot_be_imported_is_told(
    source: str, severity: Severity, text: str, told: Found
) -> None:
    (finding,) = told(source)
    assert (finding.severity, finding.text) == (severity, text)


@pytest.mark.parametrize(
    "cells",
    [
        ("import os, json, pandas.testing",),
        ("try:\n    import ours\nexcept ImportError:\n    ours = None",),
        ("try:\n    import ours\nexcept:\n    import other",),
        ("import contextlib\nwith contextlib.suppress(ImportError):\n    import ours",),
        ("from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import ours",),
        ("import sys\nsys.path.append('lib')", "import ours"),
        ("%cd ..", "import ours"),
        ("!git clone https://example.com/ours", "import ours"),
        (("import ours", "skip"),),
        (("import ours", "raises-exception"),),
        ("%%bash\nimport ours",),
        ("%%writefile ours.py\nx = 1", "import ours"),
    ],
)
def test_imports_that_may_be_found_are_not_told(cells: tuple[str, ...], told: Found) -> None:
    assert told(*cells) == []


def test_a_search_path_changed_further_down_helps_no_import_above(told: Found) -> None:
    (finding,) = told("import ours", "import sys\nsys.path.append('lib')")
    assert (finding.cell, finding.rule) == (0, UNKNOWN)
    assert told("def load():\n    import ours", "%cd lib", "load()") == []


def test_of_an_environment_that_is_not_known_nothing_is_said(told: Found) -> None:
    assert told("import ours", importable=None) == []


def test_modules_beside_the_notebook_and_at_the_root_are_found(tmp_path: Path, told: Found) -> None:
    (tmp_path / "ours.py").touch()
    (tmp_path / "package").mkdir()
    (tmp_path / "fast.cpython-311-x86_64-linux-gnu.so").touch()
    assert told("import ours, package.inner, fast") == []


@pytest.mark.parametrize(
    ("file", "where"), [("src/ours.py", "src/ours.py"), ("lib/ours/__init__.py", "lib/ours/")]
)
def test_a_module_elsewhere_in_the_project_is_named(
    file: str, where: str, tmp_path: Path, told: Found
) -> None:
    (tmp_path / file).parent.mkdir(parents=True)
    (tmp_path / file).touch()
    (finding,) = told("import ours")
    assert finding.rule == LOCAL
    assert finding.text == (
        f"`ours` is {where}, where a run does not look: put it beside the notebook or at the "
        "project's root"
    )


def test_what_a_run_would_install_itself_may_only_surprise(told: Found) -> None:
    (finding,) = told("%pip install ours", "import ours")
    assert finding.severity is Severity.MAY_SURPRISE


def test_a_name_is_told_once(told: Found) -> None:
    assert len(told("import ours.a\nimport ours.b", "from ours import c")) == 1


def test_the_names_to_ask_a_kernel_for(notebook_of: Callable[..., Notebook]) -> None:
    notebook = notebook_of(
        "import os, pandas as pd, ours.inner",
        "def f():\n    from google.cloud import storage",
        ("import skipped", "skip"),
        "try:\n    import maybe\nexcept ImportError:\n    pass",
        "from . import relative",
    )
    assert imported_names(notebook) == {"pandas", "ours", "google"}


@pytest.mark.parametrize(
    ("dotted", "package"),
    [
        ("cv2", "opencv-python"),
        ("PIL.Image", "pillow"),
        ("yaml", "pyyaml"),
        ("pandas", "pandas"),
        ("great_expectations", "great-expectations"),
        ("google.cloud.storage", "google-cloud-storage"),
        ("google.genai", "google-genai"),
        ("azure.storage.blob", "azure-storage-blob"),
        ("nobody_knows", None),
    ],
)
def test_what_to_install_is_never_guessed(dotted: str, package: str | None) -> None:
    assert distribution_of(dotted) == package
