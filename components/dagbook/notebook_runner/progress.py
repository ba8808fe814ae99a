"""A run's log lines: which cell ended how, as it happens."""

from __future__ import annotations

import logging

from dagbook.execution.events import CellFinished, ExecutionEvent, Warned
from dagbook.execution.result import CellStatus

# Each line is an event in Dagster's database. A notebook of a thousand cells that told of every
# one would spend more time on that than on itself.
FULL_LINES = 40
_SLOW_SECONDS = 5.0


class ProgressLog:
    """Listens to an execution and logs its progress: ``cell 3 of 12 completed in 0.4 s``.

    Up to 40 cells each get a line; of more, quick ones are told together.
    """

    def __init__(self, log: logging.Logger) -> None:
        self._log = log
        self._together: list[CellFinished] = []

    def __call__(self, event: ExecutionEvent) -> None:
        """Take in one event of the execution."""
        if isinstance(event, CellFinished):
            self._finished(event)
        elif isinstance(event, Warned):
            self._log.warning(event.text)

    def flush(self) -> None:
        """Tell what has not been told yet."""
        told, self._together = self._together, []
        if not told:
            return
        if len(told) == 1:
            self._log.info(f"{_name(told[0])} {_how(told[0])}")
            return
        seconds = sum(event.cell.duration_seconds or 0 for event in told)
        first, last = told[0].number, told[-1].number
        self._log.info(f"cells {first} to {last} of {told[0].of} completed in {seconds:.1f} s")

    def _finished(self, event: CellFinished) -> None:
        cell = event.cell
        if cell.status is CellStatus.COMPLETED or cell.status is CellStatus.SKIPPED:
            if cell.status is CellStatus.SKIPPED and event.of > FULL_LINES:
                return
            worth_a_line = (
                event.of <= FULL_LINES
                or (cell.duration_seconds or 0) >= _SLOW_SECONDS
                or (cell.role or "").startswith("check")
            )
            if worth_a_line:
                self.flush()
            self._together.append(event)
            if worth_a_line or len(self._together) >= max(1, event.of // FULL_LINES):
                self.flush()
            return
        self.flush()
        noted = (cell.role or "").startswith("check-warn")
        self._log.log(logging.WARNING if noted else logging.ERROR, f"{_name(event)} {_how(event)}")


def _name(event: CellFinished) -> str:
    role = (event.cell.role or "").replace("check-warn:", "check ").replace(":", " ")
    return f"cell {event.number} of {event.of}" + (f" ({role})" if role else "")


def _how(event: CellFinished) -> str:
    cell = event.cell
    if cell.status is CellStatus.SKIPPED:
        return "left out"
    after = "" if cell.duration_seconds is None else f" {_seconds(cell.duration_seconds)}"
    how = str(cell.status).replace("_", " ")
    text = f"{how} {'in' if cell.status is CellStatus.COMPLETED else 'after'}{after}"
    if cell.error is not None:
        lines = cell.error.message.strip().splitlines()
        text += f": {cell.error.name}" + (f": {lines[0]}" if lines else "")
    return text


def _seconds(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
