"""What one execution came to: the object `dagbook run --json` prints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.execution.provenance import Provenance

if TYPE_CHECKING:
    from dagbook.execution.last_good import Comparison

SCHEMA_ID = "dagbook.execution/1"


class RunStatus(StrEnum):
    """How an execution ended; `exit_code` is what `dagbook run` exits with."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    REFUSED = "refused"
    KILLED = "killed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"

    @property
    def exit_code(self) -> int:
        """The process exit status that says the same."""
        return _EXIT_CODES[self]


_EXIT_CODES = {
    RunStatus.SUCCEEDED: 0,
    RunStatus.FAILED: 1,
    RunStatus.REFUSED: 2,
    RunStatus.KILLED: 3,
    RunStatus.TIMED_OUT: 4,
    RunStatus.CANCELLED: 130,
}


class Cause(StrEnum):
    """What ended an execution that did not succeed; `reason` says it in full."""

    NONE = ""
    ERROR = "error"  # a cell raised
    CHECK = "check"  # a blocking check failed
    MEMORY = "memory"  # more memory than the size
    TIME = "time"  # more time than the run or a cell has
    BUDGET = "budget"  # more money than the run may cost
    KERNEL = "kernel"  # the kernel ended, by itself or killed by somebody else
    CANCELLED = "cancelled"
    RUNNER = "runner"  # the process that ran the notebook vanished
    REFUSED = "refused"
    STORAGE = "storage"  # it succeeded, but its notebook could not be stored


