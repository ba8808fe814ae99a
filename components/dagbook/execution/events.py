"""What an execution tells its caller while it goes on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dagbook.execution.result import CellResult, MetricPoint


@dataclass(frozen=True)
class CellStarted:
    """A code cell was sent to the kernel. `number` counts from 1 over all `of` cells."""

    number: int
    of: int
    cell: CellResult


@dataclass(frozen=True)
class CellFinished:
    """A code cell ended, or was left out; `cell.status` says how."""

    number: int
    of: int
    cell: CellResult


@dataclass(frozen=True)
class MetricsReported:
    """The notebook reported measurements since the last such event."""

    points: tuple[MetricPoint, ...]


@dataclass(frozen=True)
class Warned:
    """Something is not as it should be, and the run goes on. One line."""

    text: str


ExecutionEvent = CellStarted | CellFinished | MetricsReported | Warned
EventListener = Callable[[ExecutionEvent], None]
