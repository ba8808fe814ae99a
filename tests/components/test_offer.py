"""The front door of a package of components: it cannot fail, whatever stands behind it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from dagbook.errors import DagbookError

DOOR = (
    "from dagbook.front_door import offer\n\n"
    "__getattr__, __dir__ = offer(__name__, {'Good': 'behind.good', 'Bad': 'behind.bad'})\n"
)


@pytest.fixture(autouse=True)
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "behind"
    folder.mkdir()
    (folder / "__init__.py").write_text(DOOR)
    (folder / "good.py").write_text(
        "from dagbook import NotebookRunnerComponent\n\n\n"
        "class Good(NotebookRunnerComponent):\n    '''Sound.'''\n"
    )
    (folder / "bad.py").write_text("import no_such_package\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield folder
    for name in [name for name in sys.modules if name.split(".")[0] == "behind"]:
        del sys.modules[name]


def test_a_package_is_imported_without_its_components() -> None:
    behind = importlib.import_module("behind")
    assert {"Good", "Bad", "__name__"} <= set(dir(behind))
    assert "behind.good" not in sys.modules
    assert behind.Good.__module__ == "behind.good"
    assert behind.Good is behind.Good


def test_a_component_that_cannot_be_imported_says_why_where_it_is_used() -> None:
    bad = importlib.import_module("behind").Bad
    reason = "behind.Bad cannot be loaded: ModuleNotFoundError: No module named 'no_such_package'"
    assert issubclass(bad, dg.Component)
    assert (bad.__doc__, bad.unavailable_because) == (reason, reason)
    with pytest.raises(DagbookError) as error:
        bad.load(None, None)
    assert str(error.value) == reason


def test_another_name_is_missing_as_from_any_module() -> None:
    behind = importlib.import_module("behind")
    with pytest.raises(AttributeError, match="module 'behind' has no attribute 'Other'"):
        _ = behind.Other
    assert not hasattr(behind, "__dg_package_entry__")
