"""What a form has to ask for, read from the JSON schema of a component's attributes.

The schema is the one that every surface shares; nothing here knows a field of ours by name. What
JSON schema cannot say, a name or a hint does: a number of hours, an amount of money, a time zone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Final


class Unset:
    """The value of a field that says nothing, and is then left out of the YAML."""

    def __repr__(self) -> str:
        return "UNSET"

    def __bool__(self) -> bool:
        return False


UNSET: Final = Unset()


class Kind(StrEnum):
    """How something is asked for."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    CHOICE = "choice"
    LIST = "list"
    CHECKLIST = "checklist"
    MAPPING = "mapping"
    OBJECT = "object"
    UNION = "union"
    SCHEDULE = "schedule"
    ANY = "any"


@dataclass(frozen=True)
class Choice:
    """One of several values. `reason` says why it may not be chosen; empty when it may."""

    value: Any
    label: str
    help: str = ""
    reason: str = ""


@dataclass(frozen=True)
class Shape:
    """One thing to ask for.

    Attributes:
        key: its name in the YAML; empty for an item of a list, or a variant.
        label: what a reader calls it.
        unit: behind a number: ``hours``, ``USD``.
        default: what holds where nothing is said; `UNSET` where that cannot be told.
        properties: of an object, in the order they are asked for.
        item: what a list or a mapping holds.
        variants: of a union.
        fixed: values that go without saying: the discriminator of a variant.
    """

    kind: Kind
    key: str = ""
    label: str = ""
    help: str = ""
    unit: str = ""
    required: bool = False
    default: Any = UNSET
    example: Any = UNSET
    choices: tuple[Choice, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    is_above_minimum: bool = False
    """Whether the minimum itself is not allowed"""
    properties: tuple[Shape, ...] = ()
    item: Shape | None = None
    variants: tuple[Shape, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    is_long: bool = False
    """Whether it is text of several lines"""


_UNITS = {"hours": "hours", "seconds": "seconds", "minutes": "minutes", "usd": "USD", "eur": "EUR"}
_LONG = ("description",)
#: How a variant is called that has no name of its own.
_PLAIN = {
    Kind.INTEGER: "a number",
    Kind.NUMBER: "a number",
    Kind.TEXT: "a text",
    Kind.BOOLEAN: "yes or no",
    Kind.LIST: "a list",
    Kind.CHECKLIST: "a list",
    Kind.MAPPING: "names with values",
    Kind.OBJECT: "in detail",
}


def shape_of(schema: Mapping[str, Any], look: Mapping[str, Any] | None = None) -> Shape:
    """The shape of a component's attributes.

    Args:
        schema: the JSON schema of what stands below ``attributes:``.
        look: hints of how to show it, as react-jsonschema-form takes them.
    """
    return _Reader(schema).read("", schema, look or {}, required=False)


class _Reader:
    """Reads the parts of one schema, following references in it."""

    def __init__(self, whole: Mapping[str, Any]) -> None:
        self._definitions: Mapping[str, Any] = whole.get("$defs", {})

    def read(
        self, key: str, part: Mapping[str, Any], look: Mapping[str, Any], *, required: bool
    ) -> Shape:
        target = self._behind(part)
        unit = _unit_of(key, str(part.get("description", "")))
        common = Shape(
            Kind.ANY,
            key=key,
            # The unit stands behind the field.
            label=str(look.get("ui:title") or part.get("title") or _as_label(key)).removesuffix(
                f" ({unit})"
            ),
            help=str(part.get("help") or part.get("description") or target.get("description", "")),
            unit=unit,
            required=required,
            default=part.get("default", UNSET),
            example=next(iter(part.get("examples", ())), UNSET),
            minimum=target.get("minimum", target.get("exclusiveMinimum")),
            maximum=target.get("maximum"),
            is_above_minimum="exclusiveMinimum" in target,
            is_long=look.get("ui:widget") == "textarea" or key in _LONG,
        )
        choices = _choices(target)
        if choices:
            return replace(common, kind=Kind.CHOICE, choices=choices)
        variants = [v for v in target.get("anyOf", target.get("oneOf", ())) if _is_value(v)]
        if len(variants) == 1:
            return self.read(key, {**part, **variants[0], "anyOf": ()}, look, required=required)
        if variants:
            return self._union(common, variants)
        kind = target.get("type")
        if kind == "object":
            return self._object(common, target, look)
        if kind == "array":
            return self._list(common, target, look)
        simple = {"integer": Kind.INTEGER, "number": Kind.NUMBER, "boolean": Kind.BOOLEAN}
        if kind == "string":
            return replace(common, kind=Kind.TEXT)
        return replace(common, kind=simple.get(str(kind), Kind.ANY))

    def _union(self, common: Shape, variants: Sequence[Mapping[str, Any]]) -> Shape:
        shapes: list[Shape] = []
        for variant in variants:
            target = self._behind(variant)
            shape = self.read("", variant, {}, required=False)
            shapes += _by_discriminator(shape, target)
        # Of numbers the wider one takes what the others do.
        kinds = {shape.kind for shape in shapes}
        if kinds <= {Kind.INTEGER, Kind.NUMBER, Kind.BOOLEAN, Kind.TEXT}:
            return replace(common, kind=Kind.ANY)
        return replace(common, kind=Kind.UNION, variants=tuple(shapes))

    def _object(self, common: Shape, target: Mapping[str, Any], look: Mapping[str, Any]) -> Shape:
        properties = target.get("properties", {})
        if not properties:
            rest = target.get("additionalProperties")
            item = self.read("", rest if isinstance(rest, dict) else {}, {}, required=False)
            return replace(common, kind=Kind.MAPPING, item=item)
        required = target.get("required", ())
        order = [name for name in look.get("ui:order", ()) if name in properties]
        names = [*order, *(name for name in properties if name not in order)]
        shapes = tuple(
            self.read(name, properties[name], look.get(name, {}), required=name in required)
            for name in names
            if look.get(name, {}).get("ui:widget") != "hidden"
        )
        is_schedule = {"cron", "timezone"} <= set(properties)
        kind = Kind.SCHEDULE if is_schedule else Kind.OBJECT
        return replace(common, kind=kind, properties=shapes)

    def _list(self, common: Shape, target: Mapping[str, Any], look: Mapping[str, Any]) -> Shape:
        item = self.read("", target.get("items", {}), look.get("items", {}), required=False)
        if item.kind is Kind.CHOICE and all(not choice.reason for choice in item.choices):
            return replace(common, kind=Kind.CHECKLIST, item=item)
        return replace(common, kind=Kind.LIST, item=item)

    def _behind(self, part: Mapping[str, Any]) -> Mapping[str, Any]:
        """A part with what it refers to; its own words win."""
        name = str(part.get("$ref", "")).rpartition("/")[2]
        if not name:
            return part
        target = self._behind(self._definitions.get(name, {}))
        return {**target, **{key: value for key, value in part.items() if key != "$ref"}}


def _is_value(variant: Any) -> bool:
    return isinstance(variant, Mapping) and variant.get("type") != "null"


def _choices(target: Mapping[str, Any]) -> tuple[Choice, ...]:
    named = target.get("oneOf", ())
    if named and all(isinstance(one, Mapping) and "const" in one for one in named):
        return tuple(
            Choice(
                one["const"],
                str(one.get("title", one["const"])),
                str(one.get("description", "")),
                str(one.get("reason", "")) if one.get("disabled") else "",
            )
            for one in named
        )
    values = [target["const"]] if "const" in target else target.get("enum", ())
    return tuple(Choice(value, str(value)) for value in values if value is not None)


def _by_discriminator(shape: Shape, target: Mapping[str, Any]) -> Iterator[Shape]:
    """One variant for each value of the field that tells variants apart.

    ``type: hourly | daily`` and ``type: static`` become three ways to choose from, and nobody is
    asked for the type.
    """
    told = next(
        (p for p in shape.properties if p.key in ("type", "kind") and p.kind is Kind.CHOICE), None
    )
    if shape.kind is not Kind.OBJECT or told is None:
        yield replace(shape, label=_PLAIN.get(shape.kind) or str(target.get("title", shape.kind)))
        return
    rest = tuple(p for p in shape.properties if p is not told)
    for choice in told.choices:
        yield replace(shape, label=choice.label, properties=rest, fixed={told.key: choice.value})


def _unit_of(key: str, description: str) -> str:
    words = key.rsplit("_", 1)
    if len(words) == 2 and words[1] in _UNITS:
        return _UNITS[words[1]]
    return "seconds" if "in seconds" in description else ""


def _as_label(key: str) -> str:
    words = key.replace("_", " ").strip()
    return words[:1].upper() + words[1:]
