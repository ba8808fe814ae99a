"""Looking through a project's own files, only once something was not found where it should be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

#: Folders that hold nobody's own sources.
_PASSED_OVER = frozenset(
    {"runs", "node_modules", "__pycache__", "site-packages", "build", "dist", "venv", "env"}
)
#: What is looked at, at most: a larger project has its answer in its first files or not at all.
MAX_FILES = 2_000
MAX_BYTES = 20_000_000


def find_modules(root: Path, name: str) -> list[str]:
    """Where in a project a module lies, as paths from its root."""
    found = []
    for folder, folders, files in _walk(root):
        here = folder.relative_to(root)
        if f"{name}.py" in files:
            found.append((here / f"{name}.py").as_posix())
        elif name in folders and (folder / name / "__init__.py").is_file():
            found.append(f"{(here / name).as_posix()}/")
    return found


def is_mentioned(root: Path, name: str, besides: Path | None) -> bool:
    """Whether a notebook or module of a project, besides one, names a file."""
    wanted, read = name.encode(), 0
    for folder, _, files in _walk(root):
        for file in files:
            path = folder / file
            if not file.endswith((".ipynb", ".py", ".R", ".sql", ".sh", ".yaml", ".yml")):
                continue
            if besides is not None and path == besides:
                continue
            try:
                size = path.stat().st_size
                read += size
                if read > MAX_BYTES:
                    return True  # nobody knows
                if wanted in path.read_bytes():
                    return True
            except OSError:
                continue
    return False


def _walk(root: Path) -> Iterator[tuple[Path, list[str], list[str]]]:
    seen = 0
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name not in _PASSED_OVER
        )
        seen += len(files)
        yield Path(folder), folders, files
        if seen > MAX_FILES:
            return
