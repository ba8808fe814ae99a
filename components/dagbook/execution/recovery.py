"""Turns the journal of a run that vanished into the notebook it would have written."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

from dagbook.atomic_write import TEMPORARY_SUFFIX, write_atomically
from dagbook.execution.cgroups import is_group
from dagbook.execution.guardian import remove_folders, remove_groups
from dagbook.execution.journal import read_journal, to_json
from dagbook.execution.outputs import CellOutputs
from dagbook.execution.private_folder import INSIDE, SCRATCH_PREFIX
from dagbook.execution.provenance import Provenance
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
from dagbook.execution.run_folder import RUNNING_SUFFIX, RunFolder, sweep
from dagbook.report import REPORTS_FILE_NAME, read_reports

# Nothing is cut again: what stands in a journal was within its run's limits.
_NO_CAP = 2**40


def recover_runs(folder: Path) -> list[Path]:
    """Finish what runs that vanished left in `folder`; returns the notebooks written.

    It may be killed, and called by several at once: what is left stays until its notebook is in
    place, and the next look does the same. What cannot be written now is left for it too.
    """
    written = []
    # Looked through once: a folder may hold thousands of notebooks.
    try:
        hidden = sorted(path for path in folder.iterdir() if path.name.startswith("."))
    except OSError:
        return []
    for left in hidden:
        if not left.name.endswith(RUNNING_SUFFIX):
            continue
        owned = RunFolder.adopt(left)
        if owned is None:
            continue
        try:
            path = _recover(owned.path)
        except OSError:
            owned.release()
        except Exception:
            # One journal nobody can read must not keep a folder from being used.
            owned.set_aside()
        else:
            owned.remove()
            if path is not None:
                written.append(path)
    sweep(hidden)
    return written


def recover_below(top: Path) -> list[Path]:
    """The same for `top` and every folder below it, but those that are hidden."""
    written = []
    for folder, names, _ in os.walk(top):
        if any(name.endswith((RUNNING_SUFFIX, TEMPORARY_SUFFIX)) for name in names):
            written += recover_runs(Path(folder))
        names[:] = [name for name in names if not name.startswith(".")]
    return written


def _recover(folder: Path) -> Path | None:
    """Write the notebook of the run that left `folder`.

    Everything that had reached the journal is in it; the cell that was running is marked
    killed, the later ones not run.

    Returns:
        The notebook; None when the run had not got as far as having one, or had stored it itself.
    """
    replay = _Replay()
    try:
        for event in read_journal(folder):
            replay.take(event)
    except FileNotFoundError:
        return None  # it vanished before its first line
    if replay.shared is not None:
        replay.take_reports(replay.shared / INSIDE / REPORTS_FILE_NAME)
    if replay.document is None:
        replay.clear_up()
        return None
    replay.take_reports(folder / REPORTS_FILE_NAME)
    path = None if replay.is_stored(folder) else replay.write(folder)
    replay.put_on_record()
    replay.clear_up()
    return path


class _Replay:
    """The state of an execution, rebuilt event by event."""

    def __init__(self) -> None:
        self.document: dict[str, Any] | None = None
        self.result = ExecutionResult(RunStatus.KILLED, cause=Cause.RUNNER)
        self.outputs: dict[int, CellOutputs] = {}
        self.target = ""
        self.good_runs: Path | None = None
        self.record: Path | None = None
        self.shared: Path | None = None
        self.running: int | None = None
        self.running_cell = 0
        self.last_time = 0.0
        self.is_masked = False
        self.names: set[str] = set()
        self.untold = 0
        self.ended: dict[str, Any] | None = None

    def take(self, event: list[Any]) -> None:
        """Carry out one event. One that makes no sense says nothing, the others still do."""
        kind, *fields = event
        handler = getattr(self, f"_on_{kind}", None)
        if handler is not None:
            with suppress(Exception):
                handler(*fields)

    def _on_start(
        self, started_at: float, target: str, size: str, notebook: str | None, *_: Any
    ) -> None:
        self.result.started_at = self.last_time = started_at
        self.result.size = size
        self.result.notebook = None if notebook is None else Path(notebook)
        self.target = target

    def _on_masked(self) -> None:
        self.is_masked = True

    def _on_record(self, path: str) -> None:
        self.record = Path(path)

    def _on_sockets(self, folder: str) -> None:
        if Path(folder).name.startswith(SCRATCH_PREFIX):
            remove_folders([folder])

    def _on_private(self, folder: str) -> None:
        # The files of its credentials.
        self._on_sockets(folder)

    def _on_shared(self, folder: str) -> None:
        self.shared = Path(folder)

    def _on_groups(self, folders: list[str]) -> None:
        # There still only when the guardian was killed too; then they may hold what is left.
        remove_groups([folder for folder in folders if is_group(Path(folder))])

    def _on_document(
        self, document: dict[str, Any], parameters: dict[str, Any], cells: list[list[Any]]
    ) -> None:
        self.document = document
        self.result.parameters = parameters
        self.result.cells = [CellResult(index, cell_id, role) for index, cell_id, role in cells]

    def _on_provenance(self, told: dict[str, Any], good_runs: str) -> None:
        self.result.provenance = Provenance.from_json(told)
        self.good_runs = Path(good_runs)

    def _on_cell(
        self, position: int, status: str, time: float | None, error: Any, count: int | None = None
    ) -> None:
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
        self.last_time += time or 0.0
        self.document["cells"][position]["execution_count"] = count
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

    def _on_snapshot(
        self,
        position: int,
        outputs: list[dict[str, Any]],
        displays: dict[str, list[int]] | None = None,
    ) -> None:
        self.outputs[position].replace(outputs, displays or {})

    def _on_end(self, told: dict[str, Any]) -> None:
        self.ended = told

    def _on_check(self, name: str, passed: bool, blocking: bool, message: str) -> None:
        self.result.checks.append(CheckResult(name, passed, blocking, message))

    def _on_metrics(self, points: list[list[Any]]) -> None:
        self.result.metrics += [
            MetricPoint(name, float(value), step, time) for name, value, step, time in points
        ]

    def take_reports(self, path: Path) -> None:
        """Add what the notebook reported after the journal's last word."""
        known = {(p.name, p.step, p.timestamp) for p in self.result.metrics}
        self.names |= {point.name for point in self.result.metrics}
        offset, moved = 0, True
        while moved:
            reports, after = read_reports(path, offset)
            moved, offset = after != offset, after
            fresh = [r for r in reports if (r.name, r.step, r.timestamp) not in known]
            if self.is_masked:
                # Nobody here knows the run's credentials, so a name may hold one.
                taken = [report for report in fresh if report.name in self.names]
                self.untold += len(fresh) - len(taken)
                fresh = taken
            self.result.metrics += [MetricPoint(*report) for report in fresh]

    def clear_up(self) -> None:
        """Remove what the runner shared with a kernel of another user."""
        if self.shared is not None:
            self._on_sockets(str(self.shared))

    def is_stored(self, folder: Path) -> bool:
        """Whether the run had put its notebook in place, and only not cleared up after it."""
        if "{state}" in self.target:
            # No other run ever had that name.
            stored = next(folder.parent.glob(f"{_stem(folder)}-*.ipynb"), None)
        else:
            stored = self._notebook(folder)
            try:
                told: Any = json.loads(stored.read_bytes())["metadata"]["dagbook"]["started_at"]
            except (OSError, ValueError, KeyError, TypeError):
                return False
            if told != self.result.started_at:
                return False
        if stored is not None:
            self.result.executed_notebook = stored
            self.result.reason = "the runner vanished after it had stored the notebook"
        return stored is not None

    def write(self, folder: Path) -> Path:
        """Write the notebook beside the journal's folder, wherever that is now."""
        # Not needed by the runs that find nothing left, which are nearly all.
        from dagbook.execution.last_good import compare_with_last_good
        from dagbook.execution.stored_notebook import complete_document, serialise

        assert self.document is not None
        result = self.result
        at = "" if self.running is None else f" in cell {self.running_cell + 1}"
        result.reason = f"the runner vanished{at}: killed, or its machine stopped"
        result.duration_seconds = max(0.0, self.last_time - result.started_at)
        stopped_at = self.running
        if self.ended is not None:
            stopped_at = self._take_end(self.ended)
        if self.untold:
            result.notes.append(
                f"{self.untold} measurements of the last moment are left out: a run with "
                "credentials vanished before their names were looked through"
            )
        if self.good_runs is not None:
            result.last_good_run = compare_with_last_good(
                result,
                output=None if "{state}" in self.target else self._notebook(folder),
                folder=self.good_runs,
            )
        complete_document(self.document, self.outputs, result, stopped_at=stopped_at, size=None)
        path = self._notebook(folder)
        write_atomically(path, serialise(self.document), private=True)
        result.executed_notebook = path
        return path

    def _take_end(self, told: dict[str, Any]) -> int | None:
        """Take over how the run had ended, when only its notebook was still to be stored."""
        result = self.result
        result.status, result.reason = RunStatus(told["status"]), told["reason"]
        if result.status is RunStatus.SUCCEEDED:
            # Nobody was told that it succeeded, so it did not.
            result.status = RunStatus.KILLED
            result.reason = (
                "every cell ended, but the notebook could not be stored: the runner was killed, "
                "its machine stopped, or its disk was full"
            )
        result.duration_seconds = told["duration_seconds"]
        result.notes = told["notes"]
        known = {field.name for field in fields(Resources)}
        used = {name: value for name, value in told["resources"].items() if name in known}
        used["gpu"] = GpuUse(**used["gpu"]) if used.get("gpu") else None
        result.resources = Resources(**used)
        stopped_at: int | None = told["stopped_at"]
        return stopped_at

    def _notebook(self, folder: Path) -> Path:
        state = f"-{self.result.status}" if "{state}" in self.target else ""
        return folder.parent / f"{_stem(folder)}{state}.ipynb"

    def put_on_record(self) -> None:
        """Tell the result to whoever asked for it when the run began."""
        # Without its folder nobody waits for it any more.
        if self.record is not None and self.record.parent.is_dir():
            write_atomically(self.record, to_json(self.result.to_json()), private=True)


def _stem(folder: Path) -> str:
    return folder.name.removeprefix(".").removesuffix(RUNNING_SUFFIX)
