"""A notebook whose cells were written while its kernel ended is the one written in one go."""

from __future__ import annotations

import signal
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from tests.components.execution.conftest import code_cells, text_of

from dagbook.atomic_write import TEMPORARY_PATTERN
from dagbook.errors import DagbookError
from dagbook.execution import CellFinished, RunStatus, run_notebook
from dagbook.execution.outputs import CellOutputs
from dagbook.execution.stored_notebook import WrittenAhead, serialise, write_notebook
from dagbook.execution.stored_outputs import outputs_json

ENDS_SLOWLY = "import atexit, time\n_ = atexit.register(time.sleep, 3)"


@pytest.fixture
def run():
    """A document of two cells, with what they put out and its JSON."""
    cells = [
        {"cell_type": "code", "id": f"c{n}", "source": f"a\n{n}", "metadata": {}, "outputs": []}
        for n in range(2)
    ]
    document = {"cells": cells, "metadata": {"a": 1}, "nbformat": 4, "nbformat_minor": 5}
    outputs = {0: CellOutputs(1000), 1: CellOutputs(1000)}
    outputs[0].add_stream("stdout", "one\n")
    stored = {id(cells[n]): outputs_json(kept.finished()) for n, kept in outputs.items()}
    return SimpleNamespace(document=document, outputs=outputs, stored=stored)


def ahead_of(run, path: Path) -> WrittenAhead:
    return WrittenAhead(path, run.document, run.outputs, run.stored)


def store(run, path: Path, ahead: WrittenAhead | None) -> bytes:
    write_notebook(path, run.document, journal=path.parent, stored=run.stored, ahead=ahead)
    return path.read_bytes()


def test_what_becomes_known_at_the_end_is_in_it(run, tmp_path):
    path = tmp_path / "n.ipynb"
    path.write_text("before")
    ahead = ahead_of(run, path)
    assert path.read_text() == "before"
    run.document["metadata"]["b"] = {"peak": 7}
    written = store(run, path, ahead)
    assert written == b"".join(serialise(run.document, run.stored))
    assert b'"peak":7' in written
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("elsewhere", [False, True], ids=["more came out", "another file"])
def test_one_that_tells_something_else_is_not_used(run, tmp_path, elsewhere):
    path = tmp_path / "n.ipynb"
    ahead = ahead_of(run, tmp_path / "other.ipynb" if elsewhere else path)
    if not elsewhere:
        run.outputs[1].add_stream("stdout", "late\n")
        cell = run.document["cells"][1]
        run.stored[id(cell)] = outputs_json(run.outputs[1].finished())
    written = store(run, path, ahead)
    assert written == b"".join(serialise(run.document, run.stored))
    assert (b"late" in written) is not elsewhere
    assert [*tmp_path.iterdir()] == [path]


def test_where_it_cannot_take_its_place_the_old_one_stays(run, tmp_path):
    path = tmp_path / "n.ipynb"
    ahead = ahead_of(run, path)
    path.mkdir()
    with pytest.raises(DagbookError) as refused:
        store(run, path, ahead)
    assert str(refused.value) == (
        f"{path}: the executed notebook cannot be written (Is a directory). "
        f"What happened is kept in {tmp_path}; the next run there makes a notebook of it."
    )
    ahead.abandon()
    assert [*tmp_path.iterdir()] == [path]


def test_a_run_cancelled_while_its_kernel_ends_is_stored_as_cancelled(make_notebook, tmp_path):
    output = tmp_path / "out" / "n.ipynb"
    begun = []

    def cancel(*_):
        begun.extend(output.parent.glob(TEMPORARY_PATTERN))
        raise KeyboardInterrupt

    def listen(event):
        if isinstance(event, CellFinished) and event.number == event.of:
            signal.setitimer(signal.ITIMER_REAL, 1)

    path = make_notebook("print('shown')", ENDS_SLOWLY)
    before = signal.signal(signal.SIGALRM, cancel)
    try:
        with pytest.raises(KeyboardInterrupt) as interrupted:
            run_notebook(path, output=output, on_event=listen)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert len(begun) == 1
    assert interrupted.value.dagbook_result.status is RunStatus.CANCELLED
    assert [*output.parent.iterdir()] == [output]
    notebook = nbformat.read(output, as_version=4)
    assert notebook.metadata.dagbook.status == "cancelled"
    assert "Cancelled" in notebook.cells[0].source
    assert text_of(code_cells(output)[0].outputs) == "shown\n"
