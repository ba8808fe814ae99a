"""Fields of lines that are added and taken away: lists, and names with values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets as widgets

from dagbook_magics.form.field import Field, Loc, MakeField, as_written, indent, side_label
from dagbook_magics.form.shape import UNSET, Shape


class _Row:
    """One line of a list or mapping, with the button that takes it away."""

    def __init__(self, field: Field, name: Any, label: str, on_remove: Callable[[Any], None]):
        self.field = field
        self.name = name
        button = widgets.Button(
            icon="times",
            tooltip=f"Remove from {label}",
            layout=widgets.Layout(width="34px", height="28px"),
        )
        button.add_class("dagbook-remove")
        button.on_click(lambda _: on_remove(self))
        parts = [] if name is None else [name]
        self.widget = widgets.HBox([*parts, field.widget, button])


class _RowsField(Field):
    """A field to which lines are added, and from which they are taken."""

    def __init__(self, shape: Shape, make: MakeField) -> None:
        super().__init__(shape)
        assert shape.item is not None
        self._item, self._make = shape.item, make
        self._rows: list[_Row] = []
        self._odd: Any = UNSET
        self._body = widgets.VBox([])

    def _append(self, value: Any, name: Any = None) -> None:
        field = self._make(self._item)
        field.set(value)
        field.on_change(self.changed)
        self._rows.append(_Row(field, name, self.shape.label, self._on_remove))

    def _on_remove(self, row: _Row) -> None:
        self._rows.remove(row)
        self._show()
        self.changed()

    def _show(self) -> None:
        odd = [] if self._odd is UNSET or self._rows else [as_written(self._odd)]
        self._body.children = [*odd, *(row.widget for row in self._rows)]


class ListField(_RowsField):
    """Values one below the other, with a button for one more."""

    def __init__(self, shape: Shape, make: MakeField) -> None:
        super().__init__(shape, make)
        # "Owners" are added one owner at a time; what "Run after" has no word for is one more.
        one = shape.label.lower()[:-1] if shape.label.endswith("s") else "one"
        add = widgets.Button(description=f"Add {one}", icon="plus")
        add.layout.width = "auto"
        add.on_click(self._on_add)
        title = side_label(shape)
        self.widget = self.framed(
            widgets.HBox([title, widgets.VBox([self._body, add], layout=widgets.Layout(flex="1"))])
        )

    @property
    def said(self) -> Any:
        """What its rows say; rows that are empty do not count."""
        if not self._rows:
            return self._odd
        values = [row.field.value for row in self._rows]
        values = [value for value in values if value is not UNSET]
        return values or UNSET

    def show(self, value: Any) -> None:
        """Show a value."""
        self._odd = UNSET if isinstance(value, list) or value is None else value
        self._rows = []
        for item in value if isinstance(value, list) else ():
            self._append(item)
        self._show()

    def _on_add(self, _: Any) -> None:
        self._append(UNSET)
        self._show()

    def own_problems(self) -> Iterator[tuple[Loc, str]]:
        """Those of its rows."""
        if self.shape.required and self.value is UNSET:
            yield (), "is needed"
        for number, row in enumerate(self._rows):
            for loc, text in row.field.own_problems():
                yield (number, *loc), text

    def children(self) -> dict[str | int, Field]:
        """The fields of its rows, by number from 0."""
        return {number: row.field for number, row in enumerate(self._rows)}


class MappingField(_RowsField):
    """Names with values. Names that are known from elsewhere stand there from the start.

    Args:
        known: shapes of values that are asked for by name, such as a notebook's parameters.
    """

    def __init__(self, shape: Shape, make: MakeField, known: tuple[Shape, ...] = ()) -> None:
        super().__init__(shape, make)
        self._known = {part.key: make(part) for part in known}
        for field in self._known.values():
            field.on_change(self.changed)
        title = widgets.HTML(f"<b>{shape.label}</b>", layout=widgets.Layout(margin="0"))
        inside = [field.widget for field in self._known.values()]
        inside.append(self._body)
        if not known:
            add = widgets.Button(description="Add a value", icon="plus")
            add.layout.width = "auto"
            add.on_click(self._on_add)
            inside.append(add)
        self.widget = widgets.VBox([self.framed(title), widgets.VBox(inside, layout=indent())])

    @property
    def said(self) -> Any:
        """The names that have a value."""
        said = {key: field.value for key, field in self._known.items()}
        for row in self._rows:
            if row.name.value.strip():
                said[row.name.value.strip()] = row.field.value
        said = {key: value for key, value in said.items() if value is not UNSET}
        return said or self._odd

    def show(self, value: Any) -> None:
        """Show a value."""
        values = value if isinstance(value, dict) else {}
        self._odd = UNSET if isinstance(value, dict) or value is None else value
        for key, field in self._known.items():
            field.set(values.get(key, UNSET))
        self._rows = []
        for key, item in values.items():
            if key not in self._known:
                self._append_named(key, item)
        self._show()

    def _append_named(self, key: str, value: Any) -> None:
        name = widgets.Text(key, placeholder="name", layout=widgets.Layout(width="140px"))
        name.continuous_update = False
        name.observe(self.changed, names="value")
        self._append(value, name)

    def _on_add(self, _: Any) -> None:
        self._append_named("", UNSET)
        self._show()

    def own_problems(self) -> Iterator[tuple[Loc, str]]:
        """Those of its values; a value without a name."""
        for key, field in self._known.items():
            for loc, text in field.own_problems():
                yield (key, *loc), text
        for row in self._rows:
            name = row.name.value.strip()
            if not name and row.field.value is not UNSET:
                yield (), "a value lacks its name"
            for loc, text in row.field.own_problems():
                yield (name, *loc), text

    def children(self) -> dict[str | int, Field]:
        """The fields of its values, by name."""
        named = {row.name.value.strip(): row.field for row in self._rows}
        return {**self._known, **named}
