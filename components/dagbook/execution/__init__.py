"""The runner: executes one notebook and tells the truth about it."""

from dagbook.execution.events import (
    CellFinished,
    CellStarted,
    EventListener,
    ExecutionEvent,
    MetricsReported,
    Warned,
)
from dagbook.execution.outputs import OutputLimits
from dagbook.execution.result import (
    Cause,
    CellError,
    CellResult,
    CellStatus,
    CheckResult,
    ExecutionResult,
    GpuUse,
    MetricPoint,
    Resources,
    RunStatus,
)
from dagbook.execution.run import run_notebook

__all__ = [
    "Cause",
    "CellError",
    "CellFinished",
    "CellResult",
    "CellStarted",
    "CellStatus",
    "CheckResult",
    "EventListener",
    "ExecutionEvent",
    "ExecutionResult",
    "GpuUse",
    "MetricPoint",
    "MetricsReported",
    "OutputLimits",
    "Resources",
    "RunStatus",
    "Warned",
    "run_notebook",
]
