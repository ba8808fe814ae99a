"""Lists and mappings of the platform file, made of the kinds of values there are."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dagbook.errors import did_you_mean
from dagbook.policy.file_kinds import WRONG, Kind, Loc, Reading, named
from dagbook.safe_yaml.parsing import Value
from dagbook.safe_yaml.rules import shown


@dataclass(frozen=True)
class ListOf:
    """A list, each item of one kind; by default not an empty one."""

    item: Kind
    empty: bool = False
    unique: bool = True

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take each item; one that is wrong is left out."""
        if not isinstance(value.value, list):
            return reading.wrong(value, loc, f"a list is wanted, not {named(value)}")
        if not value.items and not self.empty:
            return reading.wrong(value, loc, "is empty: give at least one, or take the key out")
        items: list[Any] = []
        for number, item in enumerate(value.items):
            reading.places[(*loc, number)] = (item.line, item.column)
            found = self.item.read(item, (*loc, number), reading)
            if self.unique and found in items:
                reading.wrong(item, (*loc, number), f"{shown(item.value)} stands here twice")
            # What is wrong keeps its place, so that the others keep their numbers.
            items.append(found)
        return items

    def schema(self) -> dict[str, Any]:
        """An array."""
        least = {} if self.empty else {"minItems": 1}
        return {"type": "array", "items": self.item.schema(), **least}


@dataclass(frozen=True)
class Key:
    """A key of the file: what stands behind it, and what it is for."""

    kind: Kind
    description: str
    required: bool = False
    project_only: str | None = None
    """Why it has no effect in the file of a package; None: it has"""


@dataclass(frozen=True)
class Fields:
    """A mapping with keys that are known."""

    keys: Mapping[str, Key]
    any_of: tuple[str, ...] = ()
    """At least one of these has to be there"""

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take the keys there are; an unknown one gets the nearest known."""
        entries = entries_of(value, loc, reading)
        if entries is WRONG:
            return WRONG
        found: dict[str, Any] = {}
        for name, item in entries:
            key, inner = self.keys.get(name.value), (*loc, name.value)
            if key is None:
                reading.wrong(name, inner, f"unknown key. {did_you_mean(name.value, self.keys)}")
            elif reading.in_package and key.project_only is not None:
                reading.wrong(name, inner, f"has no effect here: {key.project_only}")
            else:
                found[name.value] = _read_entry(key.kind, name, item, inner, reading)
        given = {name.value for name, _ in entries}
        for missing in (k for k, key in self.keys.items() if key.required and k not in given):
            reading.wrong(value, (*loc, missing), "is missing")
        if self.any_of and not given.intersection(self.any_of):
            reading.wrong(value, loc, f"needs {' or '.join(f'`{name}`' for name in self.any_of)}")
        return found

    def schema(self) -> dict[str, Any]:
        """An object that takes no other keys."""
        required = [name for name, key in self.keys.items() if key.required]
        return {
            "type": "object",
            "properties": {
                name: {"description": key.description, **key.kind.schema()}
                for name, key in self.keys.items()
            },
            "additionalProperties": False,
            **({"required": required} if required else {}),
            **({"anyOf": [{"required": [n]} for n in self.any_of]} if self.any_of else {}),
        }


@dataclass(frozen=True)
class Table:
    """A mapping with names of the writer's own."""

    item: Kind
    name: str
    """A pattern for the whole of each name"""
    form: str
    """What it allows, in words"""

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take each entry whose name can be used."""
        entries = entries_of(value, loc, reading)
        if entries is WRONG:
            return WRONG
        found: dict[str, Any] = {}
        for name, item in entries:
            inner = (*loc, name.value)
            if re.fullmatch(self.name, name.value):
                found[name.value] = _read_entry(self.item, name, item, inner, reading)
            else:
                words = f"{shown(name.value)!r} cannot be used as a name: {self.form}"
                reading.wrong(name, inner, words)
        return found

    def schema(self) -> dict[str, Any]:
        """An object with names of a form."""
        return {
            "type": "object",
            "propertyNames": {"pattern": f"^(?:{self.name})$"},
            "additionalProperties": self.item.schema(),
            "minProperties": 1,
        }


def entries_of(value: Value, loc: Loc, reading: Reading) -> Any:
    """The entries of a mapping that is not empty, each name once; WRONG where it is none."""
    if not isinstance(value.value, dict):
        return reading.wrong(value, loc, f"names with values are wanted, not {named(value)}")
    if not value.entries:
        return reading.wrong(value, loc, "is empty: give a value or take the key out")
    # What is merged in stands before what is written, which wins.
    last: dict[str, tuple[Value, Value]] = {}
    for name, item in value.entries:
        if isinstance(name.value, str):
            last[name.value] = (name, item)
        else:
            words = f"the key {shown(name.value)} is no text to YAML: write it in quotes"
            reading.wrong(name, loc, words)
    return list(last.values())


def _read_entry(kind: Kind, name: Value, item: Value, loc: Loc, reading: Reading) -> Any:
    reading.places[loc] = (name.line, name.column)
    return kind.read(item, loc, reading)
