"""Fields with one input: text, numbers, yes or no, one of several, several of several."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ipywidgets as widgets

from dagbook_magics.form.field import Field, Loc, default_text, labelled, side_label
from dagbook_magics.form.shape import UNSET, Choice, Shape
from dagbook_magics.form.text_values import NotAValue, is_template, shown, typed


class TextField(Field):
    """Text, a number, an amount, a time, or whatever is typed; empty says nothing."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        kind = widgets.Textarea if shape.is_long else widgets.Text
        self._input = kind(**labelled(shape, placeholder=default_text(shape)))
        # Not at every key: what is half typed is no mistake yet.
        self._input.continuous_update = False
        self._input.observe(self.changed, names="value")
        body = self._input
        if shape.unit:
            unit = widgets.HTML(f"<span>{shape.unit}</span>")
            body = widgets.HBox([self._input, unit])
        self.widget = self.framed(body)

    @property
    def said(self) -> Any:
        """What was typed, read by the field's kind; as it stands where it is no value."""
        try:
            return typed(self.shape, self._input.value)
        except NotAValue:
            return self._input.value

    def show(self, value: Any) -> None:
        """Show a value."""
        self._input.value = shown(self.shape, value)

    def own_problems(self) -> Iterator[tuple[Loc, str]]:
        """Where what was typed is no value."""
        try:
            value = typed(self.shape, self._input.value)
        except NotAValue as error:
            yield (), str(error)
            return
        if value is UNSET and self.shape.required:
            yield (), "is needed"


class ChoiceField(Field):
    """One of several values. One that may not be chosen is shown, with the reason.

    A value that is none of them, a name in braces say, stays among them as it is.
    """

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self._reasons = {choice.label: choice.reason for choice in shape.choices if choice.reason}
        self._extra: list[Choice] = []
        self._input = widgets.Dropdown(options=self._options(), **labelled(shape))
        self._input.value = UNSET
        self._input.observe(self.changed, names="value")
        self.widget = self.framed(self._input)

    def _options(self) -> list[tuple[str, Any]]:
        default = self.shape.default
        of_default = next((c.label for c in self.shape.choices if c.value == default), default)
        nothing = "—" if default is UNSET else f"default: {of_default}"
        choices = [*self.shape.choices, *self._extra]
        return [(nothing, UNSET)] + [
            (f"✕ {choice.label}" if choice.reason else choice.label, choice.value)
            for choice in choices
        ]

    @property
    def said(self) -> Any:
        """What was chosen."""
        return self._input.value

    def show(self, value: Any) -> None:
        """Show a value."""
        if value is not UNSET and value not in [choice.value for choice in self.shape.choices]:
            self._extra = [Choice(value, str(value))]
            self._input.options = self._options()
        self._input.value = value

    def own_problems(self) -> Iterator[tuple[Loc, str]]:
        """Where what was chosen is not allowed."""
        chosen = next((c for c in self.shape.choices if c.value == self.value), None)
        if chosen is not None and chosen.reason:
            yield (), chosen.reason
        elif self.value is UNSET and self.shape.required:
            yield (), "is needed"


class BooleanField(ChoiceField):
    """Yes, no, or nothing said."""

    def __init__(self, shape: Shape) -> None:
        from dataclasses import replace

        super().__init__(replace(shape, choices=(Choice(True, "yes"), Choice(False, "no"))))


class ChecklistField(Field):
    """Several of a list. As long as nothing is touched it says nothing."""

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        assert shape.item is not None
        self._is_said = False
        self._template: str | None = None
        default = shape.default if isinstance(shape.default, list) else []
        self._boxes = {
            choice.value: self._box(choice.label, choice.value in default)
            for choice in shape.item.choices
        }
        self._line = widgets.Box([], layout=widgets.Layout(flex_flow="row wrap"))
        self._line.children = list(self._boxes.values())
        self.widget = self.framed(widgets.HBox([side_label(shape), self._line]))

    def _box(self, label: str, is_ticked: bool) -> Any:
        layout = widgets.Layout(width="auto", margin="0 12px 0 0")
        box = widgets.Checkbox(value=is_ticked, description=label, indent=False, layout=layout)
        box.observe(self._touched, names="value")
        return box

    def _touched(self, *_: Any) -> None:
        self._is_said = True
        self.changed()

    @property
    def said(self) -> Any:
        """Those that are ticked, in their order."""
        if self._template is not None and not self._is_said:
            return self._template
        if not self._is_said:
            return UNSET
        return [value for value, box in self._boxes.items() if box.value]

    def show(self, value: Any) -> None:
        """Show a value."""
        self._template = value if is_template(value) else None
        default = self.shape.default if isinstance(self.shape.default, list) else []
        ticked = value if isinstance(value, list) else default
        for item in ticked:
            # What is no choice stands there as well, or ticking another would take it out.
            if isinstance(item, str | int | float) and item not in self._boxes:
                self._boxes[item] = self._box(str(item), is_ticked=True)
        self._line.children = list(self._boxes.values())
        for choice, box in self._boxes.items():
            box.value = choice in ticked
        self._is_said = isinstance(value, list)
