"""Fields made of fields: objects, lists, and names with values."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import ipywidgets as widgets

from dagbook_magics.form.field import Field, Loc, as_written, side_label
from dagbook_magics.form.shape import UNSET, Shape

MakeField = Callable[[Shape], Field]


def indented() -> Any:
    """The layout of what belongs to the line above it."""
    # A new one each: a layout that is shared is hidden with the first that is.
    return widgets.Layout(margin="0 0 6px 0", padding="0 0 0 12px", border_left="2px solid #8884")


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
            inner = widgets.VBox(body, layout=indented())
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


class ListField(Field):
    """Values one below the other, with a button for one more."""

    def __init__(self, shape: Shape, make: MakeField) -> None:
        super().__init__(shape)
        assert shape.item is not None
        self._item, self._make = shape.item, make
        self._rows: list[_Row] = []
        self._odd: Any = UNSET
        self._body = widgets.VBox([])
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

    def _append(self, value: Any) -> None:
        field = self._make(self._item)
        field.set(value)
        field.on_change(self.changed)
        self._rows.append(_Row(field, None, self.shape.label, self._on_remove))

    def _on_add(self, _: Any) -> None:
        self._append(UNSET)
        self._show()

    def _on_remove(self, row: _Row) -> None:
        self._rows.remove(row)
        self._show()
        self.changed()

    def _show(self) -> None:
        odd = [] if self._odd is UNSET or self._rows else [as_written(self._odd)]
        self._body.children = [*odd, *(row.widget for row in self._rows)]

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


class MappingField(Field):
    """Names with values. Names that are known from elsewhere stand there from the start.

    Args:
        known: shapes of values that are asked for by name, such as a notebook's parameters.
    """

    def __init__(self, shape: Shape, make: MakeField, known: tuple[Shape, ...] = ()) -> None:
        super().__init__(shape)
        assert shape.item is not None
        self._item, self._make = shape.item, make
        self._known = {part.key: make(part) for part in known}
        self._rows: list[_Row] = []
        self._odd: Any = UNSET
        self._body = widgets.VBox([])
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
        self.widget = widgets.VBox([self.framed(title), widgets.VBox(inside, layout=indented())])

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
                self._append(key, item)
        self._show()

    def _append(self, key: str, value: Any) -> None:
        field = self._make(self._item)
        field.set(value)
        field.on_change(self.changed)
        name = widgets.Text(key, placeholder="name", layout=widgets.Layout(width="140px"))
        name.continuous_update = False
        name.observe(self.changed, names="value")
        self._rows.append(_Row(field, name, self.shape.label, self._on_remove))

    def _on_add(self, _: Any) -> None:
        self._append("", UNSET)
        self._show()

    def _on_remove(self, row: _Row) -> None:
        self._rows.remove(row)
        self._show()
        self.changed()

    def _show(self) -> None:
        odd = [] if self._odd is UNSET or self._rows else [as_written(self._odd)]
        self._body.children = [*odd, *(row.widget for row in self._rows)]

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
