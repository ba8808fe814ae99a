"""What is taken of dagstermill without its offering it. These fail when it moves."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path

import pytest

from dagbook.notebook_runner import dagstermill_adapter

pytestmark = pytest.mark.needs("dagstermill")


def in_a_process(code: str) -> object:
    """What a fresh interpreter prints as JSON: an import shows what it does only once."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


FIND = "papermill_translators.find_translator('python3', 'python').__name__"


def test_its_import_takes_papermills_translator_away_and_ours_puts_it_back() -> None:
    found = in_a_process(
        "import json\n"
        "from papermill.translators import papermill_translators\n"
        f"names = [{FIND}]\n"
        "import dagstermill\n"
        f"names.append({FIND})\n"
        "from dagbook.notebook_runner.dagstermill_adapter import load_dagstermill\n"
        "load_dagstermill()\n"
        f"names.append({FIND})\n"
        "print(json.dumps(names))"
    )
    assert found == ["PythonTranslator", "DagsterTranslator", "PythonTranslator"]


def test_a_translator_that_somebody_else_registered_stays() -> None:
    found = in_a_process(
        "import json\n"
        "from papermill.translators import PythonTranslator, papermill_translators\n"
        "class Own(PythonTranslator): pass\n"
        "from dagbook.notebook_runner.dagstermill_adapter import load_dagstermill\n"
        "load_dagstermill()\n"
        "papermill_translators.register('python', Own)\n"
        "load_dagstermill()\n"
        f"print(json.dumps({FIND}))"
    )
    assert found == "Own"


def test_the_function_of_its_asset_is_where_it_is_looked_for() -> None:
    dagstermill = dagstermill_adapter.load_dagstermill()
    with dagstermill_adapter.without_beta_warnings():
        asset = dagstermill.define_dagstermill_asset(
            name="a", notebook_path="a.ipynb", save_notebook_on_failure=True
        )
    compute = asset.op.compute_fn.decorated_fn

    assert inspect.isgeneratorfunction(compute)
    parameters = list(inspect.signature(compute).parameters.values())
    assert [(p.name, p.kind.name) for p in parameters] == [
        ("context", "POSITIONAL_OR_KEYWORD"),
        ("inputs", "VAR_KEYWORD"),
    ]


def test_it_reads_of_the_context_what_is_replaced_in_it() -> None:
    dagstermill = dagstermill_adapter.load_dagstermill()
    package = Path(dagstermill.__file__).parent
    function = (package / "asset_factory.py").read_text()
    runner = (package / "factory.py").read_text()

    assert "context.get_step_execution_context()" in function
    assert "inputs=inputs" in function
    assert '"run_config": step_context.run_config' in runner
    assert 'parameters["__dm_input_names"] = list(inputs.keys())' in runner
    assert "step_context.instance.storage_directory()" in runner
    # It calls its own translator and does not miss the one it had registered.
    assert "DagsterTranslator.codify(parameters)" in runner


def test_its_pins_hold_the_kernels_packages_back() -> None:
    """Once this fails, one environment is enough: see `make test-dagstermill`."""
    from importlib.metadata import version

    assert version("jupyter-client").startswith("7.")
    assert version("ipykernel").startswith("6.")
