"""A field for one of several kinds: first which, then its fields."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import ipywidgets as widgets

from dagbook_magics.form.field import LABEL_WIDTH, Field, Loc, MakeField, indent, short
from dagbook_magics.form.shape import UNSET, Kind, Shape
from dagbook_magics.form.text_values import is_template

#: Nothing was chosen; what was written is of none of the kinds.
_NOTHING, _AS_WRITTEN = -1, -2


class UnionField(Field):
    """One of several kinds: first which, then its fields."""

    def __init__(self, shape: Shape, make: MakeField) -> None:
        super().__init__(shape)
        self._make = make
        self._fields: dict[int, Field] = {}
        self._odd: Any = UNSET
        self._which = widgets.Dropdown(
            options=self._options(),
            value=_NOTHING,
            description=shape.label + (" *" if shape.required else ""),
            style={"description_width": LABEL_WIDTH},
            layout=widgets.Layout(width="auto", max_width="560px"),
        )
        self._which.observe(self._on_choice, names="value")
        self._body = widgets.VBox([], layout=indent())
        self.widget = widgets.VBox([self.framed(self._which), self._body])
        self._show()

    def _options(self) -> list[tuple[str, int]]:
        options = [("—", _NOTHING)]
        options += [(part.label, at) for at, part in enumerate(self.shape.variants)]
        if self._odd is not UNSET:
            options.append((f"as written: {short(self._odd)}", _AS_WRITTEN))
        return options

    @property
    def _chosen(self) -> Field | None:
        at = self._which.value
        if at < 0:
            return None
        if at not in self._fields:
            # Made when it is wanted, and kept: who comes back finds what was typed.
            part = self.shape.variants[at]
            title = "" if part.kind is Kind.OBJECT else part.label
            self._fields[at] = self._make(replace(part, label=title, required=True))
            self._fields[at].on_change(self.changed)
        return self._fields[at]

    def _on_choice(self, *_: Any) -> None:
        self._show()
        self.changed()

    def _show(self) -> None:
        chosen = self._chosen
        self._body.children = [] if chosen is None else [chosen.widget]
        self._body.layout.display = "none" if chosen is None else ""

    @property
    def said(self) -> Any:
        """What the chosen kind says; what is of no kind, as it was given."""
        if self._which.value == _AS_WRITTEN:
            return self._odd
        chosen = self._chosen
        return UNSET if chosen is None else chosen.value

    def show(self, value: Any) -> None:
        """Show a value, under the first kind that it can be."""
        at = _NOTHING
        if value is not UNSET and value is not None:
            fitting = (n for n, part in enumerate(self.shape.variants) if _fits(part, value))
            at = _AS_WRITTEN if is_template(value) else next(fitting, _AS_WRITTEN)
        self._odd = value if at == _AS_WRITTEN else UNSET
        self._which.options = self._options()
        self._which.value = at
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
