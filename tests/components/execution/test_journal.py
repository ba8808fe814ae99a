"""The journal: small, complete, and enough to make the notebook from."""

from __future__ import annotations

from tests.components.execution.conftest import code_cells, text_of

from dagbook.execution import run_notebook
from dagbook.execution.journal import Journal, read_journal
from dagbook.execution.outputs import CellOutputs
from dagbook.execution.recovery import recover_runs
from dagbook.execution.run_folder import RunFolder


def test_consecutive_pieces_of_a_stream_become_one_line(tmp_path):
    journal = Journal(tmp_path / ".a.running")
    for number in range(1000):
        journal.stream(0, "stdout", f"{number}\n")
    journal.flush()
    events = [*read_journal(journal.folder)]
    assert events == [["stream", 0, "stdout", "".join(f"{n}\n" for n in range(1000))]]


def test_of_many_updates_of_a_display_only_the_last_is_written(tmp_path):
    journal = Journal(tmp_path / ".a.running")
    for number in range(1000):
        journal.update("d", {"data": {"text/plain": str(number)}})
    journal.flush()
    assert [*read_journal(journal.folder)] == [["update", "d", {"data": {"text/plain": "999"}}]]


def test_a_cell_over_its_cap_is_written_as_what_is_kept_of_it(tmp_path):
    journal = Journal(tmp_path / ".a.running")
    outputs = CellOutputs(1000)
    for _ in range(10_000):
        outputs.add_stream("stdout", "x" * 100)
        if outputs.left_out_bytes:
            journal.crowded(0, outputs)
        else:
            journal.stream(0, "stdout", "x" * 100)
    journal.flush()
    [[kind, cell, kept, _]] = [*read_journal(journal.folder)]
    assert (kind, cell) == ("snapshot", 0)
    assert sum(len(o["text"]) for o in kept) < 1200


def test_a_last_line_cut_short_is_not_an_event(tmp_path):
    journal = Journal(tmp_path / ".a.running")
    journal.event("cell", 0, "running", 1.0, None)
    journal.flush()
    with (journal.folder / "journal.jsonl").open("ab") as file:
        file.write(b'["stream",0,"stdout","half')
    assert [*read_journal(journal.folder)] == [["cell", 0, "running", 1.0, None]]


def test_a_live_run_is_not_taken_for_abandoned(tmp_path):
    journal = Journal(tmp_path / ".a.running")
    assert RunFolder.adopt(journal.folder) is None
    journal.release()
    assert RunFolder.adopt(journal.folder) is not None


def test_the_journal_of_a_run_holds_all_the_notebook_needs(make_notebook, monkeypatch):
    """Replaying the journal of a finished run gives the outputs the run itself stored."""
    kept = []
    monkeypatch.setattr(Journal, "discard", lambda self: (self.release(), kept.append(self.folder)))
    result = run_notebook(
        make_notebook(
            ("n = 1", "parameters"),
            "import dagbook\nfrom IPython.display import display, clear_output\n"
            "h = display('a', display_id='x')\nprint('out')\nh.update('b')\nn",
            "dagbook.log_metric('loss', 0.5, 1)\nprint('x')\nclear_output(wait=True)\ndisplay('y')",
            ("assert False", "check-warn:c"),
            "for i in range(30):\n    print('z' * 100_000)",
            "1 / 0",
            "never",
        ),
        {"n": 3},
    )
    here = code_cells(result.executed_notebook)
    result.executed_notebook.unlink()
    [recovered] = recover_runs(kept[0].parent)
    # How it had ended stood in the journal too: only the notebook was still to be stored.
    assert recovered.name.endswith("-failed.ipynb")
    there = code_cells(recovered)
    for left, right in zip(there, here, strict=True):
        assert left.outputs == right.outputs
        assert left.source == right.source
        assert left.execution_count == right.execution_count
        assert left.metadata.get("dagbook") == right.metadata.get("dagbook")
    assert text_of(there[2].outputs) == "'b'out\n3"
    assert not kept[0].exists()


def test_what_a_vanished_run_left_is_finished_at_the_next_look(tmp_path):
    journal = Journal(tmp_path / ".20260101T000000Z.running")
    target = str(tmp_path / "20260101T000000Z-{state}.ipynb")
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": "x", "outputs": []}
    journal.event("start", 1.0, target, "small", "n.ipynb")
    document = {
        "cells": [cell | {"execution_count": None}],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    journal.event("document", document, {}, [[0, "a", None]])
    journal.event("cell", 0, "running", 2.0, None)
    journal.stream(0, "stdout", "so far\n")
    journal.release()
    [written] = recover_runs(tmp_path)
    assert written.name == "20260101T000000Z-killed.ipynb"
    assert text_of(code_cells(written)[0].outputs) == "so far\n"
    assert recover_runs(tmp_path) == []
