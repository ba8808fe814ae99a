"""`dagbook.context`: the run's values in a run, sample values everywhere else."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

import dagbook
from dagbook.context import CONTEXT_NAMES, RUN_FOLDER_VARIABLE
from dagbook.errors import DagbookError

RUN = {
    "run_id": "6f1c2a",
    "partition_key": "2026-03-01",
    "data_interval_start": "2026-03-01T00:00:00+01:00",
    "data_interval_end": "2026-03-02T00:00:00+01:00",
    "run_date": "2026-03-02",
    "experiment_id": "17",
    "environment": "prod",
    "attempt": 2,
    "asset_key": "models/churn",
    "notebook": "models/churn.ipynb",
    "parameters": {"model_version": "v2.3", "layers": [16, 8]},
}


@pytest.fixture(autouse=True)
def _outside_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(RUN_FOLDER_VARIABLE, raising=False)
    monkeypatch.delenv("DAGBOOK_ENVIRONMENT", raising=False)


@pytest.fixture
def run_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "run-6f1c2a"
    folder.mkdir()
    monkeypatch.setenv(RUN_FOLDER_VARIABLE, str(folder))
    return folder


def write_context(folder: Path, values: Any) -> None:
    (folder / "context.json").write_text(json.dumps(values))


def test_a_run_gives_its_own_values(run_folder: Path) -> None:
    write_context(run_folder, RUN)
    assert dagbook.context.in_run
    assert {name: getattr(dagbook.context, name) for name in RUN} == RUN


def test_what_a_run_does_not_have_is_none(run_folder: Path) -> None:
    write_context(run_folder, {"run_id": "a", "run_date": "2026-03-02", "partition_key": None})
    assert dagbook.context.partition_key is None
    assert dagbook.context.data_interval_start is None
    assert dagbook.context.data_interval_end is None
    assert dagbook.context.experiment_id is None
    assert dagbook.context.asset_key is None
    assert dagbook.context.notebook is None
    assert dagbook.context.parameters == {}
    assert dagbook.context.attempt == 1
    assert dagbook.context.environment == "dev"


def test_a_run_without_a_name_is_called_after_its_folder(run_folder: Path) -> None:
    write_context(run_folder, {})
    assert dagbook.context.run_id == "run-6f1c2a"


def test_the_parts_of_an_asset_key_are_joined(run_folder: Path) -> None:
    write_context(run_folder, {"asset_key": ["models", "churn"]})
    assert dagbook.context.asset_key == "models/churn"


def test_the_environment_comes_from_the_deployment(
    run_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGBOOK_ENVIRONMENT", "staging")
    write_context(run_folder, {})
    assert dagbook.context.environment == "staging"


def test_changing_the_parameters_changes_a_copy(run_folder: Path) -> None:
    write_context(run_folder, RUN)
    dagbook.context.parameters["layers"].append(4)
    assert dagbook.context.parameters == RUN["parameters"]


def test_a_run_without_its_context_is_an_error_not_a_sample(run_folder: Path) -> None:
    with pytest.raises(DagbookError) as raised:
        _ = dagbook.context.run_date
    path = run_folder / "context.json"
    assert str(raised.value) == (
        f"cannot read what this run is about: {path}: No such file or directory"
    )


@pytest.mark.parametrize(
    ("text", "reason"), [("{", "is not JSON"), ("[]", "is not a JSON object")], ids=["torn", "list"]
)
def test_a_broken_context_is_an_error(run_folder: Path, text: str, reason: str) -> None:
    path = run_folder / "context.json"
    path.write_text(text)
    with pytest.raises(DagbookError) as raised:
        _ = dagbook.context.partition_key
    assert str(raised.value) == f"cannot read what this run is about: {path} {reason}"


def test_outside_a_run_the_values_are_samples_of_yesterday() -> None:
    context = dagbook.context
    today = date.today()
    start = datetime.fromisoformat(str(context.data_interval_start))
    end = datetime.fromisoformat(str(context.data_interval_end))
    assert not context.in_run
    assert context.run_id == "sample"
    assert context.run_date == today.isoformat()
    assert context.partition_key == (today - timedelta(days=1)).isoformat()
    assert (start.date(), end.date()) == (today - timedelta(days=1), today)
    assert start.tzinfo is not None and end.tzinfo is not None
    assert context.environment == "dev"
    assert context.attempt == 1
    assert context.parameters == {}


def test_every_sample_has_the_type_of_the_real_value(run_folder: Path) -> None:
    write_context(run_folder, RUN)
    real = {name: type(getattr(dagbook.context, name)) for name in CONTEXT_NAMES}
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(RUN_FOLDER_VARIABLE)
        samples = {name: type(getattr(dagbook.context, name)) for name in CONTEXT_NAMES}
    assert samples == real


def test_the_sample_environment_follows_the_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGBOOK_ENVIRONMENT", "staging")
    assert dagbook.context.environment == "staging"


def test_an_unknown_name_lists_the_right_ones_nearest_first() -> None:
    with pytest.raises(AttributeError) as raised:
        _ = dagbook.context.data_interval_begin  # type: ignore[attr-defined]
    assert isinstance(raised.value, DagbookError)
    assert str(raised.value) == (
        "dagbook.context has no `data_interval_begin`. Did you mean `data_interval_end`? Known: "
        "data_interval_end, data_interval_start, parameters, in_run, attempt, notebook, "
        "run_date, asset_key, partition_key, environment, experiment_id, run_id"
    )


def test_hasattr_and_getattr_with_a_default_work() -> None:
    assert not hasattr(dagbook.context, "team")
    assert getattr(dagbook.context, "team", "nobody") == "nobody"
    assert not hasattr(dagbook.context, "_repr_html_")


def test_the_values_cannot_be_set() -> None:
    with pytest.raises(AttributeError):
        dagbook.context.run_id = "mine"


def test_a_missing_parameter_names_the_nearest_given_one(run_folder: Path) -> None:
    write_context(run_folder, RUN)
    with pytest.raises(KeyError) as raised:
        _ = dagbook.context.parameters["model_versoin"]
    assert str(raised.value) == (
        "this run was given no parameter `model_versoin`. Did you mean `model_version`? "
        "Known: model_version, layers"
    )


def test_a_parameter_outside_a_run_points_to_the_variable() -> None:
    with pytest.raises(DagbookError) as raised:
        _ = dagbook.context.parameters["model_version"]
    assert str(raised.value) == (
        "there are no given parameters outside a run: use the variable `model_version` of the "
        "parameters cell, it holds the given value in a run"
    )


def test_it_shows_all_values_and_says_that_they_are_samples(run_folder: Path) -> None:
    write_context(run_folder, RUN)
    lines = repr(dagbook.context).splitlines()
    assert lines[0] == "dagbook.context"
    assert [line.split()[0] for line in lines[1:]] == list(CONTEXT_NAMES)
    assert "  partition_key        '2026-03-01'" in lines
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(RUN_FOLDER_VARIABLE)
        first = repr(dagbook.context).splitlines()[0]
    assert first == "dagbook.context: sample values, this is not a run"


def test_all_ways_to_import_it_give_the_same_object() -> None:
    code = (
        "import dagbook; first = dagbook.context\n"
        "import dagbook.context\n"
        "from dagbook import context\n"
        "assert first is dagbook.context is context, (first, context)\n"
        "print(context.run_id, sorted(dir(context)) == sorted(dir(first)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "sample True\n"


def test_a_type_checker_sees_exactly_the_names_there_are() -> None:
    source = Path(str(sys.modules["dagbook.context"].__file__)).read_text()
    block = source.split("if TYPE_CHECKING:")[1].split("ENVIRONMENT_VARIABLE")[0]
    declared = dict(re.findall(r"^    (\w+): (.+)$", block, re.M))
    served = {
        name: str(value.fget.__annotations__["return"])
        for name, value in vars(type(dagbook.context)).items()
        if isinstance(value, property)
    }
    assert declared == served


def test_the_same_cell_runs_in_lab_and_in_a_run(run_folder: Path) -> None:
    write_context(run_folder, RUN)
    cell = (
        "import dagbook\n"
        "from datetime import datetime\n"
        "start = datetime.fromisoformat(dagbook.context.data_interval_start)\n"
        "print(dagbook.context.in_run, start.tzinfo is not None)"
    )
    in_run = execute(cell)
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(RUN_FOLDER_VARIABLE)
        in_lab = execute(cell)
    assert in_run == [{"output_type": "stream", "name": "stdout", "text": "True True\n"}]
    assert in_lab == [{"output_type": "stream", "name": "stdout", "text": "False True\n"}]


def test_a_wrong_name_in_a_notebook_is_one_line() -> None:
    (error,) = execute("import dagbook\ndagbook.context.partition", allow_errors=True)
    assert error["ename"] == "UnknownName"
    assert error["traceback"] == [f"UnknownName: {error['evalue']}"]
    assert error["evalue"].startswith(
        "dagbook.context has no `partition`. Did you mean `partition_key`?"
    )


def execute(source: str, *, allow_errors: bool = False) -> list[Any]:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, kernel_name="python3", allow_errors=allow_errors).execute()
    return list(notebook.cells[0].outputs)
