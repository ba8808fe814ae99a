"""What `engine: dagstermill` cannot do is refused, and never ignored."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dagbook.notebook_runner import dagstermill_adapter, dagstermill_problems
from dagbook.notebook_runner.checks import find_problems

if TYPE_CHECKING:
    from conftest import Cell, Workbench


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here runs a notebook: whether dagstermill is there is the last test's business."""
    monkeypatch.setattr(dagstermill_problems, "is_installed", lambda: True)


def problems(bench: Workbench, **attributes: Any) -> list[str]:
    given = {"notebook": "n.ipynb", "engine": "dagstermill", **attributes}
    return [str(problem) for problem in find_problems(given, bench.root)]


def test_credentials_are_refused_which_its_kernel_could_not_keep_to_itself(
    bench: Workbench,
) -> None:
    bench.notebook("n.ipynb", ["1"])
    assert problems(bench, resources={"database": "analytics_prod"})[0] == (
        "resources: dagstermill's kernel has the whole deployment's environment, so credentials "
        "cannot be kept to one run: take `engine: dagstermill` out, or `resources`"
    )


@pytest.mark.parametrize(
    ("attributes", "text"),
    [
        (
            {"kernel": "python3"},
            "kernel: dagstermill takes the notebook's own kernel: set it in the notebook",
        ),
        (
            {"timeout": 60},
            "timeout: dagstermill knows no limit for a cell: use `limits: {max_runtime_hours: …}`",
        ),
        (
            {"monitoring": {"track_metrics": ["runtime", "gpu_memory"]}},
            "monitoring.track_metrics.1: `gpu_memory` is not measured under `engine: dagstermill`",
        ),
        (
            {"dagstermill": {"inputs": {"not a name": "raw/a"}}},
            "dagstermill.inputs.not a name: 'not a name' cannot be the name of an input: choose "
            "another variable",
        ),
        (
            {"dagstermill": {"inputs": {"config": "raw/a"}}},
            "dagstermill.inputs.config: 'config' cannot be the name of an input: choose another "
            "variable",
        ),
        (
            {"dagstermill": {"inputs": {"__dm_x": "raw/a"}}},
            "dagstermill.inputs.__dm_x: '__dm_x' is taken: names that begin so are dagstermill's "
            "or ours",
        ),
        (
            {"dagstermill": {"inputs": {"a": "raw/a"}}, "deps": ["raw/a"]},
            "dagstermill.inputs.a: `raw/a` stands in `deps` too: an input comes before anyway",
        ),
        (
            {"dagstermill": {"inputs": {"a": "raw/a", "b": "raw/a"}}},
            "dagstermill.inputs.b: `raw/a` is the input `a` already",
        ),
        (
            {"dagstermill": {"inputs": {"a": "raw//a"}}},
            "dagstermill.inputs.a: 'raw//a' is no asset key: between its slashes use letters, "
            "digits, _ and -",
        ),
        (
            {"dagstermill": {"resources": ["a"]}},
            "dagstermill.resources: unknown key. Did you mean `resource_keys`? Known: "
            "resource_keys, io_manager_key, inputs",
        ),
        (
            {"engine": "dagbook", "dagstermill": {"resource_keys": ["a"]}},
            "dagstermill: is for `engine: dagstermill` only: write that too, or delete it",
        ),
        (
            {"engine": "dagstermil"},
            "engine: 'dagstermil' is not known. Did you mean `dagstermill`? Known: dagstermill, "
            "dagbook",
        ),
    ],
    ids=str,
)
def test_a_setting_it_would_ignore_is_refused(
    bench: Workbench, attributes: dict[str, Any], text: str
) -> None:
    bench.notebook("n.ipynb", ["1"])

    assert problems(bench, **attributes) == [text]


def test_it_reads_no_text_notebooks(bench: Workbench) -> None:
    (bench.root / "n.py").write_text("# %%\n1\n")

    assert problems(bench, notebook="n.py") == ["notebook: 'n.py': dagstermill reads .ipynb only"]


@pytest.mark.parametrize(
    ("cells", "text"),
    [
        ([("x = 1", ["metrics"])], "cell 1: `metrics` does nothing under `engine: dagstermill`"),
        (
            ["1", ("assert True", ["check:rows"])],
            "cell 2: `check:rows` does nothing under `engine: dagstermill`",
        ),
        ([("x = 1", ["result:x"])], "cell 1: `result:x` does nothing under `engine: dagstermill`"),
        (
            [("1", ["skip"])],
            "cell 1: dagstermill leaves a cell out only with the tag skip-execution",
        ),
        (
            ["# dagster: parameters\nx = 1"],
            "cell 1: dagstermill knows the parameters cell by its tag: set it",
        ),
        (
            ["import dagbook\ndagbook.log_metric('a', 1)"],
            "cell 1, line 2: `dagbook.log_metric` knows nothing of a run under "
            "`engine: dagstermill`",
        ),
        (
            ["from dagbook import context"],
            "cell 1, line 1: `dagbook.context` knows nothing of a run under `engine: dagstermill`",
        ),
    ],
    ids=["metrics", "check", "result", "skip", "parameters", "log_metric", "context"],
)
def test_a_cell_it_would_run_past_is_refused(
    bench: Workbench, cells: list[Cell], text: str
) -> None:
    bench.notebook("n.ipynb", cells)

    assert problems(bench) == [f"notebook: {text}"]


def test_what_dagstermill_knows_of_is_fine(bench: Workbench) -> None:
    bench.notebook(
        "n.ipynb",
        [
            ("context = dagstermill.get_context(op_config={'a': 1})", ["parameters"]),
            ("1", ["skip-execution"]),
        ],
    )
    given = {"parameters": {"a": 1, "b": "{{ run_id }}"}, "experiment": {"name": "x"}}

    assert problems(bench, **given) == []
    assert problems(bench, parameters={"a": "{{ partition_key }}"}) == [
        "parameters.a: `{{ partition_key }}` needs `partitions`, which this notebook has not"
    ]


def test_an_input_of_its_own_value_is_a_circle(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component("a", "notebook: n.ipynb\nengine: dagstermill\ndagstermill: {inputs: {x: b}}")
    bench.component("b", "notebook: n.ipynb\ndeps: [a]")

    texts = [spec.description or "" for spec in bench.load().resolve_all_asset_specs()]

    assert all("lead back to itself" in text for text in texts)


def test_where_dagstermill_is_missing_the_component_is_set_aside_with_one_line(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_spec = importlib.util.find_spec

    def without_dagstermill(name: str, package: str | None = None) -> Any:
        return None if name == "dagstermill" else find_spec(name, package)

    monkeypatch.setattr(importlib.util, "find_spec", without_dagstermill)
    monkeypatch.setattr(dagstermill_problems, "is_installed", dagstermill_adapter.is_installed)
    bench.notebook("n.ipynb", ["1"])
    file = bench.component("n", "notebook: n.ipynb\nengine: dagstermill")
    bench.component("other", "notebook: n.ipynb")

    spec = bench.spec("n")

    assert spec.kinds == {"error"}
    assert spec.metadata["line"].value == 4
    assert spec.description == (
        f"Set aside, because it cannot be loaded: {file}:4: engine: `dagstermill` needs "
        "dagstermill: pip install 'dagbook[dagstermill]'"
    )
    assert bench.spec("other").kinds == {"jupyter"}
    assert Path(spec.metadata["file"].value) == file
