"""What may have arrived in MLflow without anybody having heard so."""

from __future__ import annotations

from collections.abc import Iterable

from dagbook.execution.result import MetricPoint
from dagbook.sinks.mlflow import Identity, MlflowRun, identity, metric_name


class Doubt:
    """Keeps points from being sent twice after a crash, or a call that was not answered.

    MLflow's databases take the same point twice for one; its folders of files do not.
    """

    def __init__(self) -> None:
        self.arise()

    def arise(self) -> None:
        """From now on ask before sending."""
        self._is_there = True
        self._logged: set[str] | None = None
        self._histories: dict[str, set[Identity]] = {}

    def end(self) -> None:
        """Everything that was sent has been confirmed, and is from now on."""
        self.arise()
        self._is_there = False

    def left_out(self, run: MlflowRun, points: Iterable[MetricPoint]) -> list[MetricPoint]:
        """The points that have to be sent."""
        if not self._is_there:
            return list(points)
        return [p for p in points if identity(p) not in self._history(run, p.name)]

    def _history(self, run: MlflowRun, name: str) -> set[Identity]:
        if self._logged is None:
            self._logged, _ = run.logged()
        key = metric_name(name)
        if key not in self._histories:
            self._histories[key] = run.history(key) if key in self._logged else set()
        return self._histories[key]
