"""The code of a notebook's cells as a run executes it, parsed once for all who look at it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dagbook.cell_source import (
    LogicalLine,
    logical_lines,
    other_language,
    parse_python,
    split_cell_magics,
)
from dagbook.notebook import Cell, Notebook

if TYPE_CHECKING:
    import ast


@dataclass(frozen=True)
class ParsedCell:
    """One cell of code that a scheduled run executes. Lines are the author's, counted from 1."""

    cell: Cell
    tree: ast.Module | None
    """Its Python; None where it is in another language, or is not Python"""
    magics: tuple[LogicalLine, ...] = ()
    """Its lines that begin with ``%`` or ``!``; cell magics are not among them"""
    language: str = "python"
    """What its body is in: the notebook's language, or what a cell magic makes of it: `bash`"""


def parsed_cells(notebook: Notebook) -> tuple[ParsedCell, ...]:
    """Parse the code cells of a notebook that production does not leave out."""
    return tuple(_parsed(notebook))


def _parsed(notebook: Notebook) -> Iterator[ParsedCell]:
    for cell in notebook.cells:
        if cell.cell_type != "code" or cell.is_skipped:
            continue
        if notebook.language != "python":
            yield ParsedCell(cell, None, language=notebook.language)
        elif (other := other_language(cell.source)) is not None:
            yield ParsedCell(cell, None, language="bash" if other in _SHELLS else other)
        else:
            magics: tuple[LogicalLine, ...] = ()
            if "%" in cell.source or "!" in cell.source:
                body = split_cell_magics(cell.source)[1]
                magics = tuple(line for line in logical_lines(body) if line.is_magic)
            yield ParsedCell(cell, parse_python(cell.source), magics)


_SHELLS = ("bash", "sh", "script", "!", "!bash", "!sh")
