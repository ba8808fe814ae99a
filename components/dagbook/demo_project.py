"""The demo that comes with dagbook: a project of three notebooks, to copy and start."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from dagbook.errors import DagbookError
from dagbook.project import find_project

# What running the demo in place leaves behind is no part of it.
_LEFT_BEHIND = {"__pycache__", ".ipynb_checkpoints", ".dagbook", "runs", "mlruns"}


def copy_demo(folder: Path) -> list[Path]:
    """Copy the demo project into a folder; nothing that exists is overwritten.

    Returns:
        The files that were made.

    Raises:
        DagbookError: a file of the demo's is there already, or the folder cannot be written.
    """
    source = Path(str(files("dagbook") / "demo"))
    target = folder.expanduser().absolute()
    if target.exists() and not target.is_dir():
        raise DagbookError(f"{folder} is a file: name a folder")
    around = find_project(target)
    if around is not None and around.root != target:
        raise DagbookError(f"{folder} lies in the project {around.root}: name a folder outside it")
    names = [path.relative_to(source) for path in _demo_files(source)]
    taken = [name for name in names if (target / name).exists()]
    if taken:
        raise DagbookError(
            f"{folder / taken[0]} exists already, nothing was copied: name an empty folder"
        )
    try:
        for name in names:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            # Bytes only: an installed package may be read-only, the copy is to be edited.
            (target / name).write_bytes((source / name).read_bytes())
    except OSError as error:
        where = error.filename or folder
        reason = os.strerror(error.errno or 0)
        raise DagbookError(f"cannot copy the demo: {where}: {reason}") from error
    return [target / name for name in names]


def _demo_files(source: Path) -> list[Path]:
    return sorted(
        path
        for path in source.rglob("*")
        if path.is_file() and not _LEFT_BEHIND & set(path.relative_to(source).parts)
    )
