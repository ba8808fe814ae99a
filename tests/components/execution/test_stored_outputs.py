"""Outputs made ready beside the run are what would have been stored at its end."""

from __future__ import annotations

import json

from dagbook.execution.outputs import CellOutputs
from dagbook.execution.stored_notebook import serialise
from dagbook.execution.stored_outputs import StoredOutputs, outputs_json


def display(text):
    return {"output_type": "display_data", "data": {"text/plain": text}, "metadata": {}}


def test_cells_are_made_ready_one_by_one_as_they_end():
    outputs = {0: CellOutputs(1000), 3: CellOutputs(1000)}
    stored = StoredOutputs(outputs)
    assert not stored.prepare_one()
    outputs[0].add_stream("stdout", "one\n")
    stored.end(0)
    stored.end(3)
    assert [stored.prepare_one() for _ in range(3)] == [True, True, False]
    assert json.loads(stored.of(0)) == [
        {"output_type": "stream", "name": "stdout", "text": "one\n"}
    ]
    assert json.loads(stored.of(3)) == []


def test_what_changes_after_that_is_stored_as_it_is_at_the_end():
    outputs = {0: CellOutputs(10_000)}
    stored = StoredOutputs(outputs)
    kept = outputs[0]
    changes = {
        "late print": lambda: kept.add_stream("stdout", "late\n"),
        "display": lambda: kept.add(display("first"), "d"),
        "display again": lambda: kept.update_display("d", display("second")),
        "more": lambda: kept.add(display("third")),
        "replaced": lambda: kept.replace([display("fourth")]),
        "cleared": lambda: kept.clear(wait=False),
    }
    for change in changes.values():
        before = stored.of(0)
        change()
        assert json.loads(stored.of(0)) == json.loads(outputs_json(kept.finished()))
        assert stored.of(0) != before
    assert stored.of(0) is stored.of(0)


def test_a_notebook_with_outputs_made_ready_is_the_same_to_the_byte():
    kept = CellOutputs(10_000)
    kept.add_stream("stdout", "é\n\ud800 half a pair\t\x00")
    kept.add(display("x"))
    kept.add({**display("{}"), "data": {"application/json": {"nan": float("nan"), "list": [[]]}}})
    cells = [
        {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Title\n\ntext"},
        {
            "cell_type": "code",
            "id": "b",
            "metadata": {"tags": []},
            "outputs": kept.finished(),
            "source": "a\nb",
            "execution_count": 1,
        },
        {"cell_type": "code", "id": "c", "metadata": {}, "outputs": [], "source": ""},
    ]
    document = {"cells": cells, "metadata": {"k": {}}, "nbformat": 4, "nbformat_minor": 5}
    plain = b"".join(serialise(document))
    read = json.loads(plain)
    assert [cell.get("outputs") for cell in read["cells"]][1][0]["text"].startswith("é\n\ud800")
    assert "".join(read["cells"][0]["source"]) == "# Title\n\ntext"
    assert read["cells"][2]["outputs"] == []
    assert plain.endswith(b"}\n")
    stored = {id(cells[1]): StoredOutputs({1: kept}).of(1), id(cells[2]): b"[]"}
    emptied = {**document, "cells": cells}
    cells[1]["outputs"] = []
    assert b"".join(serialise(emptied, stored)) == plain
