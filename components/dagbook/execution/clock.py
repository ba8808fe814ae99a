"""When a run, or the cell it is in, has had its time."""

from __future__ import annotations

import time
from dataclasses import dataclass

from dagbook.execution.result import Cause
from dagbook.execution.words import in_time


@dataclass(frozen=True)
class RunBudget:
    """What a run may cost, as the time it buys.

    Attributes:
        seconds: after which the money is spent.
        label: whose limit that is, for the reason: ``budget of 5.00 USD per run reached``.
    """

    seconds: float
    label: str


@dataclass
class Clock:
    """The limits of one run. Seconds; `began` is monotonic time.

    Attributes:
        run_seconds: for the whole run, whose limit `run_label` says, of the kind `run_cause`.
        cell_seconds: for each cell.
        grace_seconds: within which an ended run must be gone. Half of it is for the
            interrupt, whose traceback shows where the cell was.
    """

    began: float
    run_seconds: float | None
    cell_seconds: float | None
    grace_seconds: float
    run_label: str
    run_cause: Cause = Cause.TIME
    _cell: int = 0
    _cell_began: float | None = None
    _gone_by: float | None = None

    def start_cell(self, number: int) -> None:
        """Note that the cell people call `number` starts now."""
        self._cell, self._cell_began = number, time.monotonic()

    def stop_cell(self) -> None:
        """Note that no cell is running."""
        self._cell_began = None

    def seconds_left(self) -> float:
        """How much the run has left."""
        if self.run_seconds is None:
            return float("inf")
        return max(0.0, self.began + self.run_seconds - time.monotonic())

    def over(self) -> str | None:
        """Why the time is over, if it is."""
        now = time.monotonic()
        if self.run_seconds is not None and now >= self.began + self.run_seconds:
            return f"ended after {in_time(self.run_seconds)}, {self.run_label}"
        if (
            self.cell_seconds is not None
            and self._cell_began is not None
            and now >= self._cell_began + self.cell_seconds
        ):
            return f"cell {self._cell} ended after {in_time(self.cell_seconds)}, the limit per cell"
        return None

    @property
    def cause(self) -> Cause:
        """What kind of limit it is that is over."""
        return self.run_cause if self.seconds_left() == 0 else Cause.TIME

    def kill_at(self) -> float:
        """Until when a cell just interrupted may end by itself, in monotonic time."""
        now = time.monotonic()
        self._gone_by = now + self.grace_seconds
        return now + self.grace_seconds / 2

    def exit_seconds(self, most: float) -> float:
        """How long, up to `most`, the kernel may take to end by itself after its cells.

        Where the time was over, half of what is left of the grace: the rest is for storing.
        """
        if self._gone_by is None:
            return most
        return min(most, max(0.0, self._gone_by - time.monotonic()) / 2)
