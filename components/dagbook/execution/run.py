"""Runs one notebook as production does: check, prepare, launch, execute, finish.

A cold run waits for its kernel to start. So what is needed only when that is on its way is
imported only then, in the functions that need it.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from dagbook.context import CONTEXT_FILE_NAME
from dagbook.errors import DagbookError
from dagbook.execution.clock import Clock
from dagbook.execution.events import ExecutionEvent
from dagbook.execution.held_kernel import HeldKernel
from dagbook.execution.journal import to_json
from dagbook.execution.launching import Launch
from dagbook.execution.place import Place, take_place, unwritable
from dagbook.execution.plan import Plan, RunOptions, make_plan
from dagbook.execution.result import (
    Cause,
    CellResult,
    CellStatus,
    ExecutionResult,
    Resources,
    RunStatus,
)
from dagbook.execution.storing import Storing
from dagbook.execution.undumpable import undumpable
from dagbook.execution.verdict import Verdict
from dagbook.execution.words import in_one_line
from dagbook.notebook import Notebook
from dagbook.private_mode import write_private
from dagbook.report import REPORTS_FILE_NAME

if TYPE_CHECKING:
    from dagbook.execution.cells import CellRunner
    from dagbook.execution.collector import OutputCollector
    from dagbook.execution.messages import Conversation
    from dagbook.execution.tracing import Tracing

#: How long a kernel may take to end by itself, so that what the author registered for its
#: exit (a tracking client's last batch, say) is carried out. Seconds.
EXIT_SECONDS = 5.0


def run_notebook(
    notebook: str | Path | Notebook,
    parameters: Mapping[str, Any] | None = None,
    **options: Unpack[RunOptions],
) -> ExecutionResult:
    """Run a notebook in its own folder, in a fresh kernel, and keep what comes out.

    Args:
        notebook: a path (``.ipynb``, or ``.py``/``.md`` of jupytext), or one already read.
        parameters: values for names of the parameters cell.
        options: see `dagbook.execution.plan.RunOptions`.

    Returns:
        How it ended, in every case but a refusal and a cancel.

    Raises:
        DagbookError: refused before a kernel started.
        BaseException: a KeyboardInterrupt, or another exception that a signal raised in
            here, after the notebook was stored as cancelled; the result is the exception's
            ``dagbook_result``.
    """
    return Execution(make_plan(notebook, parameters, **options)).run()


class Execution:
    """One notebook's execution, from its plan to its result."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.started_at = time.time()
        self._began = time.monotonic()
        self._launched: Launch | None = None
        self._cells: CellRunner | None = None
        self._storing = Storing(plan)
        self._tracing: Tracing | None = None
        self._early_verdict: Verdict | None = None
        self._exceeded: str | None = None
        self._notes: list[str] = []
        self._results = {
            cell.id: CellResult(cell.index, cell.id, None if cell.role is None else str(cell.role))
            for cell in plan.notebook.cells
            if cell.cell_type == "code"
        }

    def run(self, execute: Callable[[], None] | None = None) -> ExecutionResult:
        """Prepare, launch, execute, finish.

        Args:
            execute: instead of handing the notebook to papermill, for a caller that is
                papermill already.
        """
        with undumpable():
            return self._run(execute)

    def _run(self, execute: Callable[[], None] | None) -> ExecutionResult:
        place = self.prepare()
        try:
            self.launch(place)
            (execute or self.execute)()
        except Exception as error:
            # Refused after all (the kernel did not come up), or a bug of ours or a caller's:
            # neither is told as the notebook's end. What cells had put out is not thrown away.
            if self._cells is None:
                place.journal.discard()
            else:
                reason = in_one_line("the runner failed", type(error).__name__, str(error))
                self._cells.verdict = Verdict(RunStatus.KILLED, reason, Cause.RUNNER)
                place.journal.end_run(self.result(), self._cells.stopped_at)
                place.journal.release()
            self._raise_masked(error)
            raise
        except BaseException as interruption:
            self._cancelled()
            interruption.dagbook_result = self.finish(place)  # type: ignore[attr-defined]
            self._raise_masked(interruption)
            raise
        else:
            return self.finish(place)
        finally:
            self._close()
            if self._tracing is not None:
                self._tracing.close()
            self._storing.abandon()

    def _raise_masked(self, error: BaseException) -> None:
        """Mask an exception that is on its way; raise another where that cannot be done."""
        if self.plan.masker:
            from dagbook.masking import masked_error

            if (other := masked_error(self.plan.masker, error)) is not error:
                raise other from None

    def _masked(self, value: Any) -> Any:
        """What may be written of a value."""
        return value if self.plan.masker is None else self.plan.masker.value(value)

    def prepare(self) -> Place:
        """Take the place of the result, and write there what the notebook is told."""
        plan = self.plan
        place = take_place(
            plan.output,
            plan.output_folder,
            self.started_at,
            needs=sum(len(cell.source) for cell in plan.notebook.cells),
        )
        context = self._masked(
            {"notebook": plan.notebook_name, "parameters": dict(plan.parameters), **plan.context}
        )
        size = "" if plan.size is None else plan.size.name
        place.journal.event("start", self.started_at, place.pattern, size, plan.notebook_name)
        if plan.record is not None:
            place.journal.event("record", str(plan.record))
        if plan.masker:
            # A report that nobody has masked yet is not taken over from a run that vanished.
            place.journal.event("masked")
        place.journal.flush()
        try:
            write_private(place.journal.folder / CONTEXT_FILE_NAME, to_json(context))
            if place.journal.trouble is not None:
                raise place.journal.trouble
        except OSError as error:
            place.journal.discard()
            raise unwritable(place.folder, error) from None
        self._place = place
        return place

    def launch(self, place: Place) -> None:
        """Start the kernel: first of all, for everything else can be done while it boots."""
        self._launched = Launch(self.plan, place)
        self._launched.start(self._memory_exceeded)
        from dagbook.execution.tracing import Tracing

        self._tracing = Tracing(self.plan)

    def execute(self) -> None:
        """Have papermill write the parameters into the notebook and hand its cells back to us.

        Without parameters it is not asked: it would hand them back as they are.
        """
        from dagbook.execution.stored_notebook import remove_banners

        document = self.plan.notebook.document
        source = {**document, "cells": remove_banners(document["cells"])}
        if self.plan.parameters:
            from dagbook.execution.through_papermill import execute_through_papermill

            execute_through_papermill(self, source)
        else:
            from dagbook.execution.papermill_document import prepared_document

            self.execute_cells(prepared_document(source))

    def execute_cells(self, document: Any) -> None:
        """Run the cells of a prepared document. Called by the engine, or by ourselves."""
        from dagbook.execution.cells import CellRunner
        from dagbook.execution.collector import OutputCollector
        from dagbook.execution.messages import Conversation
        from dagbook.execution.widgets import WidgetRecorder

        assert self._launched is not None and self._tracing is not None
        plan, journal, launched = self.plan, self._place.journal, self._launched
        held = self._held
        assert held is not None
        for cell in document["cells"]:
            if cell["cell_type"] == "code":
                cell["outputs"], cell["execution_count"] = [], None
        # papermill notes the whole notebook as its own "path".
        document["metadata"].setdefault("papermill", {}).update(
            input_path=plan.notebook_name, output_path=None
        )
        codes = {at: cell["source"] for at, cell in enumerate(document["cells"])}
        if plan.masker:
            self._mask_document(document)
        # A list of our own: for an error papermill inserts marks of its own among the cells.
        self._storing.document = {**document, "cells": list(document["cells"])}
        cells = [[cell.index, cell.id, cell.role] for cell in self._results.values()]
        parameters = self._masked(dict(plan.parameters))
        journal.event("document", self._storing.document, parameters, self._masked(cells))
        journal.flush()
        conversation = Conversation(held.kernel, plan.output_limits.per_cell, plan.masker)
        try:
            clock = self._clock()
            info = self._connect(conversation, held, clock)
            if info is None:
                return
            if plan.html:
                from dagbook.execution.page import preload_page_writer

                preload_page_writer()
            document["metadata"]["language_info"] = info["content"].get("language_info", {})
            widgets = WidgetRecorder(conversation, most_bytes=plan.output_limits.per_cell)
            collector = OutputCollector(journal, plan.output_limits, widgets)
            self._storing.collector = collector
            self._cells = CellRunner(
                notebook=plan.notebook,
                document=document,
                codes=codes,
                masker=plan.masker,
                kernel=held.kernel,
                conversation=conversation,
                journal=journal,
                collector=collector,
                clock=clock,
                reports=launched.run_folder / REPORTS_FILE_NAME,
                emit=self._emit,
                results=self._results,
                over_size=held.over_size,
                should_stop=launched.should_stop,
            )
            self._tracing.ask(plan, info["content"], conversation, self._cells.tick)
            self._note_provenance()
            self._cells.run()
            conversation.request_shutdown()
            held.stop_sampling()
            held.kernel.wait(
                clock.exit_seconds(EXIT_SECONDS),
                self._while_it_ends(conversation, collector),
                conversation.has_kernel_closed,
            )
            conversation.end_outputs(collector.take)
            widgets.store(document)
        finally:
            conversation.close()

    def _mask_document(self, document: Any) -> None:
        from dagbook.execution.masked_document import mask_document

        assert self.plan.masker is not None
        numbers = {cell.id: cell.number for cell in self.plan.notebook.cells}
        for position in mask_document(document, self.plan.masker):
            if (number := numbers.get(document["cells"][position].get("id", ""))) is not None:
                self._notes.append(
                    f"cell {number}: the value of a credential stands in its text, and is masked "
                    "in what is stored; have the cell read it from its environment variable"
                )

    def _connect(self, conversation: Conversation, held: HeldKernel, clock: Clock) -> Any:
        """Wait for the kernel; None when the run was over its limits before it answered."""
        try:
            return conversation.connect(min(self.plan.start_seconds, clock.seconds_left()))
        except DagbookError:
            if (reason := self._exceeded or held.over_size()) is not None:
                self._early_verdict = Verdict(RunStatus.KILLED, reason, Cause.MEMORY)
            elif (reason := clock.over()) is not None:
                self._early_verdict = Verdict(RunStatus.TIMED_OUT, reason, clock.cause)
            else:
                raise
            return None

    def _emit(self, event: ExecutionEvent) -> None:
        self._note_provenance()
        if self.plan.listener is not None:
            self.plan.listener(event)

    def _note_provenance(self) -> None:
        # A run that is killed records it as well, so the journal gets it as it becomes known.
        assert self._tracing is not None
        if (found := self._tracing.news()) is not None:
            told = self._masked(found.to_json())
            self._place.journal.event("provenance", told, str(self._good_runs))
            self._place.journal.flush()

    @property
    def _good_runs(self) -> Path:
        return self.plan.good_runs or self._place.folder

    def _while_it_ends(
        self, conversation: Conversation, collector: OutputCollector
    ) -> Callable[[], None]:
        """What is done while the kernel ends: most of what is left to do."""

        def meanwhile() -> None:
            conversation.take_late_outputs(collector.take)
            while collector.stored.prepare_one():
                pass
            if self._cells is not None and self._cells.verdict is None:
                self._storing.write_ahead(self._place, self._results.values())

        return meanwhile

    def show_outputs(self, document: Any) -> None:
        """Give papermill the outputs, where it is papermill that stores them."""
        self._storing.show_outputs(document)

    def finish(self, place: Place) -> ExecutionResult:
        """Write the notebook, put it in its place, and say how it ended."""
        self._close()
        result = self.result()
        if not result.succeeded:
            from dagbook.execution.last_good import compare_with_last_good

            # Before the notebook is written: it may take the good one's place.
            result.last_good_run = compare_with_last_good(
                result, output=place.output, folder=self._good_runs
            )
            if (last := result.last_good_run) is not None:
                # That run may have shown what this one must not.
                told = self._masked(last.differences)
                result.last_good_run = dataclasses.replace(last, differences=told)
        if (trouble := place.journal.trouble) is not None:
            result.notes.append(
                f"{place.journal.folder}: could not be written for some time "
                f"({trouble.strerror}): what came out then was kept in memory only"
            )
        stopped_at = None if self._cells is None else self._cells.stopped_at
        try:
            self._storing.store(result, place, stopped_at)
        except DagbookError as unstored:
            result.tell_unstored(str(unstored))
            place.journal.end_run(result, stopped_at)
            place.journal.release()
        except BaseException:
            place.journal.release()
            raise
        else:
            place.journal.discard()
        return result

    def result(self) -> ExecutionResult:
        """What it all came to."""
        plan, cells = self.plan, self._cells
        verdict = self._early_verdict if cells is None else cells.verdict
        verdict = verdict or Verdict(RunStatus.SUCCEEDED, "")
        result = ExecutionResult(
            status=verdict.status,
            reason=verdict.reason,
            cause=verdict.cause,
            notebook=plan.notebook.path,
            started_at=self.started_at,
            duration_seconds=time.monotonic() - self._began,
            cells=list(self._results.values()),
            parameters=dict(plan.parameters),
            metrics=[] if cells is None else cells.metrics,
            checks=[] if cells is None else cells.checks,
            resources=Resources() if self._held is None else self._held.used(),
            size="" if plan.size is None else plan.size.name,
            notes=[
                *plan.notebook.notes,
                *self._notes,
                *self._last_words(verdict),
                *([] if self._launched is None else self._launched.notes),
            ],
            provenance=None if self._tracing is None else self._tracing.complete(),
        )
        if plan.masker:
            from dagbook.execution.masked_document import masked_result

            return masked_result(result, plan.masker)
        return result

    def _last_words(self, verdict: Verdict) -> list[str]:
        if verdict.status is not RunStatus.KILLED or self._held is None:
            return []
        said = self._held.kernel.last_words
        return [f"the kernel's last words: {said[-2000:]}"] if said else []

    def _clock(self) -> Clock:
        plan = self.plan
        return Clock(
            began=self._began,
            run_seconds=plan.run_seconds,
            cell_seconds=plan.cell_seconds,
            grace_seconds=10.0 if plan.size is None else plan.size.grace_seconds,
            run_label=plan.time_label,
            run_cause=plan.time_cause,
        )

    def _memory_exceeded(self, reason: str) -> None:
        self._exceeded = reason
        if self._cells is not None:
            self._cells.memory_exceeded(reason)
        elif self._held is not None:
            self._held.kernel.kill()

    def _cancelled(self) -> None:
        at = next((c for c in self._results.values() if c.status is CellStatus.CANCELLED), None)
        where = "" if at is None else f" in cell {at.index + 1}"
        verdict = Verdict(RunStatus.CANCELLED, f"cancelled{where}", Cause.CANCELLED)
        self._early_verdict = verdict
        if self._cells is not None:
            self._cells.verdict = self._cells.verdict or verdict

    @property
    def _held(self) -> HeldKernel | None:
        return None if self._launched is None else self._launched.held

    def _close(self) -> None:
        """End the kernel and everything it started. Safe to call twice."""
        if self._launched is not None:
            self._launched.close()
