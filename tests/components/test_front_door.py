"""`import dagbook`: light, lazy, and never the reason why something else fails."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest

import dagbook
from dagbook.errors import DagbookError

BROKEN_COMPONENT = "import sys; sys.modules['dagbook.notebook_runner'] = None\n"
REASON = (
    "dagbook.NotebookRunnerComponent cannot be loaded: ModuleNotFoundError: import of "
    "dagbook.notebook_runner halted; None in sys.modules"
)
DG = (
    "from importlib.metadata import entry_points\n"
    "(script,) = entry_points(group='console_scripts', name='dg')\n"
    "sys.exit(script.load()())\n"
)


def run_python(code: str, *arguments: str, cwd: Path | None = None) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], capture_output=True, text=True, cwd=cwd
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "dg.toml").write_text(
        'directory_type = "project"\n\n[project]\nroot_module = "front"\n'
    )
    (tmp_path / "front" / "defs").mkdir(parents=True)
    (tmp_path / "front" / "definitions.py").write_text(
        "import dagster as dg\ndefs = dg.Definitions()\n"
    )
    return tmp_path


def test_a_notebook_finds_everything_it_needs() -> None:
    assert dagbook.DagbookError is DagbookError
    assert dagbook.context.in_run is False
    assert callable(dagbook.log_metric)
    assert callable(dagbook.log_metrics)


def test_the_version_is_the_distributions() -> None:
    assert dagbook.__version__ == importlib.metadata.version("dagbook")


def test_an_unknown_name_lists_the_right_ones_nearest_first() -> None:
    with pytest.raises(AttributeError) as raised:
        _ = dagbook.log_metrc  # type: ignore[attr-defined]
    assert isinstance(raised.value, DagbookError)
    assert str(raised.value) == (
        "dagbook has no `log_metrc`. Did you mean `log_metric`? Known: log_metric, log_metrics, "
        "load_credentials, context, DagbookError, screen_project, NotebookRunnerComponent, "
        "__version__"
    )


def test_tools_that_probe_for_special_names_get_a_plain_answer() -> None:
    assert not hasattr(dagbook, "_repr_html_")
    assert not hasattr(dagbook, "__wrapped__")


def test_the_extension_of_notebooks_is_handed_on_unloaded() -> None:
    code = "import sys, dagbook\ndagbook.load_ipython_extension\nprint('dagbook_magics' in sys.modules)"
    assert run_python(code) == "False\n"


def test_a_module_of_the_package_can_be_imported_from_it() -> None:
    assert run_python("from dagbook import errors; print(errors.__name__)") == "dagbook.errors\n"


def test_importing_everything_brings_no_dagster() -> None:
    code = "import sys\nfrom dagbook import *\nprint(log_metric, 'dagster' in sys.modules)"
    assert run_python(code).endswith(" False\n")


def test_the_components_are_listed_where_dagster_is_loaded_only() -> None:
    code = (
        "import sys, dagbook\n"
        "print('NotebookRunnerComponent' in dir(dagbook), 'dagster' in sys.modules)\n"
        "import dagster\n"
        "print('NotebookRunnerComponent' in dir(dagbook))\n"
    )
    assert run_python(code) == "False False\nTrue\n"


def test_every_listed_name_is_there() -> None:
    code = "import dagster, dagbook\nprint([n for n in dir(dagbook) if not hasattr(dagbook, n)])"
    assert run_python(code) == "[]\n"


def test_the_component_is_the_real_one() -> None:
    code = (
        "import dagbook, dagbook.notebook_runner.component as module\n"
        "print(dagbook.NotebookRunnerComponent is module.NotebookRunnerComponent)"
    )
    assert run_python(code) == "True\n"


def test_without_dagster_the_component_says_how_to_get_it() -> None:
    code = (
        "import sys; sys.modules['dagster'] = None\n"
        "import dagbook\n"
        "print('NotebookRunnerComponent' in dir(dagbook))\n"
        "try:\n    from dagbook import NotebookRunnerComponent\n"
        "except dagbook.DagbookError as error:\n    print(error)"
    )
    assert run_python(code) == (
        "False\ndagbook.NotebookRunnerComponent needs Dagster, which is not installed in "
        f"{sys.prefix}: pip install 'dagbook[dagster]'\n"
    )


def test_dg_lists_the_component(project: Path) -> None:
    listed = json.loads(
        run_python("import sys\n" + DG, "list", "components", "--json", cwd=project)
    )
    (ours,) = [c for c in listed["items"] if c["key"].startswith("dagbook.")]
    assert ours["key"] == "dagbook.NotebookRunnerComponent"


def test_a_component_that_cannot_be_loaded_does_not_stop_dg_and_says_why(project: Path) -> None:
    code = BROKEN_COMPONENT + DG
    listed = json.loads(run_python(code, "list", "components", "--json", cwd=project))
    summaries = {c["key"]: c["summary"] for c in listed["items"]}
    assert "dagster.DefinitionsComponent" in summaries
    assert summaries["dagbook.NotebookRunnerComponent"] == REASON


def test_using_a_component_that_cannot_be_loaded_says_why() -> None:
    code = BROKEN_COMPONENT + (
        "import dagbook\n"
        "try:\n    dagbook.NotebookRunnerComponent.load(None, None)\n"
        "except dagbook.DagbookError as error:\n    print(error)"
    )
    assert run_python(code) == f"{REASON}\n"
