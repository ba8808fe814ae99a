"""The attributes of a component that the platform file may give defaults and bounds for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from dagbook.errors import did_you_mean
from dagbook.policy.file_kinds import WRONG, Kind, Loc, Number, Reading, Text, named
from dagbook.policy.file_shapes import Fields, Key, ListOf, entries_of
from dagbook.safe_yaml.parsing import Value

MEASUREMENTS = ("runtime", "memory_usage", "cpu_usage", "gpu_utilization", "gpu_memory")

#: By dotted key, what its value has to be. A test compares this with the component itself.
ATTRIBUTES: dict[str, Kind] = {
    "kernel": Text(),
    "timeout": Number(above=0),
    "limits.max_runtime_hours": Number(above=0),
    "retries.max": Number(minimum=0, maximum=100, whole=True),
    "retries.delay_seconds": Number(minimum=0),
    "schedule.timezone": Text(),
    "monitoring.track_metrics": ListOf(Text(choices=MEASUREMENTS), empty=True),
    "experiment.name": Text(),
    "engine": Text(choices=("dagbook", "dagstermill")),
    "group": Text(),
    "owners": ListOf(Text()),
}
NUMBERS = {name: kind for name, kind in ATTRIBUTES.items() if isinstance(kind, Number)}

_ELSEWHERE = {
    "limits.max_cost_usd": "write it as `budgets.per_run.stop_at`",
    "compute_size": "give the size itself `default: true`",
    "experiment.tracking_uri": "write it as `tracking.tracking_uri`",
    "tracking_uri": "write it as `tracking.tracking_uri`",
}


def _kind_of(name: str, reading: Reading) -> Kind | None:
    if name in ATTRIBUTES:
        return ATTRIBUTES[name]
    if name.startswith("tags.") and name.count(".") == 1:
        return Text()
    # A company's component has attributes of its own, which only its package knows.
    return _Anything() if reading.in_package and name.split(".")[0] not in _OWN else None


_OWN = {name.split(".")[0] for name in (*ATTRIBUTES, *_ELSEWHERE)}


def _leaves(
    value: Value, loc: Loc, reading: Reading, known: Any, name: str = ""
) -> Iterator[tuple[str, Value, Value, Loc]]:
    """Each attribute that is named, by nested mappings or with dots, down to its value."""
    entries = entries_of(value, loc, reading)
    for key, item in [] if entries is WRONG else entries:
        inner = f"{name}.{key.value}" if name else key.value
        if isinstance(item.value, dict) and not known(inner, item):
            yield from _leaves(item, (*loc, key.value), reading, known, inner)
        else:
            yield inner, key, item, (*loc, key.value)


@dataclass(frozen=True)
class _Anything:
    """What an attribute of somebody else's may be."""

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take any value but none at all."""
        if value.value is None or isinstance(value.value, dict):
            return reading.wrong(value, loc, f"a value is wanted, not {named(value)}")
        return value.value

    def schema(self) -> dict[str, Any]:
        """Anything."""
        return {}


@dataclass(frozen=True)
class Defaults:
    """Values of attributes by dotted key, however they are nested in the file."""

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take attributes that are known, each value as the component wants it."""
        found: dict[str, Any] = {}
        for name, key, item, place in _leaves(value, loc, reading, lambda *_: False):
            # `retries: 2` is how component files write it.
            name = "retries.max" if name == "retries" else name
            kind = _kind_of(name, reading)
            if kind is None:
                reading.wrong(key, place, _unknown(name, ATTRIBUTES))
                continue
            full = (*loc, name)
            if full in reading.places:
                reading.wrong(key, place, "is given twice, nested and with dots")
            reading.places[full] = (key.line, key.column)
            found[name] = kind.read(item, full, reading)
        return found

    def schema(self) -> dict[str, Any]:
        """Every attribute with dots, and nested."""
        schema = _schema({name: kind.schema() for name, kind in ATTRIBUTES.items()})
        nested = schema["properties"]["retries"]
        schema["properties"]["retries"] = {"anyOf": [ATTRIBUTES["retries.max"].schema(), nested]}
        return schema


_BOUND = Fields(
    {
        "minimum": Key(Number(), "The least a notebook may ask for."),
        "maximum": Key(Number(), "The most a notebook may ask for."),
    },
    any_of=("minimum", "maximum"),
)


@dataclass(frozen=True)
class Bounds:
    """Within what numbers may be changed, by dotted key."""

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take bounds of attributes that are numbers."""
        found: dict[str, Any] = {}
        for name, key, item, place in _leaves(value, loc, reading, _is_bound):
            name = "retries.max" if name == "retries" else name
            if name not in NUMBERS and (
                name in ATTRIBUTES or not isinstance(_kind_of(name, reading), _Anything)
            ):
                words = (
                    f"is no number. {did_you_mean(name, NUMBERS)}"
                    if name in ATTRIBUTES
                    else _unknown(name, NUMBERS)
                )
                reading.wrong(key, place, words)
                continue
            full = (*loc, name)
            if full in reading.places:
                reading.wrong(key, place, "is given twice, nested and with dots")
            reading.places[full] = (key.line, key.column)
            bound = _BOUND.read(item, full, reading)
            found[name] = bound
            if bound is not WRONG and WRONG not in bound.values():
                least, most = bound.get("minimum"), bound.get("maximum")
                if least is not None and most is not None and least > most:
                    reading.wrong(key, full, f"leaves nothing: {least:g} is more than {most:g}")
        return found

    def schema(self) -> dict[str, Any]:
        """Bounds of every number, with dots and nested."""
        return _schema({name: _BOUND.schema() for name in NUMBERS})


def _is_bound(name: str, item: Value) -> bool:
    return name in NUMBERS or any(key.value in ("minimum", "maximum") for key, _ in item.entries)


def _unknown(name: str, known: Any) -> str:
    if name in _ELSEWHERE:
        return f"has no default here: {_ELSEWHERE[name]}"
    return f"`{name}` is no attribute of this kind. {did_you_mean(name, known)}"


def _schema(flat: dict[str, Any]) -> dict[str, Any]:
    properties: dict[str, Any] = dict(flat)
    for name, schema in flat.items():
        first, _, rest = name.partition(".")
        if rest:
            nested = properties.setdefault(
                first, {"type": "object", "properties": {}, "minProperties": 1}
            )
            nested["properties"][rest] = schema
    return {"type": "object", "properties": properties, "minProperties": 1}
