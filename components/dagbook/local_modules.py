"""Which files of the project a notebook imports, found without running it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from dagbook.cell_source import parse_python

if TYPE_CHECKING:
    import ast

    from dagbook.notebook import Notebook


class _Import(NamedTuple):
    """`from ..a.b import c, d`: level 2, module `a.b`, names `c` and `d`."""

    module: str
    names: tuple[str, ...] = ()
    level: int = 0


class _Module(NamedTuple):
    """A file and the package its relative imports start from."""

    file: Path
    package: tuple[str, ...]


_RUN = re.compile(r"^[ \t]*%run[ \t]+(?:-\w+[ \t]+)*([\"']?)([^\s\"']+\.py)\1", re.MULTILINE)


def local_modules(notebook: Notebook, roots: Sequence[Path]) -> tuple[Path, ...]:
    """Find the ``.py`` files a notebook imports from its own folders, and what those import.

    Static: ``import``, ``from … import`` and ``%run other.py``, wherever in the code they
    stand. What is not found under a root (installed packages, the standard library) is
    left out.

    Args:
        notebook: the notebook; its folder is where ``%run`` looks.
        roots: the folders on the kernel's import path, in its order.

    Returns:
        The files, resolved, sorted, each once, all inside a root.
    """
    if notebook.language != "python":
        return ()
    sources = [
        source
        for cell in notebook.cells
        if cell.cell_type == "code" and not cell.is_skipped
        if "import" in (source := cell.kernel_source) or "%run" in source
    ]
    if not sources:
        return ()
    folders = [root.resolve() for root in roots]
    waiting: list[_Module] = []
    for source in sources:
        if "import" in source:
            module = parse_python(source)
            for found in _imports(module) if module else ():
                waiting.extend(_resolve(found, (), folders))
        if notebook.path is not None and "%run" in source:
            for match in _RUN.finditer(source):
                script = _inside(notebook.path.parent / match[2], folders)
                waiting.extend([_Module(script, ())] if script else [])
    seen: dict[Path, None] = {}
    while waiting:
        file, package = waiting.pop()
        if file in seen:
            continue
        seen[file] = None
        for found in _imports(_parse_file(file)):
            waiting.extend(_resolve(found, package, folders))
    return tuple(sorted(seen))


def _imports(module: ast.Module | None) -> Iterator[_Import]:
    import ast

    for node in ast.walk(module) if module else ():
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield _Import(alias.name)
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names if alias.name != "*")
            yield _Import(node.module or "", names, node.level)


def _parse_file(file: Path) -> ast.Module | None:
    import tokenize

    try:
        with tokenize.open(file) as text:  # minds the file's own coding line
            return parse_python(text.read())
    except (OSError, SyntaxError, UnicodeDecodeError):
        return None


def _resolve(found: _Import, package: tuple[str, ...], roots: list[Path]) -> Iterator[_Module]:
    """The files one import statement loads: packages on the way, the module, submodules."""
    if found.level > len(package):
        return  # a relative import that leads out of its package, or stands in a notebook
    start = package[: len(package) - found.level + 1] if found.level else ()
    parts = start + tuple(part for part in found.module.split(".") if part)
    for root in roots:
        loaded = _load(parts, root, roots)
        if loaded is None:
            continue
        yield from loaded
        for name in found.names:
            yield from _load((*parts, name), root, roots) or ()
        if loaded:
            return  # a folder without files of its own is looked for under the next root too


def _load(parts: tuple[str, ...], root: Path, roots: list[Path]) -> list[_Module] | None:
    """The files of a dotted name under one root, from the outermost; None if it is not there."""
    loaded: list[_Module] = []
    for depth in range(1, len(parts) + 1):
        here = parts[:depth]
        folder = root.joinpath(*here)
        if init := _inside(folder / "__init__.py", roots):
            loaded.append(_Module(init, here))
        elif file := _inside(folder.with_name(f"{here[-1]}.py"), roots):
            return [*loaded, _Module(file, here[:-1])]
        elif not folder.is_dir():
            return loaded or None
    return loaded


def _inside(path: Path, roots: list[Path]) -> Path | None:
    """The resolved path of a regular file that lies in one of the roots."""
    try:
        if not path.is_file():
            return None
        resolved = path.resolve()
    except (OSError, RuntimeError, ValueError):
        return None
    return resolved if any(resolved.is_relative_to(root) for root in roots) else None
