"""What a notebook's numbers say of its last runs, and what they do not."""

from __future__ import annotations

from typing import Any

import pytest

from dagbook.notebook import parse_notebook
from dagbook.preflight.finding import NightFinding, Severity
from dagbook.preflight.order import FAILED, NOT_RUN, ORDER
from dagbook.preflight.registry import findings
from dagbook.preflight.situation import Situation

Run = tuple[str, int | None]
ERROR = {"output_type": "error", "ename": "ValueError", "evalue": "no", "traceback": []}


def told(*cells: Run, tags: dict[int, list[str]] | None = None, **outputs: Any) -> list[str]:
    """Rule, cell and line of what is found in cells with their numbers."""
    return [f"{f.rule} {f.cell + 1}:{f.line}" for f in found(*cells, tags=tags, **outputs)]


def found(
    *cells: Run, tags: dict[int, list[str]] | None = None, **outputs: Any
) -> list[NightFinding]:
    document = {
        "cells": [
            {
                "cell_type": "code",
                "id": f"c{number}",
                "metadata": {"tags": (tags or {}).get(number, [])},
                "source": source,
                "execution_count": count,
                "outputs": outputs.get(f"of_{number}", []),
            }
            for number, (source, count) in enumerate(cells, 1)
        ],
        "metadata": {"kernelspec": {"name": "python3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    rules = (ORDER, NOT_RUN, FAILED)
    return [f for f in findings(parse_notebook(document), Situation()) if f.rule in rules]


def test_a_cell_that_saw_what_is_made_below_is_told() -> None:
    (finding,) = found(("x = 1", 1), ("print(1)\nprint(x)", 4), ("x = 2", 3))
    assert (finding.rule, finding.cell, finding.line) == (ORDER, 1, 2)
    assert finding.severity is Severity.MAY_SURPRISE
    assert finding.text == (
        "was last run after cell 3, and saw the `x` that is made there; a run comes here first: "
        "run the notebook from top to bottom once"
    )


@pytest.mark.parametrize(
    "cells",
    [
        (("x = 1", 1), ("x", 2), ("x = 2", 3)),
        # an early cell was run again: the night only makes what is below anew
        (("x = 1", 9), ("print(x)", 2), ("y = x", 3)),
        # the kernel was started anew, and only a part was run since
        (("x = 1", 1), ("print(x)", 2), ("x = 3", 41), ("print(x)", 42)),
        # only an import or a function was run again
        (("import os", 1), ("os.getcwd()", 5), ("import os", 2)),
        (("def f():\n    pass", 1), ("f()", 5), ("def f():\n    pass", 2)),
        # the cell makes its own
        (("x = 1", 1), ("x = 2\nprint(x)", 5), ("x = 3", 2)),
        # another cell made it meanwhile
        (("x = 1", 4), ("print(x)", 5), ("x = 3", 2)),
        # without numbers nothing is known
        (("x = 1", None), ("print(x)", None), ("x = 3", None)),
    ],
)
def test_numbers_alone_say_nothing(cells: tuple[Run, ...]) -> None:
    assert told(*cells) == []


def test_a_cell_that_was_not_run_since_it_was_written_is_told() -> None:
    (finding,) = found(("1", 1), ("2", None), ("3", 2))
    assert (finding.rule, finding.cell) == (NOT_RUN, 1)
    assert finding.text == (
        "has not been run since it was written, though cell 3 below it has: run the notebook from "
        "top to bottom once"
    )


@pytest.mark.parametrize(
    "cells",
    [
        (("1", 1), ("2", 2), ("3", None)),  # the cell one is at
        (("1", None), ("2", None)),
        (("1", 1), ("", None), ("# only a comment", None), ("3", 2)),
        (("1", 1), ("# dagster: skip\n2", None), ("3", 2)),
        (("1", 0), ("2", 0), ("3", 1)),  # a tool put the zeros there
        (("1", None), ("2", 1)),  # numbers taken away above
    ],
)
def test_cells_that_need_not_have_been_run(cells: tuple[Run, ...]) -> None:
    assert told(*cells) == []


def test_a_cell_that_ended_in_an_error_is_told() -> None:
    (finding,) = found(("x", None), of_1=[ERROR])
    assert (finding.rule, finding.text) == (
        FAILED,
        "ended in ValueError when it was last run: run it again, and save the notebook",
    )


def test_errors_that_were_meant_are_not_told() -> None:
    assert told(("x", 1), tags={1: ["raises-exception"]}, of_1=[ERROR]) == []
    assert told(("x", 1), tags={1: ["skip"]}, of_1=[ERROR]) == []
    noted = {**ERROR, "ename": "AssertionError"}
    assert told(("x", 1), tags={1: ["check-warn:x"]}, of_1=[noted]) == []
    assert told(("x", 1), tags={1: ["check:x"]}, of_1=[noted]) == [f"{FAILED} 1:1"]
    left = {**ERROR, "ename": "SystemExit", "evalue": "0"}
    assert told(("x", 1), of_1=[left]) == []
