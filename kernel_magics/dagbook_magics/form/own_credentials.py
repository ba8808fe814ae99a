"""Below the connections of a form: what of them is the reader's own, and a way to keep it.

What is typed here goes into a file that the reader alone can read, and nowhere else: not into the
YAML, and not to the project's bridge.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import ipywidgets as widgets

from dagbook.credentials.kept import forget, keep, kept
from dagbook.errors import DagbookError
from dagbook_magics.form.field import LABEL_WIDTH
from dagbook_magics.note import Note

_TITLE = "Your own credentials, for trials and in this notebook (scheduled runs use the platform's)"


class OwnCredentials:
    """Asks for the variables of the connections that were chosen.

    Args:
        root: the project they are kept for.
        connections: as the bridge tells them.
    """

    def __init__(self, root: Path, connections: Sequence[Mapping[str, Any]]) -> None:
        self._root = root
        self._connections = {str(each["name"]): each for each in connections}
        self._shown: tuple[str, ...] = ()
        self._inputs: dict[tuple[str, str], Any] = {}
        self._state = widgets.HTML()
        self._body = widgets.VBox([])
        self.widget = widgets.Accordion(children=[self._body], titles=(_TITLE,))
        self.widget.selected_index = None
        self.widget.layout.display = "none"

    def follow(self, resources: Any) -> None:
        """Show what the connections named in ``resources`` need."""
        named = resources.values() if isinstance(resources, Mapping) else ()
        names = tuple(
            dict.fromkeys(
                str(name) for name in named if self._connections.get(str(name), {}).get("own")
            )
        )
        if names == self._shown:
            return
        self._shown = names
        self.widget.layout.display = "" if names else "none"
        self._show()

    def _show(self) -> None:
        there = kept(self._root)
        for made in self._inputs.values():
            # A front end may save what its widgets hold: none of ours holds a value any more.
            made.value = ""
            made.close()
        self._inputs = {}
        rows: list[Any] = []
        for name in self._shown:
            connection = self._connections[name]
            rows.append(widgets.HTML(f"<b>{escape(name)}</b>"))
            known = there.get(name, ())
            rows += [self._row(connection, variable, known) for variable in connection["own"]]
        save = widgets.Button(description="Keep it for my runs")
        save.layout.width = "auto"
        save.on_click(lambda _: self._keep())
        drop = widgets.Button(description="Forget it")
        drop.layout.width = "auto"
        drop.on_click(lambda _: self._forget())
        buttons = widgets.Box([save, drop], layout=widgets.Layout(flex_flow="row wrap"))
        self._body.children = [*rows, buttons, self._state]

    def _row(self, connection: Mapping[str, Any], variable: str, known: Sequence[str]) -> Any:
        if os.environ.get(variable):
            state = "set in your environment"
        else:
            state = "kept" if variable in known else "not given yet"
        options = {
            "description": variable,
            "placeholder": state,
            "style": {"description_width": LABEL_WIDTH},
            "layout": widgets.Layout(width="auto", max_width="560px"),
        }
        if variable in connection["files"]:
            made = widgets.Textarea(**options)
        elif variable in connection["public"]:
            made = widgets.Text(**options)
        else:
            made = widgets.Password(**options)
        self._inputs[str(connection["name"]), variable] = made
        return made

    def _keep(self) -> None:
        said = []
        try:
            for name in self._shown:
                values = {
                    variable: made.value
                    for (owner, variable), made in self._inputs.items()
                    if owner == name and made.value
                }
                if values:
                    keep(self._root, name, values, public=self._connections[name]["public"])
                    said.append(f"{name}: {', '.join(values)}")
        except DagbookError as error:
            self._tell(Note(str(error), is_warning=True))
            return
        # Nothing of it stays on the page, nor in what the notebook saves of its widgets.
        self._show()
        if said:
            said.append("`dagbook.load_credentials()` sets it in this notebook")
        self._tell(Note(f"✓ Kept. {'; '.join(said)}" if said else "Nothing was typed."))

    def _forget(self) -> None:
        try:
            gone = [name for name in self._shown if forget(self._root, name)]
        except DagbookError as error:
            self._tell(Note(str(error), is_warning=True))
            return
        self._show()
        self._tell(Note(f"✓ Forgotten: {', '.join(gone)}" if gone else "Nothing was kept."))

    def _tell(self, note: Note) -> None:
        self._state.value = f'<div class="dagbook-state" aria-live="polite">{note.as_html()}</div>'
