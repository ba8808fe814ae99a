"""The executed notebook as one HTML page, for readers without Jupyter."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock, Thread
from typing import Any

from dagbook.atomic_write import write_atomically
from dagbook.execution.result import ExecutionResult

#: Held by whoever imports something large in a thread of its own: one at a time.
BACKGROUND_IMPORT = Lock()


def preload_page_writer() -> None:
    """Import nbconvert, which takes a second, while the kernel works.

    Call it when nothing else is being imported: two threads that enter packages with circular
    imports by different doors find some of their modules half made.
    """
    Thread(target=_import, daemon=True).start()


def _import() -> None:
    with BACKGROUND_IMPORT:
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
        with BACKGROUND_IMPORT:
            import nbformat
            from nbconvert import HTMLExporter

        body, _ = HTMLExporter().from_notebook_node(nbformat.from_dict(document))
        write_atomically(page, body, private=True)
    except Exception as error:
        result.notes.append(f"no HTML page: {type(error).__name__}: {error}")
        return
    result.executed_html = page
