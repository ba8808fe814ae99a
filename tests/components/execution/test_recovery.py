"""What a run that vanished left becomes its notebook: once, whole, and whatever is in it."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time

import nbformat
import pytest
from tests.components.execution.conftest import code_cells, text_of

from dagbook.execution.journal import JOURNAL_NAME, Journal
from dagbook.execution.outputs import CellOutputs
from dagbook.execution.recovery import recover_below, recover_runs
from dagbook.execution.result import ExecutionResult, RunStatus


def leave(folder, stem="20260101T000000Z", *, target=None, cells=2, end=None) -> Journal:
    """Leave what a run leaves that vanished in its last cell, or after its end."""
    folder.mkdir(parents=True, exist_ok=True)
    journal = Journal(folder / f".{stem}.running")
    journal.event("start", 1.5, target or f"/elsewhere/{stem}-{{state}}.ipynb", "small", "n.ipynb")
    cell = {"cell_type": "code", "metadata": {}, "source": "x", "outputs": []}
    document = {
        "cells": [cell | {"id": f"c{n}", "execution_count": None} for n in range(cells)],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    journal.event("document", document, {}, [[n, f"c{n}", None] for n in range(cells)])
    for number in range(cells):
        journal.begin_cell(number, CellOutputs(1000))
        journal.stream(number, "stdout", f"of {number}\n")
        if number < cells - 1 or end is not None:
            journal.end_cell(number, "completed", 0.5, None, number + 1)
    if end is not None:
        journal.end_run(ExecutionResult(end, reason="why", duration_seconds=7.0), None)
    journal.release()
    return journal


def told(path):
    return nbformat.read(path, as_version=4).metadata.dagbook


def test_the_notebook_comes_where_the_journal_is_now(tmp_path):
    """The project may have been moved since."""
    leave(tmp_path / "a" / "b")
    [written] = recover_below(tmp_path)
    assert written == tmp_path / "a" / "b" / "20260101T000000Z-killed.ipynb"
    assert [text_of(cell.outputs) for cell in code_cells(written)] == ["of 0\n", "of 1\n"]
    assert [cell.execution_count for cell in code_cells(written)] == [1, None]
    assert sorted(p.name for p in written.parent.iterdir()) == [written.name]


@pytest.mark.parametrize("status", [RunStatus.FAILED, RunStatus.TIMED_OUT, RunStatus.CANCELLED])
def test_a_run_that_had_ended_is_told_as_it_ended(tmp_path, status):
    leave(tmp_path, end=status)
    [written] = recover_runs(tmp_path)
    assert written.name == f"20260101T000000Z-{status}.ipynb"
    assert (told(written).reason, told(written).duration_seconds) == ("why", 7.0)


def test_a_run_nobody_was_told_of_did_not_succeed(tmp_path):
    leave(tmp_path, end=RunStatus.SUCCEEDED)
    [written] = recover_runs(tmp_path)
    assert written.name == "20260101T000000Z-killed.ipynb"
    assert told(written).reason.startswith("every cell ended, but the notebook could not be stored")


def test_a_notebook_that_is_in_place_is_not_written_a_second_time(tmp_path):
    """The runner was killed after it had stored the notebook, before it had cleared up."""
    stored = tmp_path / "20260101T000000Z-succeeded.ipynb"
    stored.write_text("the run's own", "utf-8")
    leave(tmp_path, end=RunStatus.SUCCEEDED)
    named = tmp_path / "named.ipynb"
    own = {"metadata": {"dagbook": {"started_at": 1.5}}}
    named.write_text(json.dumps(own), "utf-8")
    leave(tmp_path, "named", target=str(named))
    assert recover_runs(tmp_path) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == [stored.name, "named.ipynb"]
    assert stored.read_text("utf-8") == "the run's own"
    assert json.loads(named.read_text("utf-8")) == own


def test_an_older_notebook_of_that_name_is_replaced(tmp_path):
    named = tmp_path / "named.ipynb"
    named.write_text(json.dumps({"metadata": {"dagbook": {"started_at": 1.0}}}), "utf-8")
    leave(tmp_path, "named", target=str(named))
    assert recover_runs(tmp_path) == [named]
    assert text_of(code_cells(named)[1].outputs) == "of 1\n"


def test_a_live_run_is_left_alone(tmp_path):
    leave(tmp_path)
    live = Journal(tmp_path / ".live.running")
    assert len(recover_runs(tmp_path)) == 1
    assert live.folder.is_dir()


@pytest.mark.parametrize("seed", range(20))
def test_a_damaged_journal_holds_up_nobody(tmp_path, seed):
    """Whatever stands in it, the folder can be used, and each notebook there is a valid one."""
    chance = random.Random(seed)
    file = leave(tmp_path, cells=4).folder / JOURNAL_NAME
    data = bytearray(file.read_bytes())
    kind = seed % 4
    if kind == 0:  # cut off
        del data[chance.randrange(len(data)) :]
    elif kind == 1:  # a hole, as a machine that stopped may leave
        at = chance.randrange(len(data))
        data[at : at + 100] = bytes(len(data[at : at + 100]))
    elif kind == 2:  # lines lost
        lines = bytes(data).splitlines(keepends=True)
        data = bytearray(b"".join(line for line in lines if chance.random() < 0.6))
    else:  # lines that make no sense
        data[:0] = b'["cell"]\n["stream",99,1]\n[{}]\n7\n["start"]\n["document",{},{},[]]\n'
    file.write_bytes(data)
    recover_runs(tmp_path)
    for path in tmp_path.glob("*.ipynb"):
        code_cells(path)
    assert [*tmp_path.glob("*.running")] == []


def test_a_journal_that_cannot_be_read_is_set_aside_and_kept(tmp_path):
    file = leave(tmp_path).folder / JOURNAL_NAME
    file.write_text('["document",{"cells":[7],"metadata":{}},{},[]]\n', "utf-8")
    assert recover_runs(tmp_path) == []
    [aside] = [*tmp_path.iterdir()]
    assert aside.name.endswith(".unreadable")
    assert (aside / JOURNAL_NAME).exists()


def test_recovery_may_be_killed_and_be_called_several_times_at_once(tmp_path):
    for number in range(6):
        leave(tmp_path, f"run{number}", cells=40)
    look = (
        "import sys; from pathlib import Path; from dagbook.execution.recovery import recover_runs;"
        " print('looking', flush=True); recover_runs(Path(sys.argv[1]))"
    )
    for _ in range(3):
        lookers = [
            subprocess.Popen([sys.executable, "-c", look, str(tmp_path)], stdout=subprocess.PIPE)
            for _ in range(2)
        ]
        for looker in lookers:
            looker.stdout.readline()
        time.sleep(random.uniform(0, 0.02))
        for looker in lookers:
            looker.kill()
            looker.wait()
            looker.stdout.close()
        for path in tmp_path.glob("*.ipynb"):
            assert len(code_cells(path)) == 40
    for left in tmp_path.glob(".dagbook-*.tmp"):
        os.utime(left, (0, 0))
    recover_runs(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"run{n}-killed.ipynb" for n in range(6)]
