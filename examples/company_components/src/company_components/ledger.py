"""The company's ledger of runs."""

import csv
from collections.abc import Sequence
from pathlib import Path

from dagbook.execution.result import ExecutionResult, MetricPoint
from dagbook.sinks import SinkRun


class Ledger:
    """Appends a line for each run: asset, cost centre, state, seconds."""

    def __init__(self, path: str, cost_centre: str) -> None:
        self._path = Path(path)
        self._cost_centre = cost_centre

    def start(self, run: SinkRun) -> None:
        """Remember which run it is."""
        self._run = run

    def log(self, points: Sequence[MetricPoint]) -> None:
        """Nothing: the ledger is about money."""

    def finish(self, result: ExecutionResult) -> None:
        """Write the line."""
        seconds = f"{result.duration_seconds:.1f}"
        with self._path.open("a", newline="", encoding="utf-8") as file:
            csv.writer(file).writerow([self._run.asset, self._cost_centre, result.status, seconds])
