"""Finds what a vanished run left among all that lies in a folder, and makes its notebook of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagbook.context import CONTEXT_FILE_NAME
from dagbook.execution.journal import is_abandoned
from dagbook.execution.place import RUNNING_SUFFIX
from dagbook.execution.recovery import recover
from dagbook.execution.result import CellStatus


@dataclass(frozen=True)
class Recovered:
    """The notebook of a run that vanished. `cell` counts from 1; None between cells."""

    notebook: Path
    reason: str
    cell: int | None


def recover_run(folder: Path, run_id: str) -> Recovered | None:
    """Make the notebook of the run that was told `run_id`, if it left something in `folder`.

    Returns:
        The notebook; None when the run left nothing there, lives, or had not got as far.
    """
    for left in folder.glob(f".*{RUNNING_SUFFIX}"):
        if _run_of(left) == run_id and is_abandoned(left):
            notebook = recover(left)
            if notebook is not None:
                return _read(notebook)
    return None


def _run_of(left: Path) -> str | None:
    """The run an execution belongs to, by what its notebook was told."""
    try:
        told: Any = json.loads((left / CONTEXT_FILE_NAME).read_bytes())
    except (OSError, ValueError):
        return None
    return told.get("run_id") if isinstance(told, dict) else None


def _read(notebook: Path) -> Recovered:
    told: dict[str, Any] = json.loads(notebook.read_bytes())["metadata"]["dagbook"]
    killed = [cell for cell in told["cells"] if cell["status"] == CellStatus.KILLED]
    return Recovered(notebook, told["reason"], killed[-1]["index"] + 1 if killed else None)
