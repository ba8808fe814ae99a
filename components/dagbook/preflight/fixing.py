"""Applying a finding's fix to a notebook's file, and taking it back.

The file keeps its formatting, its ids and all it holds beside the cells that change. What takes a
fix back is kept in the project, in ``.dagbook/fixes.json``; it is refused where somebody has
changed the same lines since.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagbook.atomic_write import write_atomically
from dagbook.errors import DagbookError
from dagbook.notebook_file import shown
from dagbook.preflight.edits import Document, Edit, apply_edits
from dagbook.preflight.finding import Fix

STATE_FILE = "fixes.json"
#: Of each notebook, how many fixes can be taken back.
MAX_STEPS = 50


def edits_of(fix: Fix) -> list[Edit] | None:
    """What a fix changes in its notebook; None for one that changes something else."""
    edits = fix.arguments.get("edits")
    return list(edits) if isinstance(edits, list) else None


@dataclass(frozen=True)
class _File:
    """A notebook's file as it is, with what it takes to write it in the same way."""

    path: Path
    data: bytes
    document: Document

    def with_document(self, document: Document) -> bytes:
        """The file's bytes with another document, formatted as they are now."""
        text = self.data.decode("utf-8-sig")
        indent = re.match(r"\s*\{\r?\n([ \t]+)", text)
        written = json.dumps(
            document,
            ensure_ascii=text.isascii() and "\\u" in text,
            indent=None if indent is None else indent[1],
            separators=None if indent is not None or '": ' in text[:200] else (",", ":"),
        )
        if "\r\n" in text:
            written = written.replace("\n", "\r\n")
        end = text[len(text.rstrip()) :]
        mark = b"\xef\xbb\xbf" if self.data.startswith(b"\xef\xbb\xbf") else b""
        return mark + (written + end).encode("utf-8", "surrogatepass")


def apply_to_file(path: Path, edits: Sequence[Edit]) -> list[Edit]:
    """Apply edits to a notebook's file, in one step.

    Returns:
        The edits that undo these.

    Raises:
        DagbookError: it is no `.ipynb` of format 4, cannot be written, or changed meanwhile.
    """
    file = _read(path)
    try:
        document, undo = apply_edits(file.document, edits)
    except DagbookError as error:
        raise DagbookError(f"{shown(path)}, {error}") from None
    data = file.with_document(document)
    try:
        if path.read_bytes() != file.data:
            raise DagbookError(f"{shown(path)}: was saved by somebody else just now; try again")
        write_atomically(path, data)
    except OSError as error:
        raise DagbookError(f"{shown(path)}: cannot be written ({error.strerror})") from None
    return undo


def _read(path: Path) -> _File:
    if path.suffix != ".ipynb":
        raise DagbookError(
            f"{shown(path)}: only .ipynb files are changed; change a notebook as text by hand"
        )
    try:
        data = path.read_bytes()
        document = json.loads(data.decode("utf-8-sig"))
    except OSError as error:
        raise DagbookError(f"{shown(path)}: cannot be read ({error.strerror})") from None
    except ValueError:
        raise DagbookError(f"{shown(path)}: is no notebook in JSON") from None
    if not isinstance(document, dict) or document.get("nbformat") != 4:
        raise DagbookError(f"{shown(path)}: save it in Jupyter first, in notebook format 4")
    if not isinstance(document.get("cells"), list):
        raise DagbookError(f"{shown(path)}: has no list of cells")
    return _File(path, data, document)


class FixHistory:
    """What can be taken back, by notebook: kept in a project's folder for state."""

    def __init__(self, state_folder: Path) -> None:
        """Look there; nothing is made before something is kept."""
        self._path = state_folder / STATE_FILE

    def remember(self, notebook: Path, title: str, undo: Sequence[Edit]) -> None:
        """Keep what takes back a fix that was applied just now.

        Raises:
            DagbookError: it cannot be kept.
        """
        steps = self._load()
        own = [*steps.get(self._key(notebook), []), {"title": title, "undo": list(undo)}]
        steps[self._key(notebook)] = own[-MAX_STEPS:]
        self._store(steps)

    def last(self, notebook: Path) -> tuple[str, list[Edit]] | None:
        """The title of the fix applied last, and the edits that take it back."""
        own = self._load().get(self._key(notebook), [])
        try:
            return (str(own[-1]["title"]), list(own[-1]["undo"])) if own else None
        except (KeyError, TypeError):
            return None

    def forget_last(self, notebook: Path) -> None:
        """Forget the last fix, which was taken back."""
        steps = self._load()
        own = steps.get(self._key(notebook), [])[:-1]
        if own:
            steps[self._key(notebook)] = own
        else:
            steps.pop(self._key(notebook), None)
        self._store(steps)

    def _key(self, notebook: Path) -> str:
        base = os.path.abspath(self._path.parent.parent)  # noqa: PTH100 (links as they are named)
        return os.path.relpath(os.path.abspath(notebook), base)  # noqa: PTH100

    def _load(self) -> dict[str, list[Any]]:
        try:
            steps = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        if not isinstance(steps, dict):
            return {}
        return {key: own for key, own in steps.items() if isinstance(own, list)}

    def _store(self, steps: dict[str, list[Any]]) -> None:
        try:
            write_atomically(self._path, json.dumps(steps, indent=1, ensure_ascii=False))
            # It holds lines of notebooks, which may be more private than the project's state.
            self._path.chmod(0o600)
        except OSError as error:
            raise DagbookError(
                f"{shown(self._path)}: cannot be written ({error.strerror}), so the fix could not "
                "be taken back"
            ) from None
