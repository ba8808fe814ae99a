"""A true account in the notebook that dagstermill executed: how it ended, which cells ran."""

from __future__ import annotations

from typing import Any

from nbformat.v4 import new_markdown_cell

from dagbook.execution.result import ExecutionResult, RunStatus

_HEADLINES = {
    RunStatus.FAILED: "Failed",
    RunStatus.KILLED: "Killed",
    RunStatus.TIMED_OUT: "Timed out",
    RunStatus.CANCELLED: "Cancelled",
}


def tell_the_end(document: Any, result: ExecutionResult) -> None:
    """Correct, in place, what papermill says of cells, and put the reason at the top.

    papermill calls every cell completed that was cut short, and every one after it.
    """
    if result.succeeded:
        return
    # A notebook that asked for its own failure has run through.
    cut_short = result.status is not RunStatus.FAILED
    cells = document["cells"]
    code = [
        cell
        for cell in cells
        if cell["cell_type"] == "code" and cell["source"] and "injected-teardown" not in _tags(cell)
    ]
    # A number it has only if its last words were heard; when it began, papermill always notes.
    ran = [
        n for n, cell in enumerate(code) if cell["metadata"].get("papermill", {}).get("start_time")
    ]
    last = ran[-1] if ran else -1
    for number, cell in enumerate(code):
        if number > last:
            cell["metadata"].setdefault("papermill", {})["status"] = "not_run"
        elif number == last and (cut_short or number < len(code) - 1):
            cell["metadata"].setdefault("papermill", {})["status"] = str(result.status)
    text = f"### ✕ {_HEADLINES[result.status]}\n\n```\n{result.reason}\n```\n"
    banner = new_markdown_cell(text, metadata={"tags": ["dagbook-banner"]}, id="dagbook-banner")
    if document["nbformat_minor"] < 5:
        del banner["id"]
    cells.insert(0, banner)


def _tags(cell: Any) -> list[str]:
    tags: list[str] = cell["metadata"].get("tags", [])
    return tags
