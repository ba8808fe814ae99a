"""The notebooks of papermill's own tests come out alike by its engine and by ours.

papermill runs in a process of its own, beside ours: it is the yardstick, and knows nothing of us.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest

from dagbook.errors import DagbookError
from dagbook.execution import run_notebook

NOTEBOOKS = Path(papermill.__file__).parent / "tests" / "notebooks"

#: What papermill's tests give the notebooks.
PARAMETERS: dict[str, dict[str, Any]] = {
    "simple_execute.ipynb": {"msg": "Hello"},
    "s3/s3_in/s3-simple_notebook.ipynb": {"msg": "Hello"},
    "report_mode_test.ipynb": {"a": 3},
    "nb_version_4.4.ipynb": {"var": 4},
}
#: Seconds a cell may take, where somebody would interrupt it.
CELL_SECONDS = {"keyboard_interrupt.ipynb": 1}

#: The same outputs and the same verdict.
ALIKE = [
    "broken.ipynb",
    "broken1.ipynb",
    "broken2.ipynb",
    "gcs/gcs_in/gcs-simple_notebook.ipynb",
    "keyboard_interrupt.ipynb",
    "nb_version_4.4.ipynb",
    "read_check.ipynb",
    "report_mode_test.ipynb",
    "result_no_exec.ipynb",
    "s3/s3_in/s3-simple_notebook.ipynb",
    "simple_execute.ipynb",
    "sysexit.ipynb",
    "sysexit0.ipynb",
    "sysexit1.ipynb",
    "systemexit.ipynb",
    "test_autosave.ipynb",
    "test_logging.ipynb",
    "test_notebooknode_io.ipynb",
]
#: Those of them that `papermill --engine dagbook` runs here as well. The others would show the
#: same: every run of ours goes through papermill.
THROUGH_PAPERMILL = {
    "broken1.ipynb",
    "report_mode_test.ipynb",
    "s3/s3_in/s3-simple_notebook.ipynb",
    "sysexit1.ipynb",
    "systemexit.ipynb",
}
#: Where they differ, why, and what each says. The tests below look at every one.
DIFFERENT = {
    "blank-vscode.ipynb": "names no kernel: papermill refuses it, ours takes Python's own",
    "complex_parameters.ipynb": "its parameters cell is not Python (papermill only inspects it): "
    "papermill fails in the cell, ours refuses it before a kernel starts",
    "line_magic_error.ipynb": "a magic that does not exist: the kernel prints it and sends no "
    "error. Both fail; ours keeps the error in the cell, where papermill's cell shows none",
    "no_parameters.ipynb": "`msg` is given and no cell declares it: papermill warns and runs "
    "without, ours refuses it; `papermill --engine dagbook` does as papermill does",
    "notimplemented_translator.ipynb": "asks for a kernel that is not installed: both refuse it, "
    "ours with the names of those that are",
}
#: Not run, and why.
LEFT_OUT = {
    "binder.ipynb": "starts papermill on another of these notebooks, by its path in papermill's "
    "repository",
}

Cells = list[dict[str, Any]]

# Run by a Python of its own: what each notebook came to, a line each.
YARDSTICK = """
import json, sys
import nbformat, papermill
for line in json.loads(sys.argv[1]):
    name, path, out, parameters, seconds = line
    try:
        papermill.execute_notebook(
            path, out, parameters, engine_name="nbclient", progress_bar=False,
            cwd=path.rpartition("/")[0], execution_timeout=seconds,
        )
        error = None
    except Exception as raised:
        error = type(raised).__name__
    print(json.dumps([name, error]), flush=True)
"""

Yardstick = Callable[[str], tuple[str | None, Path]]


def test_every_notebook_of_papermills_tests_is_accounted_for() -> None:
    there = {path.relative_to(NOTEBOOKS).as_posix() for path in NOTEBOOKS.rglob("*.ipynb")}
    assert there == {*ALIKE, *DIFFERENT, *LEFT_OUT}
    assert len(ALIKE) + len(DIFFERENT) + len(LEFT_OUT) == len(there)
    assert set(ALIKE) >= THROUGH_PAPERMILL


@pytest.fixture(scope="module")
def notebooks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("papermill") / "notebooks"
    shutil.copytree(NOTEBOOKS, folder)
    (folder / "check.txt").write_text("read_check.ipynb looks for it")
    slow = folder / "gcs/gcs_in/gcs-simple_notebook.ipynb"
    slow.write_text(slow.read_text("utf-8").replace("time.sleep(10)", "time.sleep(0)"), "utf-8")
    return folder


@pytest.fixture(scope="module")
def by_papermill(notebooks: Path) -> Iterator[Yardstick]:
    """What papermill made of a notebook: the error it raised, and the notebook it wrote."""
    orders = []
    for name in [*ALIKE, *DIFFERENT]:
        path = notebooks / name
        out = notebooks / "by-papermill" / name
        out.parent.mkdir(parents=True, exist_ok=True)
        given = PARAMETERS.get(name, {"msg": "Hello"} if name == "no_parameters.ipynb" else {})
        orders.append([name, str(path), str(out), given, CELL_SECONDS.get(name)])
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", YARDSTICK, json.dumps(orders)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    told: dict[str, str | None] = {}

    def result(name: str) -> tuple[str | None, Path]:
        while name not in told:
            line = process.stdout.readline()
            assert line, f"papermill's process ended before {name}"
            told.update([json.loads(line)])
        return told[name], notebooks / "by-papermill" / name

    yield result
    process.kill()
    process.communicate()


def cells_of(path: Path) -> Cells:
    """Source, number and outputs of each code cell, as a reader of the notebook sees them."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return [
        {
            "source": cell.source,
            "execution_count": cell.execution_count,
            "outputs": outputs_of(cell.outputs),
        }
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def outputs_of(outputs: list[Any]) -> list[Any]:
    shown: list[Any] = []
    for output in outputs:
        kind = output.output_type
        if kind == "error":
            trace = re.sub(r"\x1b\[[\d;]*m", "", "\n".join(output.traceback))
            shown.append([kind, output.ename, output.evalue, trace])
        elif kind == "stream" and shown and shown[-1][:2] == [kind, output.name]:
            # How the kernel cut the text into messages is chance.
            shown[-1][2] += output.text
        elif kind == "stream":
            shown.append([kind, output.name, output.text])
        else:
            shown.append([kind, output.get("execution_count"), output.data, output.metadata])
    return shown


