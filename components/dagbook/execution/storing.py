"""Stores an executed notebook: most of it while the kernel ends, the rest once all is known."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dagbook.execution.place import Place
from dagbook.execution.plan import Plan
from dagbook.execution.result import CellResult, ExecutionResult, RunStatus

if TYPE_CHECKING:
    from dagbook.execution.collector import OutputCollector
    from dagbook.execution.outputs import CellOutputs
    from dagbook.execution.stored_notebook import WrittenAhead


class Storing:
    """One executed notebook on its way to its file.

    Attributes:
        document: the notebook that is stored, as a dict of format 4.
        collector: what its cells put out; None as long as none has run.
    """

    def __init__(self, plan: Plan) -> None:
        self.document: dict[str, Any] = dict(plan.notebook.document)
        self.collector: OutputCollector | None = None
        self._plan = plan
        self._ahead: WrittenAhead | None = None
        self._tried_ahead = False

    def write_ahead(self, place: Place, results: Iterable[CellResult]) -> None:
        """Write the cells of a run that went well: the kernel takes its time to end."""
        if self._tried_ahead:
            return
        from dagbook.execution.stored_notebook import WrittenAhead, complete_cells

        self._tried_ahead = True
        path = place.notebook(RunStatus.SUCCEEDED)
        outputs, stored = self._outputs()
        # Without outputs: they are written as they are stored, and papermill, which looks through
        # the cells after us, wants its own kind of them.
        complete_cells(self.document, outputs, results, fill=False)
        with suppress(OSError):  # told in the end, when it still cannot be written
            self._ahead = WrittenAhead(path, self.document, outputs, stored)

    def store(self, result: ExecutionResult, place: Place, stopped_at: int | None) -> None:
        """Write the notebook of a run that ended so, and its page where one is wanted.

        Raises:
            DagbookError: it cannot be stored.
        """
        from dagbook.execution.stored_notebook import complete_document, write_notebook

        if not result.succeeded:
            # It has come to another end after all: with a banner, other cells than those.
            self.abandon()
        outputs, stored = self._outputs()
        place.journal.end_run(result, stopped_at)
        result.executed_notebook = place.notebook(result.status)
        complete_document(
            self.document,
            outputs,
            result,
            stopped_at=stopped_at,
            size=self._plan.size,
            sizes=self._plan.sizes,
            fill=self._plan.html,
        )
        write_notebook(
            result.executed_notebook,
            self.document,
            journal=place.journal.folder,
            stored=stored,
            ahead=self._ahead,
        )
        if self._plan.html:
            from dagbook.execution.page import write_page

            write_page(result, self.document)

    def abandon(self) -> None:
        """Remove what was written ahead and not put in its place. Safe to call twice."""
        if self._ahead is not None:
            self._ahead.abandon()
            self._ahead = None

    def show_outputs(self, document: Any) -> None:
        """Give papermill the outputs, where it is papermill that stores them.

        It would otherwise write out a notebook nobody asked it for, at the cost of a second
        one: then its document stays without.
        """
        import nbformat

        if self.collector is not None:
            for position, outputs in self.collector.outputs.items():
                document.cells[position].outputs = nbformat.from_dict(outputs.finished())

    def _outputs(self) -> tuple[dict[int, CellOutputs], dict[int, bytes]]:
        """What came out by position, and as it is stored by cell."""
        if self.collector is None:
            return {}, {}
        outputs, stored, cells = (
            self.collector.outputs,
            self.collector.stored,
            self.document["cells"],
        )
        # By the cells themselves: a banner will change their positions.
        return outputs, {id(cells[position]): stored.of(position) for position in outputs}
