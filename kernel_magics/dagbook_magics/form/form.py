"""The whole form: what is asked every day, the rest folded, and what can be done with it."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

import ipywidgets as widgets

from dagbook.errors import DagbookError
from dagbook_magics.commands.run import outcome
from dagbook_magics.commands.schedule import reload_services, said_change, start_services
from dagbook_magics.form.field import Field
from dagbook_magics.form.making import make_field
from dagbook_magics.form.own_credentials import OwnCredentials
from dagbook_magics.form.parameter_shapes import parameter_shapes
from dagbook_magics.form.row_fields import MappingField
from dagbook_magics.form.shape import UNSET, Kind, Shape, shape_of
from dagbook_magics.note import Note
from dagbook_magics.situation import Situation

#: What a front end may show before More, by the schema's own word for it.
_EVERYDAY = "dagbook:everyday"
#: What the form knows by itself.
_GIVEN = ("notebook", "schema_version")
_LONGEST_TRIAL = 7 * 86400.0

# Where a theme has its own colours they are taken; elsewhere the page's.
_STYLE = """<style>
.dagbook-form { max-width: 760px; padding: 4px 2px; }
.dagbook-form .widget-label, .dagbook-form label { font-weight: 600; white-space: normal;
  height: auto; line-height: 1.25; align-self: center; }
.dagbook-form .dagbook-help { margin: 0 0 0 134px; opacity: .75; font-size: .9em; line-height: 1.35;
  color: var(--jp-ui-font-color1, currentColor); }
.dagbook-form .dagbook-error { margin: 0 0 0 134px; font-weight: 600;
  border-left: 3px solid var(--jp-error-color1, currentColor); padding-left: 8px; line-height: 1.4;
  color: var(--jp-ui-font-color0, currentColor); }
