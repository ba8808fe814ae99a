"""dagbook as a papermill engine: papermill drives, this engine owns the kernel and the file."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import nbformat
from papermill.engines import Engine
from papermill.log import logger

if TYPE_CHECKING:
    from dagbook.execution.run import Execution


@contextmanager
def without_parameter_warnings() -> Iterator[None]:
    """Keep papermill from calling parameters unknown that it merely cannot read.

    It reads a parameters cell line by line and stumbles over ``Literal["DE", "FR"]``. What is
    handed to it was checked against the cell's syntax tree before.
    """

    def is_wanted(record: logging.LogRecord) -> bool:
        return not str(record.msg).startswith("Passed unknown parameter")

    logger.addFilter(is_wanted)
    try:
        yield
    finally:
        logger.removeFilter(is_wanted)


class DagbookEngine(Engine):  # type: ignore[misc]  # papermill is untyped
    """Runs a notebook papermill has loaded and parameterised.

    `dagbook run` and the Dagster component hand over an execution that is already under
    way. With ``papermill in.ipynb out.ipynb --engine dagbook`` there is none: the engine
    makes one, without a limit on memory or time unless ``size`` or ``execution_timeout``
    (seconds per cell) is given, and papermill writes the output once more in its own way.
    """

    @classmethod
    def execute_notebook(
        cls,
        nb: Any,
        kernel_name: str,
        output_path: str | None = None,
        dagbook_execution: Execution | None = None,
        **kwargs: Any,
    ) -> Any:
        """Run the cells of `nb` and return it with what came out.

        An execution that is under way keeps what came out for itself: papermill, which would
        look through it for errors and add marks of its own, gets a notebook without cells.
        """
        if dagbook_execution is not None:
            dagbook_execution.execute_cells(nb)
            return nbformat.v4.new_notebook()
        from dagbook.execution.standalone import execute_for_papermill

        return execute_for_papermill(nb, kernel_name, output_path, **kwargs)
