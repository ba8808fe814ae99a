"""Fixes that change what a cell is for."""

from __future__ import annotations

from dagbook.first_line import find_role_line
from dagbook.preflight.edits import lines_edit, tag_edit
from dagbook.preflight.finding import Fix
from dagbook.preflight.reading import CodeCell

_SKIP_TAGS = ("skip", "skip-execution")


def skip_at_night(code: CodeCell) -> Fix:
    """Have a run leave a cell out."""
    edit = tag_edit(code.index, code.cell.id, add="skip")
    return Fix("role", f"Skip cell {code.number} at night", {"edits": [edit]})


def run_at_night(code: CodeCell) -> Fix | None:
    """Have a run run a cell that it leaves out; None where its role cannot simply be taken away."""
    title = f"Run cell {code.number} at night as well"
    edits = [
        tag_edit(code.index, code.cell.id, remove=tag)
        for tag in _SKIP_TAGS
        if tag in code.cell.tags
    ]
    line = find_role_line(code.cell.source, code.cell.language)
    if line is not None and line.words == "skip":
        text = code.lines[line.number]
        edits.append(lines_edit(code.index, code.cell.id, line.number + 1, [text], []))
    elif line is not None:
        return None
    return Fix("role", title, {"edits": edits}) if edits else None
