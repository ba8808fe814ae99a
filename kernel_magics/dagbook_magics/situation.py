"""What a command is about: the reader's notebook, its project, and the way to ask of both."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.errors import DagbookError
from dagbook.project import Project, find_project
from dagbook_magics.note import Note
from dagbook_magics.notebook_path import find_notebook
from dagbook_magics.saved import CellsSeen

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

    from dagbook.bridge_client import Bridge

Tell = Callable[[Mapping[str, Any]], None]


@dataclass
class Situation:
    """Where a line `%dagster …` was written.

    Args:
        shell: the shell that runs it.
        seen: the cells that ran in it.
        given: the notebook, where the reader named one.
    """

    shell: InteractiveShell
    seen: CellsSeen
    given: str | None = None

    @cached_property
    def notebook(self) -> Path:
        """The notebook's file.

        Raises:
            DagbookError: nobody knows which, or it was never saved.
        """
        return find_notebook(self.shell.user_ns, self.given)

    @cached_property
    def project(self) -> Project | None:
        """The project it lies in, if it lies in one."""
        return find_project(self.notebook)

    @property
    def root(self) -> Path:
        """The folder of the project, or the one that would become it."""
        return self.notebook.parent if self.project is None else self.project.root

    @property
    def name(self) -> str:
        """The notebook as the project calls it: relative, with forward slashes.

        Raises:
            DagbookError: it cannot be named so.
        """
        if self.project is None:
            return self.notebook.name
        return self.project.relative(self.notebook)

    @cached_property
    def bridge(self) -> Bridge:
        """The process that answers for the project; started by the first question."""
        from dagbook.bridge_client import Bridge

        return Bridge.open(self.root)

    def ask(self, verb: str, on_event: Tell | None = None, **arguments: Any) -> Any:
        """Ask about this notebook.

        Raises:
            DagbookError: there is no answer; the text says why.
        """
        return self.ask_project(verb, on_event, notebook=self.name, **arguments)

    def ask_project(self, verb: str, on_event: Tell | None = None, **arguments: Any) -> Any:
        """Ask about the whole project.

        Raises:
            DagbookError: there is no answer; the text says why.
        """
        from dagbook.bridge_protocol import BridgeError, Code

        try:
            return self.bridge.ask(verb, on_event=on_event, **arguments)
        except BridgeError as error:
            then = ""
            if error.code is Code.CHANGED:
                then = ". Nothing was written: run this cell again to go on from what they are now"
            # A reader knows of no bridge.
            raise DagbookError(f"{error}{then}") from None

    @property
    def python(self) -> str:
        """The project's own Python.

        Raises:
            DagbookError: nothing answers for the project.
        """
        from dagbook.bridge_protocol import BridgeError

        try:
            return str(self.bridge.hello()["python"])
        except BridgeError as error:
            raise DagbookError(str(error)) from None

    def require_project(self, command: str) -> None:
        """Refuse what needs a project where there is none.

        Raises:
            DagbookError: with the command that makes one.
        """
        if self.project is None:
            raise DagbookError(
                f"{self.notebook.name} is in no dagbook project. `{command} --init` makes "
                f"{self.root} one: it adds dg.toml and defs/"
            )

    @property
    def version_note(self) -> list[Note]:
        """Which version of the notebook is meant, where the editor has another one."""
        saved_at = self.seen.unsaved_since(self.notebook)
        if saved_at is None:
            return []
        text = f"Using the version saved {saved_at}. Cells that ran since are not in it: save first"
        return [Note(f"{text} to have them.", is_warning=True)]

    def show(self, *notes: Note) -> None:
        """Show notes below the cell, the first one's words above the others'."""
        if notes:
            self.shell.display_pub.publish(data=notes[0].bundle(more=notes[1:]))
