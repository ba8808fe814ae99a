"""The journal: small, complete, and enough to make the notebook from."""

from __future__ import annotations

import errno
import json
import os

import nbformat
from tests.components.execution.conftest import code_cells, text_of

from dagbook.execution import run_notebook
from dagbook.execution.journal import Journal, read_journal
from dagbook.execution.outputs import CellOutputs
from dagbook.execution.recovery import recover_runs
from dagbook.execution.run_folder import RunFolder


def test_pieces_that_come_in_json_are_written_as_they_came(tmp_path):
    journal = Journal(tmp_path / ".n.running")
    texts = ["one\n", 'two "é"\n', "three\t", "\ud800four\n", "five"]
    for text, as_json in zip(texts, [False, True, True, False, True], strict=True):
        encoded = json.dumps(text, ensure_ascii=False)[1:-1].encode("utf-8", "surrogatepass")
        journal.stream(3, 'std"out', text, memoryview(encoded) if as_json else None)
    journal.flush()
    assert [*read_journal(journal.folder)] == [["stream", 3, 'std"out', "".join(texts)]]
    journal.discard()


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


def test_what_a_cell_put_out_is_written_when_it_ends(tmp_path):
    journal = Journal(tmp_path / ".a.running")
    journal.begin_cell(0, CellOutputs(1000))
    assert [event[:3] for event in read_journal(journal.folder)] == [["cell", 0, "running"]]
    journal.stream(0, "stdout", "all of it")
    journal.end_cell(0, "completed", 0.1, None, 1)
    assert [*read_journal(journal.folder)][1:] == [
        ["stream", 0, "stdout", "all of it"],
        ["cell", 0, "completed", 0.1, None, 1],
    ]


def test_a_line_that_was_written_in_part_is_taken_back_and_tried_again(tmp_path, monkeypatch):
    """A full disk takes what still fits."""
    journal = Journal(tmp_path / ".a.running")
    journal.event("first")
    journal.flush()
    whole, full = os.write, [True]

    def write(file, data):
        if not full[0]:
            return whole(file, data)
        if len(data) > 5:
            return whole(file, data[:5])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "write", write)
    journal.stream(0, "stdout", "kept in memory")
    journal.flush()
    assert journal.trouble.errno == errno.ENOSPC
    assert [*read_journal(journal.folder)] == [["first"]]
    full[0] = False
    journal.flush()  # too soon to try again
    assert [*read_journal(journal.folder)] == [["first"]]
    journal.flush(durable=True)
    assert [*read_journal(journal.folder)] == [["first"], ["stream", 0, "stdout", "kept in memory"]]


def test_a_cell_that_changes_what_it_shows_for_hours_has_a_short_journal(tmp_path):
    """What is out of date is left out; what is written anew gives the same outputs."""
    journal = Journal(tmp_path / ".a.running")
    target = str(tmp_path / "a-{state}.ipynb")
    cells = [
        {"cell_type": "code", "id": f"c{n}", "metadata": {}, "source": "x", "outputs": []}
        | {"execution_count": None}
        for n in range(2)
    ]
    document = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    journal.event("start", 1.0, target, "small", "n.ipynb")
    journal.event("document", document, {}, [[0, "c0", None], [1, "c1", None]])
    kept = [CellOutputs(1_000_000), CellOutputs(1_000_000)]

    def show(cell, text, display_id):
        output = {"output_type": "display_data", "data": {"text/plain": text}, "metadata": {}}
        if kept[cell].shows(display_id):
            kept[cell].update_display(display_id, output)
            journal.update(display_id, output)
        else:
            kept[cell].add(output, display_id)
            journal.output(cell, output, display_id)

    journal.begin_cell(0, kept[0])
    show(0, "never", "shared")
    journal.end_cell(0, "completed", 0.1, None, 1)
    journal.begin_cell(1, kept[1])
    for number in range(300):
        show(1, f"{number}" * 100_000, "plot")
        show(0, f"step {number}", "shared")
        journal.stream(1, "stdout", "line\n")
        kept[1].add_stream("stdout", "line\n")
        journal.event("metrics", [["loss", repr(number), number, 1.0]])
        journal.flush()
        assert (journal.folder / "journal.jsonl").stat().st_size < 20_000_000
    journal.end_cell(1, "completed", 0.1, None, 2)
    assert (journal.folder / "journal.jsonl").stat().st_size < 2_500_000
    journal.release()
    [written] = recover_runs(tmp_path)
    for cell, outputs in zip(code_cells(written), kept, strict=True):
        assert cell.outputs == outputs.finished()
    assert text_of(code_cells(written)[0].outputs) == "step 299"
    told = nbformat.read(written, as_version=4).metadata.dagbook
    assert told.metrics.loss == "299.0"


def test_a_noisy_cell_is_recovered_as_it_would_have_been_stored(tmp_path):
    outputs = CellOutputs(1000)
    journal = Journal(tmp_path / ".a.running")
    journal.begin_cell(0, outputs)
    for number in range(300):
        outputs.add_stream("stdout", f"line {number:04d}\n")
        if outputs.left_out_bytes:
            journal.crowded(0, outputs)
        else:
            journal.stream(0, "stdout", f"line {number:04d}\n")
        if number % 10 == 0:
            journal.flush()
    journal.flush()
    *_, (kind, cell, shown, _) = read_journal(journal.folder)
    assert (kind, cell, shown) == ("snapshot", 0, outputs.finished())
