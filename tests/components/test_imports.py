"""Who imports whom: arrows point down, and nobody pays for what somebody else needs."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import dagbook

PACKAGE = Path(str(dagbook.__file__)).parent
ROOT = Path(__file__).parents[2]

DAGSTER = {
    "dagster",
    "dagster_graphql",
    "dagster_pipes",
    "dagster_shared",
    "dagster_webserver",
    "dagstermill",
}
LAB = {"jupyter_server", "jupyterlab"}
KERNELS = {"papermill", "nbclient", "jupyter_client", "ipykernel", "zmq"}
DATA = {"mlflow", "pandas", "numpy", "sklearn", "matplotlib"}
FORMATS = {"nbformat", "jupytext", "nbconvert"}
DATABASES = {"sqlalchemy"}
# papermill loads it where there is one, to read notebooks from there.
AWS = {"boto3", "botocore"}
CLOUDS = AWS | {"hvac"}
EVERYTHING = DAGSTER | DATABASES | CLOUDS | LAB | KERNELS | DATA | FORMATS | {"IPython", "psutil"}


@dataclass(frozen=True)
class Layer:
    """What may be imported on one floor of the house.

    `loads` may be in memory once the layer's modules are imported; `names` may be imported at
    all, also inside a function; `below` are the layers its arrows may point to.
    """

    loads: frozenset[str]
    names: frozenset[str]
    below: frozenset[str]


def layer(*below: str, loads: set[str] | None = None, names: set[str] | None = None) -> Layer:
    loads = loads or set()
    return Layer(frozenset(loads), frozenset(loads | (names or set())), frozenset(below))


#: The house, from the ground up. A module that is not placed below is in the core.
LAYERS = {
    "core": layer(names=FORMATS),
    "policy": layer("core"),
    "credentials": layer("core", "policy", loads=CLOUDS),
    # papermill itself loads numpy where there is one.
    "ledger": layer("core", "policy", loads=DATABASES),
    # Of the credentials only what a run is given; `execution/ruff.toml` has the rest.
    "execution": layer(
        "core", "policy", "credentials", loads=KERNELS | FORMATS | AWS | {"psutil", "numpy"}
    ),
    "recorder": layer("core", "credentials", names={"mlflow"}),
    "sinks": layer(
        "core",
        "policy",
        "credentials",
        "execution",
        "recorder",
        loads=AWS,
        names={"mlflow"},
    ),
    "component": layer(
        "core",
        "policy",
        "credentials",
        "execution",
        "ledger",
        "recorder",
        "sinks",
        loads=DAGSTER | DATABASES | KERNELS | FORMATS | AWS | {"psutil"},
    ),
    # Works on a whole project and asks the component's class, but only once it is called.
    "project": layer("core", "policy", "component", names={"dagster"}),
    "services": layer("core", "policy", "ledger", loads={"psutil"}, names={"dagster"}),
    "commands": layer(
        "core",
        "policy",
        "credentials",
        "ledger",
        "execution",
        "sinks",
        "component",
        "project",
        "services",
        loads=KERNELS | FORMATS | AWS | {"psutil"},
        names={"dagster"},
    ),
}

PLACES = {
    "policy": "policy",
    "credentials": "credentials",
    "execution": "execution",
    "recorder": "recorder",
    "sinks": "sinks",
    "ledger": "ledger",
    "notebook_runner": "component",
    "location": "component",
    "location_conflicts": "component",
    "location_faults": "component",
    "location_trees": "component",
    "location_units": "component",
    "unavailable_component": "component",
    "catalogue": "project",
    "checked_things": "project",
    "component_files": "project",
    "component_fixes": "project",
    "component_keys": "project",
    "component_types": "project",
    "platform_in_force": "project",
    "scheduling": "project",
    "validation": "project",
    "services": "services",
    "cli": "commands",
    "sample_run": "commands",
    "tour": "commands",
    "__main__": "commands",
}

#: The only arrows that point up: front doors hand on what they are asked for.
UPWARD = {
    ("dagbook", "dagbook.policy.screening"),
    ("dagbook", "dagbook.notebook_runner"),
    ("dagbook", "dagbook.unavailable_component"),
    ("dagbook.front_door", "dagbook.unavailable_component"),
}

#: The one file that takes what Dagster does not publish, with its reason in it.
ADAPTERS = {"dagbook.location_trees"}

# Importing them runs the command.
NOT_IMPORTED = {"dagbook.__main__"}


def find_modules() -> Iterator[tuple[str, Path]]:
    """Every module of the package, by walking its folders."""
    for path in sorted(PACKAGE.rglob("*.py")):
        # A folder that is no package holds somebody's notebooks and their modules.
        packages = [folder for folder in path.parents if folder.is_relative_to(PACKAGE)]
        if all((folder / "__init__.py").exists() for folder in packages):
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


MODULES = dict(find_modules())


def layer_of(module: str) -> str:
    _, _, rest = module.partition(".")
    return PLACES.get(rest.split(".")[0], "core")


def imports_of(path: Path, module: str) -> Iterator[tuple[int, str]]:
    """What a file imports anywhere in it, with the line."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield node.lineno, full if full in MODULES else str(node.module)


