"""A note that changes while something goes on."""

from __future__ import annotations

import threading
import uuid
from typing import TYPE_CHECKING

from dagbook_magics.note import Note

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


class LiveNote:
    """One output below the cell, of which only the last state stays."""

    def __init__(self, shell: InteractiveShell, note: Note) -> None:
        self._shell = shell
        self._transient = {"display_id": f"dagbook-{uuid.uuid4()}"}
        self._lock = threading.Lock()
        self._last = ""
        # Messages sent from another thread must still belong to this very cell.
        get_parent = getattr(shell, "get_parent", None)
        self._parent = None if get_parent is None else get_parent()
        self._publish(note, update=False)

    def update(self, note: Note) -> None:
        """Show another note in its place. Any thread may."""
        self._publish(note, update=True)

    def _publish(self, note: Note, *, update: bool) -> None:
        with self._lock:
            if note.as_text() == self._last:
                return
            self._last = note.as_text()
            set_parent = getattr(self._shell.display_pub, "set_parent", None)
            if threading.current_thread() is not threading.main_thread() and set_parent:
                set_parent(self._parent)
            self._shell.display_pub.publish(
                data=note.bundle(), transient=self._transient, update=update
            )
