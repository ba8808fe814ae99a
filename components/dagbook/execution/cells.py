"""Runs a notebook's cells in order, each by its role, until the end or until one stops it."""

from __future__ import annotations

import ast
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.execution.clock import Clock
from dagbook.execution.collector import OutputCollector, result_question
from dagbook.execution.events import CellFinished, CellStarted, EventListener, MetricsReported
from dagbook.execution.journal import Journal
from dagbook.execution.kernel import Kernel
from dagbook.execution.messages import Conversation, KernelDiedError
from dagbook.execution.metrics import (
    is_assertion_expression,
    metric_questions,
    read_metric_answers,
    truth_of,
)
from dagbook.execution.output_messages import execution_count
from dagbook.execution.result import (
    Cause,
    CellError,
    CellResult,
    CellStatus,
    CheckResult,
    MetricPoint,
    RunStatus,
)
from dagbook.execution.verdict import Verdict
from dagbook.execution.wire import Message
from dagbook.execution.words import in_one_line
from dagbook.notebook import Cell, Notebook, RoleKind
from dagbook.report import read_reports

if TYPE_CHECKING:
    from dagbook.masking import Masker

INJECTED = "injected-parameters"

_CELL_STATUS = {
    RunStatus.KILLED: CellStatus.KILLED,
    RunStatus.TIMED_OUT: CellStatus.TIMED_OUT,
    RunStatus.CANCELLED: CellStatus.CANCELLED,
    RunStatus.FAILED: CellStatus.FAILED,
}