class CellStatus(StrEnum):
    """How one cell ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    KILLED = "killed"
    TIMED_OUT = "timed_out"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"
    NOT_RUN = "not_run"


@dataclass(frozen=True)
class CellError:
    """The exception a cell ended with, as the kernel named it."""

    name: str
    message: str


@dataclass
class CellResult:
    """One code cell of the notebook as written. `index` counts from 0 over all its cells."""

    index: int
    id: str
    role: str | None
    status: CellStatus = CellStatus.NOT_RUN
    duration_seconds: float | None = None
    error: CellError | None = None


@dataclass(frozen=True)
class MetricPoint:
    """One measurement the notebook reported. `timestamp` is Unix time in seconds."""

    name: str
    value: float
    step: int | None
    timestamp: float


@dataclass(frozen=True)
class CheckResult:
    """What became of one check cell. `message` is empty when it passed."""

    name: str
    passed: bool
    blocking: bool
    message: str = ""


@dataclass
class GpuUse:
    """What the run's processes used of the machine's GPUs, sampled through NVML."""

    peak_memory_bytes: int
    mean_utilization_percent: float | None
    names: list[str]


@dataclass
class Resources:
    """What the kernel's whole process tree used, and what held it. Bytes and CPU seconds.

    Attributes:
        peak_memory_bytes: the most that was seen in use at once, and no less than what the
            largest process held at any time. Memory that the system can take back, such as the
            page cache of files read, is not use; of a single process's own peak the files it
            had mapped cannot be told apart. Of a run ended at its limit by the system: the
            limit, or more.
        limit_bytes: the size's memory.
        enforced_by: by what means that limit was held; the same as ``means["memory"]``.
        means: what held ``memory`` (cgroup v1, cgroup v2, sampling, none), ``cpu`` (cgroup
            quota, affinity, none: it has all there are) and ``processes`` (pid namespace,
            guardian) in the run, and ``process_limit`` (cgroup, none), ``time`` (clock, none).
    """

    peak_memory_bytes: int = 0
    mean_memory_bytes: int = 0
    cpu_seconds: float = 0.0
    gpu: GpuUse | None = None
    limit_bytes: int | None = None
    enforced_by: str = "none"
    means: dict[str, str] = field(default_factory=dict)


@dataclass
class ExecutionResult:
    """One execution of one notebook: what ran, with what, what came out, and why it ended."""

    status: RunStatus
    reason: str = ""
    notebook: Path | None = None
    executed_notebook: Path | None = None
    executed_html: Path | None = None
    started_at: float = 0.0
    duration_seconds: float = 0.0
    cells: list[CellResult] = field(default_factory=list)
    parameters: dict[str, Any] = field(default_factory=dict)
    metrics: list[MetricPoint] = field(default_factory=list)
    checks: list[CheckResult] = field(default_factory=list)
    resources: Resources = field(default_factory=Resources)
    size: str = ""
    notes: list[str] = field(default_factory=list)
    cause: Cause = Cause.NONE
    provenance: Provenance | None = None
    last_good_run: Comparison | None = None

    @property
    def succeeded(self) -> bool:
        """Whether everything that had to run ran and no blocking check failed."""
        return self.status is RunStatus.SUCCEEDED

    def tell_unstored(self, reason: str) -> None:
        """Say that the notebook could not be stored: a run that succeeded then did not."""
        self.executed_notebook = None
        if self.succeeded:
            self.status, self.reason, self.cause = RunStatus.FAILED, reason, Cause.STORAGE
        else:
            self.notes.append(reason)

    @property
    def failed_cell(self) -> CellResult | None:
        """The cell that ended the run, if one did."""
        ended = {CellStatus.FAILED, CellStatus.KILLED, CellStatus.TIMED_OUT, CellStatus.CANCELLED}
        return next((c for c in reversed(self.cells) if c.status in ended), None)

    @property
    def last_metrics(self) -> dict[str, float]:
        """The last value of each metric, in the order they first appeared."""
        return {point.name: point.value for point in self.metrics}

    def to_json(self) -> dict[str, Any]:
        """The result as plain JSON values, in the published schema.

        Infinity and NaN, which JSON has no numbers for, are the strings ``"inf"``,
        ``"-inf"`` and ``"nan"``.
        """
        gpu = self.resources.gpu
        return {
            "schema": SCHEMA_ID,
            "status": str(self.status),
            "reason": self.reason,
            "cause": str(self.cause),
            "notebook": _path(self.notebook),
            "executed_notebook": _path(self.executed_notebook),
            "executed_html": _path(self.executed_html),
            "started_at": self.started_at,
            "duration_seconds": round(self.duration_seconds, 3),
            "cells": [
                {
                    "index": cell.index,
                    "id": cell.id,
                    "role": cell.role,
                    "status": str(cell.status),
                    "duration_seconds": cell.duration_seconds,
                    "error": None
                    if cell.error is None
                    else {"name": cell.error.name, "message": cell.error.message},
                }
                for cell in self.cells
            ],
            "parameters": json_safe(self.parameters),
            "metrics": [
                {
                    "name": point.name,
                    "value": json_safe(point.value),
                    "step": point.step,
                    "timestamp": point.timestamp,
                }
                for point in self.metrics
            ],
            "checks": [
                {
                    "name": check.name,
                    "passed": check.passed,
                    "blocking": check.blocking,
                    "message": check.message,
                }
                for check in self.checks
            ],
            "resources": {
                "peak_memory_bytes": self.resources.peak_memory_bytes,
                "mean_memory_bytes": self.resources.mean_memory_bytes,
                "cpu_seconds": round(self.resources.cpu_seconds, 3),
                "gpu": None
                if gpu is None
                else {
                    "peak_memory_bytes": gpu.peak_memory_bytes,
                    "mean_utilization_percent": gpu.mean_utilization_percent,
                    "names": gpu.names,
                },
                "limit_bytes": self.resources.limit_bytes,
                "enforced_by": self.resources.enforced_by,
                "means": self.resources.means,
            },
            "size": self.size,
            "notes": self.notes,
            "provenance": None if self.provenance is None else self.provenance.to_json(),
            "last_good_run": None if self.last_good_run is None else self.last_good_run.to_json(),
        }


def json_safe(value: Any) -> Any:
    """Replace what JSON cannot hold: non-finite floats become strings, odd objects their text."""
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, Mapping):
        return {str(key): json_safe(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [json_safe(item) for item in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


def _path(path: Path | None) -> str | None:
    return None if path is None else str(path)
