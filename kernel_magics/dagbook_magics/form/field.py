"""What every field of the form can do, and the frame it stands in: label, help, error."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from html import escape
from typing import Any

import ipywidgets as widgets

from dagbook_magics.form.shape import UNSET, Shape
from dagbook_magics.note import marked

Loc = tuple[str | int, ...]

LABEL_WIDTH = "130px"
#: So many characters of a value are shown that has no input.
_LONGEST = 80


class Field(ABC):
    """One field of the form, or a group of them.

    Attributes:
        widget: what is put on the page.
    """

    widget: Any

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        self._listeners: list[Callable[[], None]] = []
        self._given: Any = UNSET
        self._is_as_given = False
        self._error = ""
        self._message = widgets.HTML(layout=widgets.Layout(display="none", margin="0"))

    @property
    def value(self) -> Any:
        """What it says, as it stands in YAML; `UNSET` where it says nothing.

        As long as the reader changes nothing in it, it is to the letter what it was given: also
        what its input cannot show.
        """
        return self._given if self._is_as_given else self.said

    @property
    @abstractmethod
    def said(self) -> Any:
        """What stands in its input."""

    def set(self, value: Any) -> None:
        """Show a value; `UNSET` empties the field."""
        self.show(value)
        self._given, self._is_as_given = value, value is not UNSET

    @abstractmethod
    def show(self, value: Any) -> None:
        """Have a value stand in its input, as far as that can show it."""

    def own_problems(self) -> Iterator[tuple[Loc, str]]:
        """What is wrong with what was typed, before anybody else is asked: place and text."""
        yield from ()

    def children(self) -> dict[str | int, Field]:
        """The fields in it, by what leads to them."""
        return {}

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have `listener` called after each change of the reader's."""
        self._listeners.append(listener)

    def changed(self, *_: Any) -> None:
        """Tell those who listen."""
        self._is_as_given = False
        for listener in self._listeners:
            listener()

    def show_error(self, loc: Loc, text: str) -> None:
        """Show an error at the field it is about, or at the nearest there is."""
        child = self.children().get(loc[0]) if loc else None
        if child is not None:
            child.show_error(loc[1:], text)
            return
        # Where the place has no field of its own, its name says what is meant.
        text = f"{'.'.join(map(str, loc))}: {text}" if loc else text
        self._error = f"{self._error} {text}".strip()
        # Announced by a screen reader as it appears; the sign says the same as the colour.
        self._message.value = (
            f'<div role="alert" class="dagbook-error">✕ {escape(self._error)}</div>'
        )
        self._message.layout.display = ""

    def clear_errors(self) -> None:
        """Take all errors away, of the fields in it too."""
        if self._error:
            self._error = ""
            self._message.value = ""
            self._message.layout.display = "none"
        for child in self.children().values():
            child.clear_errors()

    @property
    def errors(self) -> list[str]:
        """The errors that are shown, from top to bottom."""
        own = [self._error] if self._error else []
        return own + [text for child in self.children().values() for text in child.errors]

    def framed(self, body: Any) -> Any:
        """The field's input with its help below, and the place for its error."""
        parts = [body, self._message]
        if self.shape.help:
            said = f'<div class="dagbook-help">{marked(self.shape.help)}</div>'
            parts.insert(1, widgets.HTML(said, layout=widgets.Layout(margin="0")))
        return widgets.VBox(parts, layout=widgets.Layout(margin="0 0 6px 0"))


def labelled(shape: Shape, **options: Any) -> dict[str, Any]:
    """The arguments that give an input its label: a real one, which a click and a reader find."""
    mark = " *" if shape.required else ""
    return {
        "description": f"{shape.label}{mark}" if shape.label else "",
        "style": {"description_width": LABEL_WIDTH if shape.label else "0px"},
        "layout": widgets.Layout(width="auto", max_width="560px"),
        **options,
    }


def as_written(value: Any) -> Any:
    """A line for a value that an input cannot show; it stays as it is until it is changed."""
    return widgets.HTML(f"<span>as written: <code>{escape(short(value))}</code></span>")


def short(value: Any) -> str:
    """The beginning of a value, as it would be written in one line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return f"{text[:_LONGEST]}…" if len(text) > _LONGEST else text


def default_text(shape: Shape) -> str:
    """What an empty field means, as a hint in it."""
    if shape.default is not UNSET and shape.default not in ([], {}, None):
        return f"default: {shape.default}"
    if isinstance(shape.example, str | int | float):
        return f"such as {shape.example}"
    return ""


def side_label(shape: Shape) -> Any:
    """The label of a field that has several inputs, in the column of the others' labels."""
    made = widgets.Label(
        f"{shape.label} *" if shape.required else shape.label,
        layout=widgets.Layout(
            width="auto", min_width=LABEL_WIDTH, justify_content="flex-end", margin="2px 4px 2px 0"
        ),
    )
    return made


MakeField = Callable[[Shape], Field]


def indent() -> Any:
    """The layout of what belongs to a title above it."""
    # A new one each: a layout that is shared is hidden with the first that is.
    return widgets.Layout(margin="0 0 6px 0", padding="0 0 0 12px", border_left="2px solid #8884")
