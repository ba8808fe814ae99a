"""Whether the notebook on disk is what the reader has before their eyes."""

from __future__ import annotations

import json
import time
from pathlib import Path


class CellsSeen:
    """What this kernel was given to run: the only trace of an editor that a kernel has."""

    def __init__(self) -> None:
        self._sources: dict[str, tuple[str, float]] = {}

    def note(self, cell_id: str, source: str) -> None:
        """Remember a cell that runs now."""
        self._sources[cell_id] = (source, time.time())

    def unsaved_since(self, notebook: Path) -> str | None:
        """When the file was saved, as ``14:02``, where cells that ran since are not in it.

        None where the file has all that ran, or cannot be told apart from it.
        """
        try:
            saved_at = notebook.stat().st_mtime
            cells = json.loads(notebook.read_bytes())["cells"]
            known = {cell["id"]: _text(cell.get("source", "")) for cell in cells if "id" in cell}
        except (OSError, ValueError, KeyError, TypeError):
            return None
        for cell_id, (source, ran_at) in self._sources.items():
            if ran_at > saved_at and known and known.get(cell_id, "").strip() != source.strip():
                return _clock(saved_at)
        return None


def _text(source: object) -> str:
    return "".join(source) if isinstance(source, list) else str(source)


def _clock(moment: float) -> str:
    local = time.localtime(moment)
    same_day = local[:3] == time.localtime()[:3]
    return time.strftime("%H:%M" if same_day else "%d %b %H:%M", local)
