"""Has papermill drive: it writes the parameters into a notebook and hands its cells back to us."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagbook.execution.run import Execution


def execute_through_papermill(execution: Execution, source: dict[str, Any]) -> None:
    """Hand a notebook to papermill, whose engine we are for it.

    Args:
        execution: what is to run the cells.
        source: the notebook, nbformat 4.
    """
    import nbformat
    import papermill
    from papermill.engines import papermill_engines

    from dagbook.execution.engine import DagbookEngine, without_parameter_warnings
    from dagbook.execution.translators import restore_python_translator

    # Also where an installation lost its entry point.
    papermill_engines.register("dagbook", DagbookEngine)
    # A project's own Python may have imported dagstermill.
    restore_python_translator()
    plan = execution.plan
    with without_parameter_warnings():
        papermill.execute_notebook(
            nbformat.from_dict(source),
            None,
            parameters=dict(plan.parameters),
            engine_name="dagbook",
            kernel_name=plan.kernelspec.name,
            language=plan.notebook.language,
            progress_bar=False,
            dagbook_execution=execution,
        )
