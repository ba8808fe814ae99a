"""Fields made of fields: objects, and one of several kinds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import ipywidgets as widgets

from dagbook_magics.form.field import LABEL_WIDTH, Field, Loc, MakeField, indent
from dagbook_magics.form.shape import UNSET, Kind, Shape
from dagbook_magics.form.text_values import is_template


class ObjectField(Field):
    """Several fields under one title; says nothing as long as none of them does."""

    def __init__(self, shape: Shape, make: MakeField) -> None:
        super().__init__(shape)
        self._fields = {part.key: make(part) for part in shape.properties}
        self._kept: dict[str, Any] = {}
        for field in self._fields.values():
            field.on_change(self.changed)
        body = [field.widget for field in self._fields.values()]
        if shape.label:
            title = widgets.HTML(f"<b>{shape.label}</b>", layout=widgets.Layout(margin="0"))
            inner = widgets.VBox(body, layout=indent())
            self.widget = widgets.VBox([title, self._message, inner])
        else:
            self.widget = widgets.VBox([self._message, *body])

    @property
    def value(self) -> Any:
        """What its fields say, and what it was given and has no field for."""
        said = {key: field.value for key, field in self._fields.items()}
        said = {key: value for key, value in said.items() if value is not UNSET}
        if not said and not self._kept and not self.shape.required:
            return UNSET
        return {**self.shape.fixed, **said, **self._kept}

    def set(self, value: Any) -> None:
        """Show a value."""
        values = value if isinstance(value, dict) else {}
        for key, field in self._fields.items():
            field.set(values.get(key, UNSET))
        known = {*self._fields, *self.shape.fixed}
        self._kept = {key: item for key, item in values.items() if key not in known}

    def own_problems(self) -> Iterator[tuple[Loc, str]]:
        """Those of its fields, where it says anything."""
        if self.value is UNSET:
            return
        for key, field in self._fields.items():
            for loc, text in field.own_problems():
                yield (key, *loc), text

    def children(self) -> dict[str | int, Field]:
        """Its fields, by key."""
        return dict(self._fields.items())


class UnionField(Field):
    """One of several kinds: first which, then its fields."""

    def __init__(self, shape: Shape, make: MakeField) -> None:
        super().__init__(shape)
        self._make = make
        self._fields: dict[int, Field] = {}
        self._template: str | None = None
        options = [("—", -1)] + [(part.label, at) for at, part in enumerate(shape.variants)]
        self._which = widgets.Dropdown(
            options=options,
            value=-1,
            description=shape.label + (" *" if shape.required else ""),
            style={"description_width": LABEL_WIDTH},
            layout=widgets.Layout(width="auto", max_width="560px"),
        )
        self._which.observe(self._on_choice, names="value")
        self._body = widgets.VBox([], layout=indent())
        self.widget = widgets.VBox([self.framed(self._which), self._body])
        self._show()

    @property
    def _chosen(self) -> Field | None:
        at = self._which.value
        if at < 0:
            return None
        if at not in self._fields:
            # Made when it is wanted, and kept: who comes back finds what was typed.
            from dataclasses import replace

            part = self.shape.variants[at]
            title = "" if part.kind is Kind.OBJECT else part.label
            self._fields[at] = self._make(replace(part, label=title, required=True))
            self._fields[at].on_change(self.changed)
        return self._fields[at]

    def _on_choice(self, *_: Any) -> None:
        self._template = None
        self._show()
        self.changed()

    def _show(self) -> None:
        chosen = self._chosen
        self._body.children = [] if chosen is None else [chosen.widget]
        self._body.layout.display = "none" if chosen is None else ""

    @property
    def value(self) -> Any:
        """What the chosen kind says."""
        if self._template is not None:
            return self._template
        chosen = self._chosen
        return UNSET if chosen is None else chosen.value

    def set(self, value: Any) -> None:
        """Show a value, under the first kind that it can be."""
        template = value if is_template(value) else None
        at = -1
        if template is None and value is not UNSET and value is not None:
            fitting = (n for n, part in enumerate(self.shape.variants) if _fits(part, value))
            at = next(fitting, -1)
        self._which.value = at
        self._template = template
        self._show()
        if (chosen := self._chosen) is not None:
            chosen.set(value)

    def own_problems(self) -> Iterator[tuple[Loc, str]]:
        """Those of what was chosen."""
        if (chosen := self._chosen) is not None:
            yield from chosen.own_problems()

    def show_error(self, loc: Loc, text: str) -> None:
        """Show an error in what was chosen, where it is about that."""
        chosen = self._chosen
        if chosen is None or not loc:
            super().show_error((), text)
        else:
            chosen.show_error(loc, text)

    def children(self) -> dict[str | int, Field]:
        """What was chosen."""
        chosen = self._chosen
        return {} if chosen is None else {"": chosen}


def _fits(part: Shape, value: Any) -> bool:
    if isinstance(value, dict):
        if part.kind is Kind.MAPPING:
            return True
        known = {*part.fixed, *(field.key for field in part.properties)}
        told = all(value.get(key) == fixed for key, fixed in part.fixed.items())
        return part.kind is Kind.OBJECT and told and set(value) <= known
    if isinstance(value, list):
        return part.kind in (Kind.LIST, Kind.CHECKLIST)
    if isinstance(value, bool):
        return part.kind in (Kind.BOOLEAN, Kind.ANY)
    if isinstance(value, int | float):
        return part.kind in (Kind.INTEGER, Kind.NUMBER, Kind.ANY)
    return part.kind in (Kind.TEXT, Kind.CHOICE, Kind.ANY)
