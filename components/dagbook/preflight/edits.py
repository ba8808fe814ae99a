"""Changes to a notebook as plain data: applied, undone, stored and sent to a front end.

An edit says what it expects to find, so one that comes too late is refused instead of destroying
what somebody wrote meanwhile::

    {"edit": "tags", "cell": 2, "cell_id": "ab12", "add": ["skip"], "remove": []}
    {"edit": "lines", "cell": 2, "cell_id": "ab12", "line": 3, "before": ["x = 1"], "after": []}
    {"edit": "insert", "cell": 2, "cell_id": "ab12", "new": {…}}        before that cell
    {"edit": "remove", "cell": 2, "cell_id": "ab12", "new": {…}}
    {"edit": "move", "cell": 6, "cell_id": "ab12", "to": 2}

Cells count from 0, lines from 1. A cell is found by its id, and by its place where the file has
no ids.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

from dagbook.errors import DagbookError

Edit = Mapping[str, Any]
Document = dict[str, Any]


def tag_edit(cell: int, cell_id: str, *, add: str = "", remove: str = "") -> Edit:
    """Give a cell a tag, or take one away."""
    return {
        "edit": "tags",
        "cell": cell,
        "cell_id": cell_id,
        "add": [add] if add else [],
        "remove": [remove] if remove else [],
    }


def lines_edit(
    cell: int, cell_id: str, line: int, before: Sequence[str], after: Sequence[str]
) -> Edit:
    """Replace the lines from `line` on, which read `before`."""
    return {
        "edit": "lines",
        "cell": cell,
        "cell_id": cell_id,
        "line": line,
        "before": list(before),
        "after": list(after),
    }


def insert_edit(cell: int, cell_id: str, source: str, *, tag: str = "") -> Edit:
    """Insert a code cell before another."""
    new: dict[str, Any] = {
        "cell_type": "code",
        "execution_count": None,
        "id": f"{cell_id[:50]}-night",
        "metadata": {"tags": [tag]} if tag else {},
        "outputs": [],
        "source": source,
    }
    return {"edit": "insert", "cell": cell, "cell_id": cell_id, "new": new}


def move_edit(cell: int, cell_id: str, to: int) -> Edit:
    """Move a cell to another place, counted among all cells once it is taken out."""
    return {"edit": "move", "cell": cell, "cell_id": cell_id, "to": to}


def apply_edits(document: Document, edits: Sequence[Edit]) -> tuple[Document, list[Edit]]:
    """Apply edits in order, all or none; the document given is not changed.

    Args:
        document: a notebook of format 4, with sources as text or as lists of lines.
        edits: from a finding's fix, or what an earlier call returned for undoing.

    Returns:
        The new document, and the edits that undo these.

    Raises:
        DagbookError: a cell is gone, or no longer reads as it did.
    """
    changed = copy.deepcopy(document)
    undo: list[Edit] = []
    for edit in edits:
        undo.insert(0, _apply(changed, edit))
    return changed, undo


def _apply(document: Document, edit: Edit) -> Edit:
    cells: list[Document] = document["cells"]
    kind = edit.get("edit")
    place = _find(cells, edit)
    if kind == "tags":
        return _change_tags(cells[place], edit)
    if kind == "lines":
        return _change_lines(cells[place], edit)
    if kind == "insert":
        return _insert(document, place, edit)
    if kind == "remove":
        return _remove(cells, place, edit)
    if kind == "move":
        target = min(int(edit["to"]), len(cells) - 1)
        cells.insert(target, cells.pop(place))
        return {**edit, "cell": target, "to": place}
    raise DagbookError(f"`{kind}` is no edit of a notebook")


def _find(cells: list[Document], edit: Edit) -> int:
    wanted, place = edit.get("cell_id"), int(edit.get("cell", 0))
    for number, cell in enumerate(cells):
        if wanted is not None and cell.get("id") == wanted:
            return number
    if 0 <= place < len(cells) and "id" not in cells[place]:
        return place
    raise DagbookError(f"cell {place + 1} is gone or has another id; look at the notebook again")


def _change_tags(cell: Document, edit: Edit) -> Edit:
    metadata = cell.setdefault("metadata", {})
    before = list(metadata.get("tags", []))
    add = [tag for tag in edit.get("add", []) if tag not in before]
    remove = [tag for tag in edit.get("remove", []) if tag in before]
    tags = [*(tag for tag in before if tag not in remove), *add]
    if tags:
        metadata["tags"] = tags
    else:
        metadata.pop("tags", None)
    return {**edit, "add": remove, "remove": add}


def _change_lines(cell: Document, edit: Edit) -> Edit:
    lines = _source(cell).split("\n")
    start = int(edit["line"]) - 1
    before, after = list(edit["before"]), list(edit["after"])
    if lines[start : start + len(before)] != before:
        number = int(edit.get("cell", 0)) + 1
        raise DagbookError(
            f"cell {number}, line {start + 1}: was changed meanwhile; look at the notebook again"
        )
    if len(before) == len(lines) and not after:
        after = [""]
    lines[start : start + len(before)] = after
    _set_source(cell, "\n".join(lines))
    return {**edit, "before": after, "after": before}


def _insert(document: Document, place: int, edit: Edit) -> Edit:
    cells: list[Document] = document["cells"]
    new = copy.deepcopy(dict(edit["new"]))
    neighbour = cells[place]
    if isinstance(neighbour.get("source"), list):
        _set_source(new, _source(new), as_list=True)
    if "id" in neighbour:
        taken = {cell.get("id") for cell in cells}
        while new["id"] in taken:
            new["id"] += "x"
    else:
        new.pop("id", None)
    cells.insert(place, new)
    return {
        "edit": "remove",
        "cell": place,
        "cell_id": new.get("id"),
        "new": {**edit["new"], **({"id": new["id"]} if "id" in new else {})},
    }


def _remove(cells: list[Document], place: int, edit: Edit) -> Edit:
    cell = cells[place]
    if _source(cell) != _source(dict(edit["new"])):
        raise DagbookError(f"cell {place + 1}: was changed meanwhile; look at the notebook again")
    cells.pop(place)
    if place == len(cells):
        raise DagbookError(f"cell {place + 1}: nothing follows it; delete it in Jupyter")
    following = cells[place].get("id")
    return {"edit": "insert", "cell": place, "cell_id": following, "new": dict(edit["new"])}


def _source(cell: Document) -> str:
    source = cell.get("source", "")
    return "".join(source) if isinstance(source, list) else str(source)


def _set_source(cell: Document, text: str, *, as_list: bool | None = None) -> None:
    if as_list if as_list is not None else isinstance(cell.get("source"), list):
        cell["source"] = text.splitlines(keepends=True)
    else:
        cell["source"] = text