def in_memory_after(*modules: str, ask: str = "") -> dict[str, list[str]]:
    """For each module, what its import brought into memory, in one fresh interpreter."""
    code = (
        "import importlib, json, sys\n"
        "found = {}\n"
        "for name in json.loads(sys.argv[1]):\n"
        "    before = set(sys.modules)\n"
        "    importlib.import_module(name)\n"
        f"    {ask or 'pass'}\n"
        "    found[name] = sorted({m.split('.')[0] for m in set(sys.modules) - before})\n"
        "print(json.dumps(found))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps(modules)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def test_the_walk_finds_the_package() -> None:
    assert {"dagbook", "dagbook.context", "dagbook.report", "dagbook.cli.up"} <= MODULES.keys()
    assert "dagbook.services.start" in MODULES


def test_every_place_is_a_module_there_is() -> None:
    there = {module.split(".")[1] for module in MODULES if "." in module}
    assert PLACES.keys() <= there
    assert set(PLACES.values()) <= LAYERS.keys()


@pytest.mark.parametrize("name", LAYERS)
def test_importing_a_layer_loads_nothing_it_may_not(name: str) -> None:
    modules = [m for m in MODULES if layer_of(m) == name and m not in NOT_IMPORTED]
    if name == "execution":
        # It loads its registered engines, ours among them, and finds ours half made otherwise.
        modules.insert(0, "papermill")
    loaded = in_memory_after(*modules)
    too_much = {
        module: sorted((EVERYTHING - LAYERS[name].loads).intersection(brought))
        for module, brought in loaded.items()
    }
    assert {module: names for module, names in too_much.items() if names} == {}


@pytest.mark.parametrize("module", MODULES)
def test_arrows_point_down(module: str) -> None:
    own = layer_of(module)
    wrong = [
        f"{MODULES[module].relative_to(ROOT)}:{line} imports {imported}"
        for line, imported in imports_of(MODULES[module], module)
        if imported.split(".")[0] == "dagbook"
        and layer_of(imported) not in {own} | LAYERS[own].below
        and (module, imported) not in UPWARD
    ]
    assert wrong == []


@pytest.mark.parametrize("module", MODULES)
def test_no_module_names_what_its_layer_may_not_use(module: str) -> None:
    banned = EVERYTHING - LAYERS[layer_of(module)].names
    wrong = [
        f"{MODULES[module].relative_to(ROOT)}:{line} imports {imported}"
        for line, imported in imports_of(MODULES[module], module)
        if imported.split(".")[0] in banned | {"dagbook_lab", "dagbook_magics"}
        or (imported.startswith(("dagster._", "dagster_shared")) and module not in ADAPTERS)
    ]
    assert wrong == []


def test_the_front_door_takes_nothing_but_the_standard_library() -> None:
    loaded = in_memory_after("dagbook")["dagbook"]
    assert set(loaded) - set(sys.stdlib_module_names) == {"dagbook"}


def test_what_a_notebook_uses_takes_nothing_but_the_standard_library() -> None:
    use = (
        "import dagbook; dagbook.context.run_date; dagbook.log_metric('a', 1);"
        " dagbook.log_metrics({'b': 2.0}); dagbook.DagbookError('x'); dir(dagbook)"
    )
    loaded = in_memory_after("dagbook", ask=use)["dagbook"]
    assert set(loaded) - set(sys.stdlib_module_names) == {"dagbook"}


def test_dagbook_is_loaded_alone() -> None:
    code = "import sys, dagbook; print(sorted(m for m in sys.modules if m.startswith('dagbook')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['dagbook']\n"


# The linter says the same while one types


@pytest.fixture(scope="module")
def copy_of_settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The linter's settings of the repository, without its code."""
    copy = tmp_path_factory.mktemp("repository")
    settings = [ROOT / "pyproject.toml", *PACKAGE.rglob("ruff.toml")]
    for path in settings:
        target = copy / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    return copy


VIOLATIONS = [
    ("core_module.py", "import dagster as dg"),
    ("core_module.py", "from dagster import asset"),
    ("core_module.py", "import dagster_shared.serdes"),
    ("core_module.py", "from IPython.core.magic import Magics"),
    ("core_module.py", "from jupyter_client import KernelManager"),
    ("core_module.py", "import papermill"),
    ("core_module.py", "import mlflow"),
    ("core_module.py", "import pandas as pd"),
    ("core_module.py", "from dagbook.execution import run_notebook"),
    ("core_module.py", "from dagbook import notebook_runner"),
    ("core_module.py", "import dagbook_lab"),
    ("policy/rules.py", "import dagster"),
    ("policy/rules.py", "from dagbook.execution import run_notebook"),
    ("ledger/audit.py", "import dagster"),
    ("ledger/audit.py", "from dagbook.execution import run_notebook"),
    ("credentials/vault.py", "import dagster"),
    ("credentials/fetching.py", "from dagbook.execution import run_notebook"),
    ("execution/engine.py", "import dagster"),
    ("execution/engine.py", "from dagbook.notebook_runner import component"),
    ("execution/engine.py", "import mlflow"),
    ("recorder/server.py", "import dagster"),
    ("recorder/server.py", "from dagbook.sinks import delivery"),
    ("execution/plan.py", "from dagbook.credentials.fetching import fetch"),
    ("sinks/mlflow.py", "import dagster"),
    ("notebook_runner/step.py", "from dagster._core.errors import DagsterError"),
    ("notebook_runner/step.py", "import papermill"),
    ("services/start.py", "from dagbook.cli import main"),
    ("services/start.py", "from dagster._grpc.client import DagsterGrpcClient"),
    ("cli/run.py", "import dagster"),
]


@pytest.mark.parametrize("place", ["at the top", "in a function"])
@pytest.mark.parametrize(
    ("file", "statement"), VIOLATIONS, ids=[f"{f}: {s}" for f, s in VIOLATIONS]
)
def test_the_linter_catches(copy_of_settings: Path, file: str, statement: str, place: str) -> None:
    text = f"{statement}\n" if place == "at the top" else f"def use():\n    {statement}\n"
    path = copy_of_settings / "components" / "dagbook" / file
    assert "TID251" in lint(path, text)


@pytest.mark.parametrize(
    ("file", "statement"),
    [
        ("services/start.py", "from dagster import DagsterInstance"),
        ("recorder/embedded.py", "import mlflow"),
        ("sinks/mlflow.py", "import mlflow"),
        ("cli/up.py", "from dagbook.services import start_services"),
    ],
)
def test_the_linter_catches_what_must_be_imported_late(
    copy_of_settings: Path, file: str, statement: str
) -> None:
    path = copy_of_settings / "components" / "dagbook" / file
    assert lint(path, f"{statement}\n") == ["TID253"]
    assert lint(path, f"def use():\n    {statement}\n") == []


@pytest.mark.parametrize(
    ("file", "statement"),
    [
        ("core_module.py", "from dagbook.errors import DagbookError"),
        ("execution/engine.py", "import papermill"),
        ("notebook_runner/step.py", "import dagster as dg"),
        ("location.py", "import dagster as dg"),
    ],
)
def test_the_linter_lets_arrows_point_down(
    copy_of_settings: Path, file: str, statement: str
) -> None:
    path = copy_of_settings / "components" / "dagbook" / file
    assert lint(path, f"{statement}\n") == []


def lint(path: Path, text: str) -> list[str]:
    """The rules of imports that a file with this text would break."""
    command = [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format", "json"]
    command += ["--select", "TID251,TID253", "--stdin-filename", str(path), "-"]
    done = subprocess.run(
        command,
        input=text,
        capture_output=True,
        text=True,
        cwd=path.parents[2],
    )
    assert done.stderr == "", done.stderr
    return [violation["code"] for violation in json.loads(done.stdout)]
