"""Fields made of fields under one title."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ipywidgets as widgets

from dagbook_magics.form.field import Field, Loc, MakeField, as_written, indent
from dagbook_magics.form.shape import UNSET, Shape


class ObjectField(Field):
    """Several fields under one title; says nothing as long as none of them does."""

    def __init__(self, shape: Shape, make: MakeField) -> None:
        super().__init__(shape)
        self._fields = {part.key: make(part) for part in shape.properties}
        self._kept: dict[str, Any] = {}
        for field in self._fields.values():
            field.on_change(self.changed)
        self._odd = widgets.VBox([])
        body = [self._odd, *(field.widget for field in self._fields.values())]
        if shape.label:
            title = widgets.HTML(f"<b>{shape.label}</b>", layout=widgets.Layout(margin="0"))
            inner = widgets.VBox(body, layout=indent())
            self.widget = widgets.VBox([title, self._message, inner])
        else:
            self.widget = widgets.VBox([self._message, *body])

    @property
    def said(self) -> Any:
        """What its fields say, and what it was given and has no field for."""
        said = {key: field.value for key, field in self._fields.items()}
        said = {key: value for key, value in said.items() if value is not UNSET}
        if not said and not self._kept and not self.shape.required:
            return UNSET
        return {**self.shape.fixed, **said, **self._kept}

    def show(self, value: Any) -> None:
        """Show a value."""
        values = value if isinstance(value, dict) else {}
        for key, field in self._fields.items():
            field.set(values.get(key, UNSET))
        is_odd = value not in (UNSET, None) and not isinstance(value, dict)
        self._odd.children = [as_written(value)] if is_odd else []
        known = {*self._fields, *self.shape.fixed}
        self._kept = {key: item for key, item in values.items() if key not in known}

    def own_problems(self) -> Iterator[tuple[Loc, str]]:
        """Those of its fields, where it says anything."""
        if not isinstance(self.value, dict):
            return
        for key, field in self._fields.items():
            for loc, text in field.own_problems():
                yield (key, *loc), text

    def children(self) -> dict[str | int, Field]:
        """Its fields, by key."""
        return dict(self._fields.items())
