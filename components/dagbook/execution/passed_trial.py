"""Looks for a run of a notebook, just as it is now, that succeeded."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dagbook.execution.last_good import GOOD_NAME, read_account
from dagbook.execution.tracing import file_hash, outline
from dagbook.local_modules import local_modules
from dagbook.notebook import Notebook

#: Good runs of the project that are looked into, the newest first.
MAX_LOOKED_INTO = 30
#: Runs lie in `runs/<asset>/<partition>`, and assets have names of several parts.
MAX_DEPTH = 8


@dataclass(frozen=True)
class PassedTrial:
    """A run that succeeded with the notebook as it is."""

    executed: Path
    started_at: float

    @property
    def moment(self) -> str:
        """When it began, for people."""
        return datetime.fromtimestamp(self.started_at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def find_passed_trial(notebook: Notebook, root: Path, runs: Path) -> PassedTrial | None:
    """Find the newest run that succeeded with the notebook's cells and modules as they are.

    Only the ends of stored notebooks are read; nothing is asked of Dagster.

    Args:
        notebook: as read from its file.
        root: the project's folder, or the notebook's own.
        runs: where executed notebooks lie.
    """
    if notebook.path is None:
        return None
    cells = [entry[1] for entry in outline(notebook)]
    modules: dict[str, str | None] | None = None
    for path in _newest(runs):
        account = read_account(path)
        provenance = (account or {}).get("provenance")
        if account is None or not isinstance(provenance, dict):
            continue
        if account.get("status") != "succeeded" or not _has_cells(provenance, cells):
            continue
        if modules is None:
            modules = _modules(notebook, root)
        if _modules_then(provenance) != modules:
            continue
        try:
            return PassedTrial(path, float(account["started_at"]))
        except (KeyError, TypeError, ValueError):
            continue
    return None


def _newest(runs: Path) -> Iterator[Path]:
    found: list[tuple[str, int, str]] = []
    for folder, folders, files in os.walk(runs):
        depth = len(Path(folder).relative_to(runs).parts)
        folders[:] = [name for name in folders if depth < MAX_DEPTH and not name.startswith(".")]
        found += [
            (name[1], int(name[2] or 1), f"{folder}/{file}")
            for file in files
            if (name := GOOD_NAME.fullmatch(file))
        ]
    for _, _, path in sorted(found, reverse=True)[:MAX_LOOKED_INTO]:
        yield Path(path)


def _has_cells(provenance: Mapping[str, Any], cells: Sequence[str]) -> bool:
    stored = provenance.get("cells")
    try:
        return isinstance(stored, list) and [entry[1] for entry in stored] == cells
    except (TypeError, IndexError, KeyError):
        return False


def _modules(notebook: Notebook, root: Path) -> dict[str, str | None]:
    assert notebook.path is not None
    folder = notebook.path.absolute().parent
    files = local_modules(notebook, [folder, root])
    return {file.name: file_hash(file) for file in files}


def _modules_then(provenance: Mapping[str, Any]) -> dict[str, str | None]:
    files = provenance.get("files")
    return {
        Path(str(file.get("path"))).name: file.get("sha256")
        for file in (files if isinstance(files, list) else [])
        if isinstance(file, dict) and file.get("role") == "module"
    }
