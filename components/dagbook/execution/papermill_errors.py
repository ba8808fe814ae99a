"""What an exception of papermill, or of the client below it, says of a run."""

from __future__ import annotations

from collections.abc import Iterator

from dagbook.execution.result import RunStatus
from dagbook.execution.words import in_one_line


def verdict_of(error: BaseException, *, cells_before: int = 0) -> tuple[RunStatus, str]:
    """How a run ended that papermill ended with an exception, and why, in one line.

    Args:
        error: what papermill raised. What was raised on the way out is looked through: the
            error that says most may be the one before.
        cells_before: how many cells were put before the author's first.
    """
    from nbclient.exceptions import CellExecutionError, DeadKernelError
    from papermill.exceptions import PapermillExecutionError

    chain = list(_chain(error))
    for cause in chain:
        if isinstance(cause, PapermillExecutionError):
            at = f" in cell {cause.cell_index + 1 - cells_before}"
            return RunStatus.FAILED, in_one_line(str(cause.ename), str(cause.evalue)) + at
    if any(isinstance(cause, DeadKernelError) for cause in chain):
        return RunStatus.KILLED, "kernel killed"
    for cause in chain:
        if isinstance(cause, CellExecutionError):
            return RunStatus.FAILED, in_one_line(cause.ename, cause.evalue)
    # The first one: the others are what went wrong because of it.
    first = chain[-1]
    return RunStatus.FAILED, in_one_line(type(first).__name__, str(first))


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or current.__context__


def interruption_in(error: BaseException) -> BaseException | None:
    """The interruption that an exception was raised on top of, or is; None for an error."""
    from asyncio import CancelledError  # how the client stops its own waiting

    known = (Exception, CancelledError)
    return next((cause for cause in _chain(error) if not isinstance(cause, known)), None)
