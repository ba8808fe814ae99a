"""The executed notebook as one HTML page, for readers without Jupyter."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagbook.atomic_write import write_atomically
from dagbook.execution.result import ExecutionResult


def preload_page_writer() -> None:
    """Import nbconvert, which takes a second: in a thread, while the kernel works."""
    try:
        import nbconvert  # noqa: F401
    except Exception:
        pass  # the same import says why when it is needed


def write_page(result: ExecutionResult, document: Mapping[str, Any]) -> None:
    """Write the page beside the executed notebook; `result` then names it.

    A page that cannot be made is a note of the result: the notebook is stored, and that is
    what counts.
    """
    assert result.executed_notebook is not None
    page = result.executed_notebook.with_suffix(".html")
    try:
        import nbformat
        from nbconvert import HTMLExporter

        body, _ = HTMLExporter().from_notebook_node(nbformat.from_dict(document))
        write_atomically(page, body)
    except Exception as error:
        result.notes.append(f"no HTML page: {type(error).__name__}: {error}")
        return
    result.executed_html = page
