"""Finds what a vanished run left among all that lies in a folder, and makes its notebook of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagbook.execution.recovery import recover_runs
from dagbook.execution.result import CellStatus, RunStatus

#: How many of the last killed runs are looked at for one that others recovered first.
_MOST_READ = 20


@dataclass(frozen=True)
class Recovered:
    """The notebook of a run that vanished. `cell` counts from 1; None between cells."""

    notebook: Path
    reason: str
    cell: int | None


def recover_run(folder: Path, run_id: str) -> Recovered | None:
    """Make the notebook of the run `run_id`, if it vanished and left something in `folder`.

    Whoever looked there before may have done so already: then it is found.

    Returns:
        The notebook; None when the run left nothing there, lives, or had not got as far.
    """
    written = recover_runs(folder)
    others = sorted(folder.glob(f"*-{RunStatus.KILLED}.ipynb"), reverse=True)[:_MOST_READ]
    for notebook in dict.fromkeys([*written, *others]):
        told = _told_by(notebook)
        if told is not None and _run_of(told) == run_id:
            return _recovered(notebook, told)
    return None


def _told_by(notebook: Path) -> dict[str, Any] | None:
    try:
        told = json.loads(notebook.read_bytes())["metadata"]["dagbook"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return told if isinstance(told, dict) else None


def _run_of(told: dict[str, Any]) -> str | None:
    """The run a result belongs to, by its provenance."""
    identity = (told.get("provenance") or {}).get("identity") or {}
    found = identity.get("run_id")
    return None if found is None else str(found)


def _recovered(notebook: Path, told: dict[str, Any]) -> Recovered:
    killed = [cell for cell in told["cells"] if cell["status"] == CellStatus.KILLED]
    return Recovered(notebook, told["reason"], killed[-1]["index"] + 1 if killed else None)
