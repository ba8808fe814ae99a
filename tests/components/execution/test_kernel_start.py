"""An ipykernel starts without its debugger, and an author finds everything else as ever."""

from __future__ import annotations

import nbclient
import nbformat
import pytest
from tests.components.execution.conftest import code_cells, text_of

from dagbook.execution import RunStatus, run_notebook
from dagbook.execution.kernel_start import ipykernel_command

LAUNCHED = ["-m", "ipykernel_launcher", "-f", "c.json"]
SEEN = """\
import __main__, gc, multiprocessing, os, sys
print(sys.argv[0])
print(sys.path)
print(sys.flags)
print(__name__, getattr(__main__, "__file__", None), getattr(__main__, "__spec__", None))
print(sorted(name for name in vars(__main__) if name != "_"))
print(gc.isenabled(), gc.get_threshold())
print(multiprocessing.get_start_method(), os.getcwd())
"""


def test_the_debugger_is_left_out_and_can_still_be_imported(make_notebook):
    """It fails when ipykernel loads its debugger from another module."""
    result = run_notebook(
        make_notebook(
            "import sys\n'debugpy' in sys.modules, 'ipykernel.debugger' in sys.modules",
            "import debugpy\ndebugpy.__name__",
        )
    )
    loaded, imported = code_cells(result.executed_notebook)
    assert text_of(loaded.outputs) == "(False, True)"
    assert text_of(imported.outputs) == "'debugpy'"


def test_a_reply_is_not_held_back(make_notebook):
    """It fails when ipykernel names the pause before a reply otherwise."""
    result = run_notebook(make_notebook("get_ipython().kernel._execute_sleep"))
    [cell] = code_cells(result.executed_notebook)
    assert text_of(cell.outputs) == "0.0"


def test_an_author_sees_what_another_runner_shows(make_notebook):
    path = make_notebook(SEEN)
    stock = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(stock, resources={"metadata": {"path": str(path.parent)}}).execute()
    [ours] = code_cells(run_notebook(path).executed_notebook)
    assert text_of(ours.outputs).splitlines() == text_of(stock.cells[0].outputs).splitlines()


def test_what_is_left_at_the_exit_is_cleared_up_as_ever(make_notebook, tmp_path):
    """Also what only a library's class still holds: it had been set aside with the library."""
    result = run_notebook(
        make_notebook(
            "import json\n"
            f"json.JSONEncoder.log = open({str(tmp_path / 'log')!r}, 'w')\n"
            "_ = json.JSONEncoder.log.write('not flushed by the author')"
        )
    )
    assert result.status is RunStatus.SUCCEEDED
    assert (tmp_path / "log").read_text() == "not flushed by the author"


def test_a_file_beside_the_notebook_takes_no_module_s_place_in_the_kernel(make_notebook):
    path = make_notebook("import zmq\nzmq.__file__.endswith('zmq.py')")
    for name in ("zmq", "ipykernel", "importlib", "traitlets"):
        path.with_name(f"{name}.py").write_text("raise SystemExit('not this one')\n")
    result = run_notebook(path)
    assert result.status is RunStatus.SUCCEEDED, result.reason
    assert text_of(code_cells(result.executed_notebook)[0].outputs) == "False"


@pytest.mark.parametrize(
    "before",
    [["python"], ["/opt/envs/a/bin/python3.12"], ["python", "-Xfrozen_modules=off", "-I"]],
    ids=" ".join,
)
def test_python_is_told_what_to_run(before):
    words = ipykernel_command([*before, *LAUNCHED])
    at = len(before)
    assert words[:at] == before
    assert words[at] == "-c"
    assert words[at + 2 : at + 4] == ["-f", "c.json"]


@pytest.mark.parametrize(
    "argv",
    [
        ["conda", "run", "-n", "a", "python", *LAUNCHED],
        ["docker", "run", "image", "python", *LAUNCHED],
        ["/opt/kernel.sh", *LAUNCHED],
        ["python", "-m", "ipykernel", "-f", "c.json"],
        ["python", "/opt/start.py", *LAUNCHED],
    ],
    ids=lambda argv: " ".join(argv[:2]),
)
def test_another_way_to_a_kernel_is_left_as_it_is(argv):
    assert ipykernel_command(argv)[: len(argv)] == argv
