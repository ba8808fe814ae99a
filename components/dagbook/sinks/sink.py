"""What a company writes to take the measurements and the results of runs somewhere of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from dagbook.execution.result import ExecutionResult, MetricPoint


@dataclass(frozen=True)
class SinkRun:
    """One try of one run, as a sink is told of it."""

    run_id: str
    asset: str
    """The asset's key, its parts separated by slashes"""
    notebook: str
    """Relative to the project"""
    partition: str | None
    environment: str
    """dev, staging, prod, …: what the deployment says"""
    attempt: int
    """Counts from 1"""


class Sink(Protocol):
    """Takes a run somewhere: to a table, a channel, a service of the company.

    A component's `sinks()` makes a new one for each try of a run. Its methods are called one
    after the other on a thread of its own, so that a slow one holds up nothing; what one raises
    is said in the run's log, and the sink is asked nothing more. When the run has ended it has
    `FINISH_SECONDS` to come to an end.

    Nothing is told to it when the process that runs the notebook vanishes: what must not be lost
    belongs to what Dagster and MLflow record.
    """

    def start(self, run: SinkRun) -> None:
        """The run begins; called once, first."""

    def log(self, points: Sequence[MetricPoint]) -> None:
        """Measurements that the notebook reported, as they come in."""

    def finish(self, result: ExecutionResult) -> None:
        """The run ended, whichever way; called once, last.

        Of a run that was refused or broken off before its kernel started, the status is all that
        the result says.
        """


#: How long all sinks of a run together may take after its end, in seconds.
FINISH_SECONDS = 30.0
