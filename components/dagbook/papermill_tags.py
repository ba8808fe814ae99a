"""What papermill will make of a notebook's tags, so that values given from outside arrive.

papermill puts the values below the first cell of any type tagged `parameters`, or in the place
of the first one tagged `injected-parameters`, and looks at nothing but tags.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dagbook.errors import DagbookError

if TYPE_CHECKING:
    from dagbook.notebook import Cell, Notebook

PARAMETERS_TAG = "parameters"
INJECTED_TAG = "injected-parameters"


def align_tags(notebook: Notebook) -> list[str]:
    """Let papermill find the cells we found: change the tags of the document, and note it.

    The parameters cell gets its tag where the role is written as text, and text cells lose
    tags that would make papermill inject there.
    """
    notes = []
    stored: list[dict[str, Any]] = notebook.document["cells"]
    declaring = notebook.parameters_cell
    for cell in notebook.cells:
        metadata = stored[cell.index]["metadata"]
        if cell is declaring and PARAMETERS_TAG not in cell.tags:
            metadata["tags"] = [*cell.tags, PARAMETERS_TAG]
        for tag in (PARAMETERS_TAG, INJECTED_TAG):
            if cell.cell_type != "code" and tag in cell.tags:
                metadata["tags"] = [kept for kept in metadata["tags"] if kept != tag]
                notes.append(f"cell {cell.number}: holds text, so its tag `{tag}` is left out")
    notes.extend(
        f"cell {cell.number}: holds parameters injected by an earlier run; a run with "
        "parameters replaces it, one without runs it as it is"
        for cell in _injected(notebook)
    )
    return notes


def refuse_overwriting(notebook: Notebook, declaring: Cell) -> None:
    """Refuse what an earlier run left behind where it would silently undo the given values.

    Raises:
        DagbookError: two injected cells, of which papermill replaces one, or one above the
            parameters cell, whose defaults then come last.
    """
    injected = _injected(notebook)
    if len(injected) > 1:
        raise DagbookError(
            f"{notebook.label}: cells {injected[0].number} and {injected[1].number} both hold "
            "parameters injected by earlier runs, which would come after the new ones. "
            "Delete both."
        )
    if injected and injected[0].index < declaring.index:
        raise DagbookError(
            f"{notebook.label}, cell {injected[0].number}: holds parameters injected by an "
            f"earlier run, above the parameters cell {declaring.number}, whose defaults would "
            "come after the new ones. Delete it."
        )


def _injected(notebook: Notebook) -> list[Cell]:
    return [
        cell for cell in notebook.cells if cell.cell_type == "code" and INJECTED_TAG in cell.tags
    ]
