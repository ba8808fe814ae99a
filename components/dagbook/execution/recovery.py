"""Turns the journal of a run that vanished into the notebook it would have written."""

from __future__ import annotations

from pathlib import Path
from shutil import rmtree
from typing import Any

from dagbook.atomic_write import write_atomically
from dagbook.execution.journal import read_journal
from dagbook.execution.kernel import SCRATCH_PREFIX
from dagbook.execution.outputs import CellOutputs
from dagbook.execution.result import (
    CellError,
    CellResult,
    CellStatus,
    CheckResult,
    ExecutionResult,
    MetricPoint,
    RunStatus,
)
from dagbook.execution.stored_notebook import complete_document, serialise
from dagbook.report import REPORTS_FILE_NAME, read_reports

# Nothing is cut again: what stands in a journal was within its run's limits.
_NO_CAP = 2**40


def recover(folder: Path) -> Path | None:
    """Write the notebook of the run that left `folder`, then remove the folder.

    Everything that had reached the journal is in it; the cell that was running is marked
    killed, the later ones not run.

    Returns:
        The notebook, or None when the run had not got as far as having one.
    """
    replay = _Replay()
    try:
        for event in read_journal(folder):
            replay.take(event)
    except FileNotFoundError:
        pass  # it vanished before its first line, or another process recovers it right now
    path = None
    if replay.document is not None:
        replay.take_reports(folder / REPORTS_FILE_NAME)
        path = replay.write()
    rmtree(folder, ignore_errors=True)
    return path


class _Replay:
    """The state of an execution, rebuilt event by event."""

    def __init__(self) -> None:
        self.document: dict[str, Any] | None = None
        self.result = ExecutionResult(RunStatus.KILLED)
        self.outputs: dict[int, CellOutputs] = {}
        self.target = ""
        self.running: int | None = None
        self.running_cell = 0
        self.last_time = 0.0

    def take(self, event: list[Any]) -> None:
        kind, *fields = event
        handler = getattr(self, f"_on_{kind}", None)
        if handler is not None:
            handler(*fields)

    def _on_start(self, started_at: float, target: str, size: str, notebook: str | None) -> None:
        self.result.started_at = self.last_time = started_at
        self.result.size = size
        self.result.notebook = None if notebook is None else Path(notebook)
        self.target = target

    def _on_sockets(self, folder: str) -> None:
        if Path(folder).name.startswith(SCRATCH_PREFIX):
            rmtree(folder, ignore_errors=True)

    def _on_document(
        self, document: dict[str, Any], parameters: dict[str, Any], cells: list[list[Any]]
    ) -> None:
        self.document = document
        self.result.parameters = parameters
        self.result.cells = [CellResult(index, cell_id, role) for index, cell_id, role in cells]

    def _on_cell(self, position: int, status: str, time: float | None, error: Any) -> None:
        assert self.document is not None
        cell_id = self.document["cells"][position].get("id", "")
        # The injected cell has no result of its own.
        cell = next((c for c in self.result.cells if c.id == cell_id), CellResult(0, "", None))
        if status == "running":
            self.running, self.running_cell = position, cell.index
            self.last_time = time or self.last_time
            cell.status = CellStatus.KILLED
            self.outputs[position] = CellOutputs(_NO_CAP)
            return
        self.running = None
        cell.status = CellStatus(status)
        cell.duration_seconds = time
        cell.error = None if error is None else CellError(*error)

    def _on_stream(self, position: int, name: str, text: str) -> None:
        self.outputs[position].add_stream(name, text)

    def _on_output(self, position: int, output: dict[str, Any], display_id: str | None) -> None:
        self.outputs[position].add(output, display_id)

    def _on_update(self, display_id: str, output: dict[str, Any]) -> None:
        for outputs in self.outputs.values():
            outputs.update_display(display_id, output)

    def _on_clear(self, position: int, wait: bool) -> None:
        self.outputs[position].clear(wait)

    def _on_snapshot(self, position: int, outputs: list[dict[str, Any]]) -> None:
        self.outputs[position].replace(outputs)

    def _on_check(self, name: str, passed: bool, blocking: bool, message: str) -> None:
        self.result.checks.append(CheckResult(name, passed, blocking, message))

    def _on_metrics(self, points: list[list[Any]]) -> None:
        self.result.metrics += [
            MetricPoint(name, float(value), step, time) for name, value, step, time in points
        ]

    def take_reports(self, path: Path) -> None:
        """Add what the notebook reported after the journal's last word."""
        known = {(p.name, p.step, p.timestamp) for p in self.result.metrics}
        offset, moved = 0, True
        while moved:
            reports, after = read_reports(path, offset)
            moved, offset = after != offset, after
            self.result.metrics += [
                MetricPoint(*report)
                for report in reports
                if (report.name, report.step, report.timestamp) not in known
            ]

    def write(self) -> Path:
        assert self.document is not None
        at = "" if self.running is None else f" in cell {self.running_cell + 1}"
        self.result.reason = f"the runner vanished{at}: killed, or its machine stopped"
        self.result.duration_seconds = max(0.0, self.last_time - self.result.started_at)
        complete_document(
            self.document, self.outputs, self.result, stopped_at=self.running, size=None
        )
        path = Path(self.target.replace("{state}", str(self.result.status)))
        write_atomically(path, serialise(self.document))
        return path
