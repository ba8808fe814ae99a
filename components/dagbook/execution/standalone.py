"""`papermill in.ipynb out.ipynb --engine dagbook`: papermill's command, this runner's promises."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dagbook.errors import DagbookError
from dagbook.execution.plan import START_TIMEOUT_SECONDS, Plan, make_plan
from dagbook.execution.result import RunStatus
from dagbook.execution.run import Execution
from dagbook.notebook import parse_notebook


class NotebookEndedError(DagbookError):
    """The run did not end with a cell's error: it was killed, or its time was over."""


def execute_for_papermill(
    nb: Any,
    kernel_name: str,
    output_path: str | None = None,
    *,
    size: str | None = None,
    timeout: float | None = None,
    execution_timeout: float | None = None,
    start_timeout: float = START_TIMEOUT_SECONDS,
    **_unused: Any,
) -> Any:
    """Run a notebook that papermill loaded and parameterised; papermill checks its errors.

    Args:
        size: a compute size by name; without one nothing is limited.
        timeout: seconds for the run.
        execution_timeout: papermill's name for seconds per cell.
        start_timeout: seconds the kernel has to answer.

    Raises:
        NotebookEndedError: killed or timed out. A cell's error is left for papermill to
            raise, as it does for every engine.
    """
    plan = replace(
        make_plan(
            parse_notebook(nb),
            size=size,
            timeout=timeout,
            cell_timeout=execution_timeout or None,
            kernel=kernel_name,
            output=_local_notebook(output_path),
        ),
        start_seconds=float(start_timeout),
    )
    if plan.output is not None:
        return _execute(plan, nb)
    with tempfile.TemporaryDirectory(prefix="dagbook-") as nowhere:
        return _execute(replace(plan, output_folder=Path(nowhere)), nb)


def _local_notebook(output_path: str | None) -> Path | None:
    # Anything else, a bucket say, is papermill's to write.
    if output_path and output_path.endswith(".ipynb") and not urlsplit(output_path).scheme:
        return Path(output_path)
    return None


def _execute(plan: Plan, nb: Any) -> Any:
    execution = Execution(plan)
    result = execution.run(lambda: execution.execute_cells(nb))
    if result.status in (RunStatus.KILLED, RunStatus.TIMED_OUT):
        raise NotebookEndedError(f"{result.reason} (notebook: {plan.output or 'not stored'})")
    if result.executed_notebook is None:
        # Papermill would now write it in its own way, over the last good one.
        raise NotebookEndedError("; ".join([result.reason, *result.notes]))
    execution.show_outputs(nb)
    return nb