@pytest.mark.parametrize("name", ALIKE)
def test_outputs_and_verdict_are_alike(
    name: str, notebooks: Path, tmp_path: Path, by_papermill: Yardstick
) -> None:
    ours = run_notebook(
        notebooks / name,
        PARAMETERS.get(name),
        output=tmp_path / "out.ipynb",
        cell_timeout=CELL_SECONDS.get(name),
    )
    error, theirs = by_papermill(name)

    assert ours.succeeded == (error is None), (ours.reason, error)
    assert ours.executed_notebook is not None
    assert without_time_out(cells_of(ours.executed_notebook)) == without_time_out(cells_of(theirs))


def without_time_out(cells: Cells) -> Cells:
    # Where a cell was when its time was over is chance, and papermill does not ask.
    for cell in cells:
        cell["outputs"] = [o for o in cell["outputs"] if o[:2] != ["error", "KeyboardInterrupt"]]
    return cells


@pytest.mark.parametrize("name", sorted(THROUGH_PAPERMILL))
def test_papermill_with_our_engine_does_the_same(
    name: str, notebooks: Path, tmp_path: Path, by_papermill: Yardstick
) -> None:
    error, theirs = by_papermill(name)

    assert run_through_papermill(notebooks / name, tmp_path, PARAMETERS.get(name)) == error
    assert cells_of(tmp_path / "out.ipynb") == cells_of(theirs)


def run_through_papermill(path: Path, folder: Path, given: dict[str, Any] | None) -> str | None:
    try:
        papermill.execute_notebook(
            path, folder / "out.ipynb", given, engine_name="dagbook", progress_bar=False
        )
    except Exception as raised:
        return type(raised).__name__
    return None


# The differences, one by one


def test_a_notebook_without_a_kernel_runs_on_pythons_own(
    notebooks: Path, tmp_path: Path, by_papermill: Yardstick
) -> None:
    error, _ = by_papermill("blank-vscode.ipynb")

    assert error == "ValueError"
    assert run_notebook(notebooks / "blank-vscode.ipynb", output_folder=tmp_path).succeeded


def test_a_parameters_cell_that_is_no_python_is_refused_before_a_kernel(
    notebooks: Path, tmp_path: Path, by_papermill: Yardstick
) -> None:
    path = notebooks / "complex_parameters.ipynb"
    error, _ = by_papermill("complex_parameters.ipynb")

    assert error == "PapermillExecutionError"
    with pytest.raises(DagbookError) as refused:
        run_notebook(path, output_folder=tmp_path)
    assert str(refused.value) == (
        f"{path}, cell 1, line 14: the parameters cell is not valid Python (invalid syntax)."
    )


def test_an_error_that_the_kernel_only_printed_is_kept_as_one(
    notebooks: Path, tmp_path: Path, by_papermill: Yardstick
) -> None:
    error, theirs = by_papermill("line_magic_error.ipynb")
    ours = run_notebook(notebooks / "line_magic_error.ipynb", output_folder=tmp_path)

    assert error == "PapermillExecutionError"
    assert not ours.succeeded
    assert ours.executed_notebook is not None
    first, second = cells_of(ours.executed_notebook)
    their_first, their_second = cells_of(theirs)
    *printed, kept = first["outputs"]
    assert kept[:2] == ["error", "UsageError"]
    assert {**first, "outputs": printed} == their_first
    assert second == their_second


def test_a_parameter_that_no_cell_declares_is_refused_and_run_by_papermill(
    notebooks: Path, tmp_path: Path, by_papermill: Yardstick
) -> None:
    path = notebooks / "no_parameters.ipynb"
    error, theirs = by_papermill("no_parameters.ipynb")

    with pytest.raises(DagbookError, match="has no parameters cell, so `msg` cannot be set"):
        run_notebook(path, {"msg": "Hello"}, output_folder=tmp_path)
    assert error is None
    assert run_through_papermill(path, tmp_path, {"msg": "Hello"}) is None
    assert cells_of(tmp_path / "out.ipynb") == cells_of(theirs)


def test_a_kernel_that_is_not_installed_is_refused(
    notebooks: Path, tmp_path: Path, by_papermill: Yardstick
) -> None:
    name = "notimplemented_translator.ipynb"
    error, _ = by_papermill(name)

    assert error == "NoSuchKernel"
    with pytest.raises(DagbookError, match="kernel 'r' is not installed here"):
        run_notebook(notebooks / name, output_folder=tmp_path)
