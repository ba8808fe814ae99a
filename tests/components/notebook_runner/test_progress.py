"""A run's log lines, for notebooks of any length."""

from __future__ import annotations

import logging

import pytest

from dagbook.execution.events import CellFinished, CellStarted, MetricsReported
from dagbook.execution.result import CellError, CellResult, CellStatus
from dagbook.notebook_runner.progress import ProgressLog


@pytest.fixture
def progress() -> ProgressLog:
    return ProgressLog(logging.getLogger("test.progress"))


def test_a_short_notebook_gets_a_line_for_each_cell(
    progress: ProgressLog, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="test.progress")
    cell = _cell(2, role="check:rows_positive", seconds=0.42)
    progress(CellStarted(3, 12, cell))
    progress(MetricsReported(()))
    progress(CellFinished(3, 12, cell))
    progress(CellFinished(4, 12, _cell(3, status=CellStatus.SKIPPED, seconds=None)))
    progress(CellFinished(5, 12, _cell(4, seconds=200)))
    progress.flush()

    assert caplog.messages == [
        "cell 3 of 12 (check rows_positive) completed in 0.4 s",
        "cell 4 of 12 left out",
        "cell 5 of 12 completed in 3.3 min",
    ]


def test_a_failure_is_told_with_exception_and_first_line(
    progress: ProgressLog, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="test.progress")
    error = CellError("KeyError", "'tenure'\nand more")
    progress(CellFinished(2, 3, _cell(1, status=CellStatus.FAILED, error=error)))
    noted = _cell(2, role="check-warn:odd", status=CellStatus.FAILED, error=CellError("E", ""))
    progress(CellFinished(3, 3, noted))

    assert [(r.levelname, r.getMessage()) for r in caplog.records] == [
        ("ERROR", "cell 2 of 3 failed after 0.1 s: KeyError: 'tenure'"),
        ("WARNING", "cell 3 of 3 (check odd) failed after 0.1 s: E"),
    ]


def test_a_thousand_quick_cells_are_told_together_and_none_is_lost(
    progress: ProgressLog, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="test.progress")
    for number in range(1, 1001):
        seconds = 9.0 if number == 500 else 0.001
        progress(CellFinished(number, 1000, _cell(number - 1, seconds=seconds)))
    progress.flush()

    assert len(caplog.messages) < 50
    assert caplog.messages[0] == "cells 1 to 25 of 1000 completed in 0.0 s"
    assert "cell 500 of 1000 completed in 9.0 s" in caplog.messages
    assert caplog.messages[-1].startswith("cells ")
    assert " to 1000 of 1000 completed in " in caplog.messages[-1]


def _cell(
    index: int,
    *,
    role: str | None = None,
    status: CellStatus = CellStatus.COMPLETED,
    seconds: float | None = 0.1,
    error: CellError | None = None,
) -> CellResult:
    return CellResult(index, f"cell-{index}", role, status, seconds, error)
