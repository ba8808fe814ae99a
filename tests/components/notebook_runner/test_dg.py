"""The component through `dg`, as a platform team meets it, and in an ordinary Dagster project."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from dagbook.errors import DagbookError
from dagbook.notebook_runner import NotebookRunnerComponent

if TYPE_CHECKING:
    from conftest import Workbench

Dg = Callable[..., str]


@pytest.fixture
def run_dg(bench: Workbench, tmp_path: Path) -> Dg:
    """Runs `dg` in the project and gives what it printed."""
    home = tmp_path / "dagster_home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")

    def run(*words: str, cwd: Path = bench.root, status: int = 0) -> str:
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(home),
            # No box drawing that breaks words at the terminal's width.
            "COLUMNS": "200",
            "NO_COLOR": "1",
        }
        done = subprocess.run(
            [str(Path(sys.executable).with_name("dg")), *words],
            cwd=cwd,
            env=environment,
            capture_output=True,
            text=True,
            timeout=240,
        )
        output = done.stdout + done.stderr
        assert done.returncode == status, output
        return output

    return run


def test_a_project_without_python_is_listed_scaffolded_and_checked(
    bench: Workbench, run_dg: Dg
) -> None:
    bench.notebook("churn.ipynb", [("rate = 1.0", ["parameters"]), "1"])

    listed = run_dg("list", "components")
    run_dg(
        *("scaffold", "defs", "dagbook.NotebookRunnerComponent", "churn"),
        *("--notebook", "churn.ipynb"),
    )
    written = (bench.project.defs_folder / "churn" / "defs.yaml").read_text()
    # `on` without quotes is a truth value in YAML 1.1.
    bench.component(
        "other", "notebook: churn.ipynb\nretries: {on: [error]}\nparameters: {rate: 2.0}"
    )
    checked = run_dg("check", "yaml")
    loaded = run_dg("check", "defs")

    assert "dagbook.NotebookRunnerComponent" in listed
    assert "Runs a Jupyter notebook as an asset" in listed
    assert written.split() == [
        *("type:", "dagbook.NotebookRunnerComponent"),
        *("attributes:", "notebook:", "churn.ipynb"),
    ]
    assert "All component YAML validated successfully." in checked
    assert "All definitions loaded successfully." in loaded


def test_an_ordinary_project_runs_it_by_dg_launch(
    bench: Workbench, run_dg: Dg, tmp_path: Path
) -> None:
    root = tmp_path / "ordinary"
    package = root / "src" / "ordinary"
    (package / "defs" / "models" / "churn").mkdir(parents=True)
    (root / "pyproject.toml").write_text(
        '[project]\nname = "ordinary"\nversion = "0"\n'
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "ordinary"\n'
    )
    (package / "__init__.py").write_text("")
    (package / "defs" / "__init__.py").write_text("")
    (package / "definitions.py").write_text(
        "from pathlib import Path\nimport dagster as dg\n\n\n@dg.definitions\ndef defs():\n"
        "    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)\n"
    )
    (package / "defs" / "table.py").write_text(
        "import dagster as dg\n\n\n@dg.asset\ndef table() -> None: ...\n"
    )
    (package / "defs" / "models" / "churn" / "defs.yaml").write_text(
        "type: dagbook.NotebookRunnerComponent\nattributes:\n"
        "  notebook: notebooks/churn.ipynb\n  deps: [table]\n"
    )
    elsewhere = bench.notebook("churn.ipynb", ["print('hello')"])
    (root / "notebooks").mkdir()
    elsewhere.rename(root / "notebooks" / "churn.ipynb")
    (root / ".env").write_text(f"PYTHONPATH={root / 'src'}\n")
    os.environ["PYTHONPATH"] = str(root / "src")
    try:
        launched = run_dg("launch", "--assets", "models/churn", cwd=root)
    finally:
        del os.environ["PYTHONPATH"]

    assert "RUN_SUCCESS" in launched
    assert len(list((root / "runs" / "models" / "churn").glob("*-succeeded.ipynb"))) == 1


def test_the_scaffolder_writes_what_it_is_given_and_finds_the_notebook_from_where_one_is(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.notebook("models/churn.ipynb", ["1"])
    target = bench.project.defs_folder / "churn"
    target.mkdir()
    monkeypatch.chdir(bench.root / "models")

    _scaffold(bench, target, "churn.ipynb", schedule="0 6 * * *", timezone="Europe/Berlin")

    assert (target / "defs.yaml").read_text() == (
        "type: dagbook.NotebookRunnerComponent\n\nattributes:\n  notebook: models/churn.ipynb\n"
        "  schedule:\n    cron: 0 6 * * *\n    timezone: Europe/Berlin\n"
    )
    assert bench.spec("churn").metadata["schedule"] == "0 6 * * * (Europe/Berlin)"


def test_a_company_builds_on_the_component(bench: Workbench) -> None:
    ran = []

    class Company(NotebookRunnerComponent):
        """The company's own."""

        cost_centre: str = "none"

        def execute(self, context, asset):  # type: ignore[no-untyped-def]
            ran.append(self.cost_centre)
            yield from super().execute(context, asset)

    bench.notebook("n.ipynb", ["1"])
    bench.component("other", "notebook: n.ipynb")
    component = Company.from_attributes_dict(
        attributes={"notebook": "n.ipynb", "key": "n", "cost_centre": "r-and-d"},
        context=_context(bench),
    )
    defs = component.build_defs(_context(bench))

    result = dg.materialize([defs.resolve_assets_def("n")], instance=bench.instance)

    assert result.success
    assert ran == ["r-and-d"]
    with pytest.raises(DagbookError) as error:
        Company(notebook="n.ipynb").build_defs(_context(bench))
    assert str(error.value) == (
        "NotebookRunnerComponent: outside a `defs` folder a component needs a `key`"
    )


def test_the_component_is_made_in_python_as_well(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    (bench.project.defs_folder / "made.py").write_text(
        "import dagster as dg\n"
        "from dagbook import NotebookRunnerComponent\n\n\n"
        "@dg.component_instance\n"
        "def first(context):\n"
        "    return NotebookRunnerComponent(notebook='n.ipynb', schedule='0 6 * * *')\n\n\n"
        "@dg.component_instance\n"
        "def second(context):\n"
        "    return NotebookRunnerComponent(notebook='n.ipynb')\n"
    )

    keys = {key.to_user_string() for key in bench.load().resolve_all_asset_keys()}

    assert keys == {"first", "second"}


def _scaffold(bench: Workbench, target: Path, notebook: str, **more: str) -> None:
    from dagbook.notebook_runner.scaffolder import NotebookRunnerScaffolder, ScaffoldParams

    NotebookRunnerScaffolder().scaffold(
        dg.ScaffoldRequest(
            type_name="dagbook.NotebookRunnerComponent",
            target_path=target,
            scaffold_format="yaml",
            project_root=bench.root,
            params=ScaffoldParams(notebook=notebook, **more),
        )
    )


def _context(bench: Workbench) -> dg.ComponentLoadContext:
    from types import ModuleType

    module = ModuleType("anything.defs")
    module.__file__ = None
    module.__path__ = [str(bench.project.defs_folder)]
    return dg.ComponentTree.from_module(defs_module=module, project_root=bench.root).load_context