.dagbook-form .dagbook-state { line-height: 1.45; color: var(--jp-ui-font-color0, currentColor); }
.dagbook-form button { min-height: 28px; height: auto; }
.dagbook-form .widget-box, .dagbook-form .jupyter-widgets { max-width: 100%; }
.dagbook-form .widget-hbox { flex-wrap: wrap; }
@media (max-width: 700px) {
  .dagbook-form .dagbook-help, .dagbook-form .dagbook-error { margin-left: 0; }
}
</style>"""


class Form:
    """A form for one notebook. Nothing is written before Save or a button that says so.

    Args:
        situation: which notebook, and whom to ask.
        component: which of its components, where it has several.
        makes_project: whether the project is made where there is none.
    """

    def __init__(
        self, situation: Situation, *, component: str | None = None, makes_project: bool = False
    ) -> None:
        self._situation = situation
        self._component = component
        self._makes_project = makes_project and situation.project is None
        # Where there is no project yet nothing can be asked of it: it is made first.
        if self._makes_project:
            from dagbook.notebook import read_notebook
            from dagbook.project import create_project

            read_notebook(situation.notebook)  # or it would be made for a file that is none
            create_project(situation.root)
            situation.__dict__.pop("project", None)
        schema = situation.ask("form_schema", component=component)
        settings = situation.ask("settings", component=component)
        self._base = settings["base"]
        self._before: dict[str, Any] = dict(settings["attributes"])
        shape = shape_of(schema["dataSchema"], schema["uiSchema"])
        parameters = situation.ask("parameters")["parameters"]
        self._fields = {
            part.key: self._field(part, parameters)
            for part in shape.properties
            if part.key not in _GIVEN
        }
        options = situation.ask("options", component=component)
        self._own = OwnCredentials(situation.root, options["own_credentials"])
        everyday = [n for n in schema["uiSchema"].get(_EVERYDAY, ()) if n in self._fields]
        for name, field in self._fields.items():
            field.set(self._before.get(name, UNSET))
            field.on_change(self._on_change)
        self._state = widgets.HTML()
        self._words = widgets.HTML()
        self.widget = self._page(everyday)
        self._on_change()

    def _field(self, part: Shape, parameters: list[dict[str, Any]]) -> Field:
        if part.key == "parameters" and part.kind is Kind.MAPPING:
            return MappingField(part, make_field, tuple(parameter_shapes(parameters)))
        return make_field(part)

    def _page(self, everyday: list[str]) -> Any:
        shown = [self._fields[name].widget for name in everyday]
        rest = [field.widget for name, field in self._fields.items() if name not in everyday]
        more = widgets.Accordion(children=[widgets.VBox(rest)], titles=("More",))
        more.selected_index = None
        self._try = self._button("Try and schedule", "primary", self._on_try)
        self._run = self._button("Run now", "", self._on_run)
        self._save = self._button("Save", "", self._on_save)
        self._start = self._button("Start schedules", "", self._on_start)
        self._start.layout.display = "none"
        self._buttons = (self._try, self._run, self._save, self._start)
        buttons = widgets.Box(list(self._buttons), layout=widgets.Layout(flex_flow="row wrap"))
        title = widgets.HTML(_STYLE + f"<b>{escape(self._situation.name)}</b>")
        page = widgets.VBox(
            [title, *shown, self._own.widget, more, self._words, buttons, self._state]
        )
        page.add_class("dagbook-form")
        return page

    def _button(self, text: str, style: str, do: Any) -> Any:
        button = widgets.Button(description=text, button_style=style)
        button.layout.width = "auto"
        button.on_click(lambda _: self._guarded(do))
        return button

    @property
    def attributes(self) -> dict[str, Any]:
        """What the form says, as it stands below ``attributes:``."""
        said = {name: field.value for name, field in self._fields.items()}
        said = {name: value for name, value in said.items() if value is not UNSET}
        kept = {n: v for n, v in self._before.items() if n not in self._fields and n != "notebook"}
        return {"notebook": self._situation.name, **said, **kept}

    def check(self) -> bool:
        """Show every error at its field; says whether there is none."""
        for field in self._fields.values():
            field.clear_errors()
        wrong = [
            ((name, *loc), text)
            for name, field in self._fields.items()
            for loc, text in field.own_problems()
        ]
        if not wrong:
            told = self._situation.ask(
                "validate", attributes=self.attributes, component=self._component
            )
            wrong = [(tuple(error["loc"]), error["msg"]) for error in told["errors"]]
        others: list[str] = []
        for loc, text in wrong:
            at = self._fields.get(str(loc[0])) if loc else None
            if at is None:
                others.append(f"{'.'.join(map(str, loc))}: {text}" if loc else text)
            else:
                at.show_error(tuple(loc[1:]), text)
        self._tell(Note("; ".join(others), is_warning=True) if others else None)
        return not wrong

    def _on_change(self) -> None:
        self._guarded(self._follow)
        resources = self._fields.get("resources")
        if resources is not None:
            self._guarded(lambda: self._own.follow(resources.value))

    def _follow(self) -> None:
        if not self.check():
            self._words.value = ""
            return
        told = self._ask("preview")
        scheduled = "schedule" in self._before
        self._try.description = "Update schedule" if scheduled else "Try and schedule"
        title = f"Changes: {told['words']}" if told["changes"] else "Everything at its default"
        note = Note(
            title if told["changed"] else "Nothing to save: this is what is written",
            text=told["text"].rstrip(),
            is_folded=True,
        )
        self._words.value = note.as_html()

    def _on_save(self) -> None:
        if self.check():
            self._write(self.attributes)

    def _on_run(self) -> None:
        """Try what is saved or, of a notebook that has no settings yet, what stands here."""
        if not self.check():
            return
        if not self._before:
            self._write(self._unscheduled())
        self._trial()

    def _on_try(self) -> None:
        if not self.check():
            return
        if "schedule" not in self.attributes:
            self._fields["schedule"].show_error((), "say when, or choose Run now")
            return
        if "schedule" in self._before:
            self._write(self.attributes)
            return
        # Written without its schedule, so that what is tried is what will run, and a notebook
        # that fails is not scheduled.
        wanted = self.attributes
        self._write(self._unscheduled())
        tried = self._trial()
        if tried is not None:
            self._write(wanted, after=tried)

    def _on_start(self) -> None:
        self._tell(Note("Starting what runs schedules …"))
        self._tell(start_services(self._situation))
        self._start.layout.display = "none"

    def _unscheduled(self) -> dict[str, Any]:
        return {name: value for name, value in self.attributes.items() if name != "schedule"}

    def _trial(self) -> Note | None:
        """Try it; what came of it where it worked, None where it did not."""
        name = self._situation.name
        self._tell(Note(f"Trying {name} … Interrupt the kernel to cancel."))

        def progress(event: Mapping[str, Any]) -> None:
            if "cell" in event:
                self._tell(Note(f"Trying {name}: cell {event['cell']} of {event['of']}"))

        try:
            told = self._situation.ask(
                "trial", on_event=progress, timeout=_LONGEST_TRIAL, component=self._component
            )
        except KeyboardInterrupt:
            # The kernel was interrupted; nobody above would say anything of it.
            then = "" if "schedule" in self._before else " Not scheduled."
            self._tell(Note(f"The trial of {name} was cancelled.{then}", is_warning=True))
            return None
        worked: bool = told["state"] == "succeeded"
        note = outcome(self._situation, told)
        if not worked and "schedule" not in self._before:
            note.title += ". Not scheduled."
        self._tell(note)
        return note if worked else None

    def _write(self, attributes: Mapping[str, Any], after: Note | None = None) -> None:
        told = self._ask("write", attributes=attributes, base=self._base)
        self._base = told["base"]
        settings = self._situation.ask("settings", component=self._component)
        self._before = dict(settings["attributes"])
        reloaded = reload_services(self._situation)
        # Only what is scheduled needs somebody who keeps time.
        is_missed = reloaded.is_warning and "schedule" in self._before
        self._start.layout.display = "" if is_missed else "none"
        said = said_change(self._situation, told)
        self._tell(after, said, reloaded if "schedule" in self._before else None)
        self._follow_quietly()

    def _follow_quietly(self) -> None:
        state = self._state.value
        self._follow()
        self._state.value = state

    def _ask(self, verb: str, **arguments: Any) -> Any:
        arguments.setdefault("attributes", self.attributes)
        return self._situation.ask(verb, component=self._component, **arguments)

    def _guarded(self, do: Any) -> None:
        """Do it; what is refused stands at the end of the form, and nothing typed is lost."""
        for button in self._buttons:
            button.disabled = True
        try:
            do()
        except DagbookError as error:
            self._tell(Note(str(error), is_warning=True))
        finally:
            for button in self._buttons:
                button.disabled = False

    def _tell(self, *notes: Note | None) -> None:
        said = "".join(note.as_html() for note in notes if note is not None)
        # Read out as it changes.
        self._state.value = f'<div class="dagbook-state" aria-live="polite">{said}</div>'
