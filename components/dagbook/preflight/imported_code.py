"""The project's own modules that a notebook imports, parsed, and which cell brings them in."""

from __future__ import annotations

import ast
import tokenize
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from dagbook.cell_source import parse_python
from dagbook.local_modules import local_modules
from dagbook.notebook import Notebook
from dagbook.preflight.parsed_cells import ParsedCell


@dataclass(frozen=True)
class ImportedModule:
    """A file of the project, and the line of a cell that imports it or what imports it."""

    file: Path
    tree: ast.Module
    cell: int
    """Counted from 0"""
    line: int


def imported_modules(
    notebook: Notebook, cells: Sequence[ParsedCell], project_root: Path | None
) -> list[ImportedModule]:
    """Find and parse the local modules that cells import, and those that these import."""
    if notebook.path is None or notebook.language != "python":
        return []
    folder = notebook.path.absolute().parent
    roots = [folder] if project_root is None else list(dict.fromkeys((folder, project_root)))
    imports = list(_imports(cells))
    names = {name for name, _, _ in imports}
    is_near = any(
        (root / name).is_dir() or (root / f"{name}.py").is_file()
        for root in roots
        for name in names
    )
    # To follow all imports takes as long as all the rest.
    if not is_near and not any("%run" in parsed.cell.source for parsed in cells):
        return []
    files = local_modules(notebook, roots)
    found = []
    for file in files:
        named = {file.stem, *(parent.name for parent in file.parents)}
        # One that only another module imports belongs to the first cell that imports any.
        place = next((i for i in imports if i[0] in named), None) or next(
            (i for i in imports if any(i[0] == other.stem for other in files)), None
        )
        tree = _parsed(file)
        if tree is not None and place is not None:
            found.append(ImportedModule(file, tree, place[1], place[2]))
    return found


def _imports(cells: Sequence[ParsedCell]) -> Iterator[tuple[str, int, int]]:
    for parsed in cells:
        if parsed.tree is None or "import" not in parsed.cell.source:
            continue
        for node in ast.walk(parsed.tree):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield alias.name.split(".")[0], parsed.cell.index, node.lineno
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module.split(".")[0], parsed.cell.index, node.lineno


def _parsed(file: Path) -> ast.Module | None:
    try:
        with tokenize.open(file) as text:  # minds the file's own coding line
            return parse_python(text.read())
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None
