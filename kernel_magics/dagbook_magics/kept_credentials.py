"""Sets what a reader keeps of the notebook's connections, as the extension is loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dagbook.errors import DagbookError
from dagbook.project import find_project
from dagbook_magics.note import Note
from dagbook_magics.notebook_path import find_notebook

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell


def set_what_is_kept(shell: InteractiveShell) -> None:
    """Set the variables of the notebook's connections, so that cells read them as at night.

    Nothing is said where nothing is kept. What cannot be used is said, and ends nothing.
    """
    try:
        notebook = find_notebook(shell.user_ns)
        project = find_project(notebook)
    except DagbookError:
        return  # nobody knows which notebook this is, so nothing is its own
    if project is None:
        return
    try:
        from dagbook.credentials.kept import kept

        if not kept(project.root):
            return
        from dagbook.credentials.in_lab import load_credentials

        loaded = load_credentials(notebook=notebook)
    except DagbookError as error:
        note = Note(f"Your kept credentials were not set: {error}", is_warning=True)
    else:
        if not loaded.variables:
            return
        note = Note(f"Set from what you keep: {', '.join(loaded.variables)}")
    shell.display_pub.publish(data=note.bundle())
