"""Tells our extension of JupyterLab which role a first line says, so that it can set the tag.

A kernel cannot change a cell's tags; the front end can. Where there is no extension of ours the
line alone is enough, and nobody notices that this was said.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from dagbook.first_line import find_role_line
from dagbook.roles import CellRoles

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

TARGET = "dagbook"


class TagOffer:
    """One line to the front end, opened with the first cell that has something to say."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._comm: Any = None
        self._is_refused = False

    def about(self, source: str, tags: Sequence[str], said: CellRoles) -> None:
        """Say that a cell's first line states a role which its tags do not.

        Sent: ``{"cell": ID, "tags": [...], "line": NUMBER}``, the line counted from 0.
        """
        line = find_role_line(source, "python")
        cell = self._cell_id()
        if line is None or not line.words or cell is None:
            return
        roles = [str(said.role)] if said.role is not None else []
        roles += [f"result:{name}" for name in said.results]
        missing = [role for role in dict.fromkeys(roles) if role not in tags]
        if missing:
            self._send({"cell": cell, "tags": missing, "line": line.number})

    def _cell_id(self) -> str | None:
        get_parent = getattr(self._shell, "get_parent", None)
        metadata = None if get_parent is None else get_parent().get("metadata")
        cell = metadata.get("cellId") if isinstance(metadata, dict) else None
        return cell if isinstance(cell, str) else None

    def _send(self, message: dict[str, Any]) -> None:
        if self._is_refused:
            return
        # Whatever goes wrong between a kernel and its front end is no mistake of the cell's.
        with suppress(Exception):
            if self._comm is None:
                from comm import create_comm

                self._comm = create_comm(TARGET, data={"version": 1})
                # A front end that knows nothing of us closes it.
                self._comm.on_close(self._refuse)
            self._comm.send(message)

    def _refuse(self, _message: Any) -> None:
        self._is_refused = True

    def close(self) -> None:
        """End the line."""
        if self._comm is not None and not self._is_refused:
            with suppress(Exception):
                self._comm.close()