class CellRunner:
    """One pass over the cells of a document, and what it has come to so far."""

    def __init__(
        self,
        *,
        notebook: Notebook,
        document: Any,
        codes: Mapping[int, str],
        kernel: Kernel,
        conversation: Conversation,
        journal: Journal,
        collector: OutputCollector,
        clock: Clock,
        reports: Path,
        emit: EventListener,
        results: dict[str, CellResult],
        over_size: Callable[[], str | None],
        should_stop: Callable[[], str | None] | None = None,
        masker: Masker | None = None,
    ) -> None:
        self.metrics: list[MetricPoint] = []
        self.checks: list[CheckResult] = []
        self.verdict: Verdict | None = None
        self.stopped_at: int | None = None
        self._notebook = notebook
        self._document = document
        # What the kernel gets; the document may be masked.
        self._codes = codes
        self._masker = masker
        self._kernel = kernel
        self._conversation = conversation
        self._journal = journal
        self._collector = collector
        self._clock = clock
        self._reports = reports
        self._reports_read = 0
        self._emit = emit
        self._results = results
        self._over_size = over_size
        self._should_stop = should_stop
        self._authored = {cell.id: cell for cell in notebook.cells}
        self._cell_metrics: list[MetricPoint] = []
        self._kill_at: float | None = None

    def run(self) -> None:
        """Run cell after cell until the end, or until a verdict stops it."""
        for position, cell in enumerate(self._document["cells"]):
            if cell["cell_type"] != "code":
                continue
            authored = self._authored.get(cell.get("id", ""))
            result = self._result_of(cell, authored)
            if authored is not None and authored.is_skipped:
                result.status = CellStatus.SKIPPED
                self._end_cell(position, cell, result)
                continue
            try:
                goes_on = self._run_cell(position, cell, authored, result)
            except BaseException:
                result.status = CellStatus.CANCELLED
                self.stopped_at = position
                raise
            finally:
                self._end_cell(position, cell, result)
            if not goes_on:
                self.stopped_at = position
                return

    def _result_of(self, cell: Any, authored: Cell | None) -> CellResult:
        if authored is not None:
            return self._results[authored.id]
        # The cell papermill injected: what happens in it is told of the parameters cell.
        parameters = self._notebook.parameters_cell
        index = -1 if parameters is None else parameters.index
        return CellResult(index, cell.get("id", ""), INJECTED)

    def _run_cell(
        self, position: int, cell: Any, authored: Cell | None, result: CellResult
    ) -> bool:
        """Run one cell; True when the next one may run."""
        if authored is not None:
            self._emit(CellStarted(result.index + 1, len(self._notebook.cells), result))
        self._collector.begin(position)
        self._journal.begin_cell(position, self._collector.outputs[position])
        code = self._codes[position] if authored is None else authored.kernel_source
        if not code.strip():
            result.status, result.duration_seconds = CellStatus.COMPLETED, 0.0
            return True
        names = self._metric_names(authored)
        results = authored.results if authored is not None and self._is_python else ()
        started = time.monotonic()
        self._clock.start_cell(result.index + 1)
        try:
            reply = self._conversation.execute(
                code,
                cell=position,
                on_message=self._collector.take,
                tick=self.tick,
                meanwhile=self._do_waiting_work,
                user_expressions={
                    **metric_questions(self._notebook.language, names),
                    **{result_question(name): name for name in results},
                },
            )
        except KernelDiedError as died:
            self._kernel_ended(result, died)
            return False
        finally:
            result.duration_seconds = round(time.monotonic() - started, 6)
            self._clock.stop_cell()
        cell["execution_count"] = execution_count(reply)
        # A child the system ended for want of memory, which the cell may take for an error of
        # its own or not notice at all.
        if (reason := self._over_size()) is not None:
            self.memory_exceeded(reason)
        if self.verdict is not None:
            result.status = _CELL_STATUS[self.verdict.status]
            return False
        try:
            goes_on = self._judge(position, cell, authored, result, reply)
            if result.status is CellStatus.COMPLETED:
                if names:
                    self._take_metrics(names, reply)
                for name in results:
                    self._collector.show_result(position, name, reply)
        except KernelDiedError as died:  # when asked about the cell
            self._kernel_ended(result, died)
            return False
        return goes_on

    @property
    def _is_python(self) -> bool:
        return self._notebook.language.lower() == "python"

    def _metric_names(self, authored: Cell | None) -> tuple[str, ...]:
        role = None if authored is None else authored.role
        if authored is None or role is None or role.kind is not RoleKind.METRICS:
            return ()
        return tuple(self._notebook.metric_names(authored))

    def _judge(
        self, position: int, cell: Any, authored: Cell | None, result: CellResult, reply: Message
    ) -> bool:
        """Decide what a reply means for the cell's role; True when the run goes on."""
        role = None if authored is None else authored.role
        check = role if role is not None and role.kind is RoleKind.CHECK else None
        result.status = CellStatus.COMPLETED
        if reply.get("status") == "ok":
            if check is not None:
                self._note_check(CheckResult(str(check.name), True, not check.warn))
            return True
        name, message = str(reply.get("ename", "")), str(reply.get("evalue", ""))
        if name == "SystemExit" and message in ("", "0"):
            return False  # as papermill reads it: the author's way to end early and well
        if "raises-exception" in cell["metadata"].get("tags", []):
            return True
        result.status = CellStatus.FAILED
        result.error = CellError(name, message)
        self._collector.show_error(position, reply)
        number = result.index + 1
        if check is None or not self._is_assertion(name):
            reason = f"{in_one_line(name, message)} in cell {number}"
            self._stop(RunStatus.FAILED, reason, Cause.ERROR)
            return False
        said = message.strip() or self._masked(_only_assertion(authored))
        self._note_check(CheckResult(str(check.name), False, not check.warn, said))
        if check.warn:
            self._collector.note_check(position, str(check.name), said)
            return True
        reason = in_one_line(f"check {check.name} failed in cell {number}", said)
        self._stop(RunStatus.FAILED, reason, Cause.CHECK)
        return False

    def _is_assertion(self, name: str) -> bool:
        if name == "AssertionError" or not self._is_python:
            # Other languages have no exception of their own for it (R's stopifnot raises a
            # plain error): there, any error in a check cell is the check failing.
            return True
        reply = self._conversation.execute(
            "",
            cell=None,
            on_message=lambda *_: None,
            tick=self.tick,
            user_expressions={"assertion": is_assertion_expression()},
        )
        return truth_of(reply, "assertion")

    def _masked(self, text: str) -> str:
        return text if self._masker is None else self._masker.text(text)

    def _note_check(self, check: CheckResult) -> None:
        self.checks.append(check)
        self._journal.event("check", check.name, check.passed, check.blocking, check.message)

    def _take_metrics(self, names: tuple[str, ...], reply: Mapping[str, Any]) -> None:
        answers = read_metric_answers(self._notebook.language, self._conversation, names, reply)
        self._add_metrics(
            [MetricPoint(name, value, None, time.time()) for name, value in answers.items()]
        )

    def _read_reports(self) -> None:
        while True:
            found, read_to = read_reports(self._reports, self._reports_read)
            if read_to == self._reports_read:
                return
            self._reports_read = read_to
            self._add_metrics([MetricPoint(r.name, r.value, r.step, r.timestamp) for r in found])

    def _add_metrics(self, points: list[MetricPoint]) -> None:
        if self._masker:
            from dagbook.execution.masked_document import masked_points

            points = masked_points(points, self._masker)
        if points:
            self.metrics += points
            self._cell_metrics += points
            self._journal.event(
                "metrics", [[p.name, repr(p.value), p.step, p.timestamp] for p in points]
            )
            self._emit(MetricsReported(tuple(points)))

    def tick(self) -> None:
        """Several times a second while a cell runs: write the journal, look at the clock."""
        self._read_reports()
        if self._journal.due:
            self._journal.flush()
        if self._kill_at is not None:
            if time.monotonic() >= self._kill_at:
                self._kernel.kill()
        elif (reason := self._clock.over()) is not None:
            self._stop(RunStatus.TIMED_OUT, reason, self._clock.cause)
            self._kill_at = self._clock.kill_at()
            self._interrupt()
        elif self._should_stop is not None and (reason := self._should_stop()) is not None:
            self._stop(RunStatus.CANCELLED, reason, Cause.CANCELLED)
            self._kill_at = self._clock.kill_at()
            self._interrupt()

    def _do_waiting_work(self) -> bool:
        """Write or make ready what would else be done when the kernel waits for us."""
        if self._journal.has_much:
            self._journal.flush()
            return True
        return self._collector.stored.prepare_one()

    def _interrupt(self) -> None:
        if self._kernel.spec.interrupt_by_message:
            self._conversation.request_interrupt()
        else:
            self._kernel.interrupt()

    def memory_exceeded(self, reason: str) -> None:
        """End the kernel: it holds more memory than its size. Called from another thread."""
        self._stop(RunStatus.KILLED, reason, Cause.MEMORY)
        self._kernel.kill()

    def _stop(self, status: RunStatus, reason: str, cause: Cause) -> None:
        if self.verdict is None:
            self.verdict = Verdict(status, reason, cause)

    def _kernel_ended(self, result: CellResult, died: KernelDiedError) -> None:
        if (reason := self._over_size()) is not None:
            self._stop(RunStatus.KILLED, reason, Cause.MEMORY)
        how = (
            f"kernel killed (signal {-died.exit_code})"
            if died.exit_code < 0
            else f"kernel ended by itself (exit code {died.exit_code})"
        )
        self._stop(RunStatus.KILLED, f"{how} in cell {result.index + 1}", Cause.KERNEL)
        assert self.verdict is not None
        result.status = _CELL_STATUS[self.verdict.status]

    def _end_cell(self, position: int, cell: Any, result: CellResult) -> None:
        self._read_reports()
        points, self._cell_metrics = self._cell_metrics, []
        self._collector.show_metrics(position, points)
        self._collector.end(position)
        # papermill's own fields, which its tools read.
        cell["metadata"]["papermill"] = {
            "duration": result.duration_seconds,
            "exception": result.error is not None,
            "status": str(result.status),
        }
        error = None if result.error is None else [result.error.name, result.error.message]
        self._journal.end_cell(
            position, str(result.status), result.duration_seconds, error, cell["execution_count"]
        )
        parameters = self._notebook.parameters_cell
        if result.role != INJECTED:
            self._emit(CellFinished(result.index + 1, len(self._notebook.cells), result))
        elif result.error is not None and parameters is not None:
            told = self._results[parameters.id]
            told.status, told.error = result.status, result.error


def _only_assertion(cell: Cell | None) -> str:
    """The text of the cell's only assertion, for one that failed without a message."""
    if cell is None:
        return ""
    try:
        tree = ast.parse(cell.kernel_source)
    except SyntaxError:
        return ""
    assertions = [node for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    return ast.unparse(assertions[0].test) if len(assertions) == 1 else ""
