"""From what a form holds to what is wished for a notebook, and only where it says something."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from dagbook.errors import DagbookError
from dagbook.schedule_words import parse_schedule
from dagbook.scheduling import DEFAULT_TIMEZONE, Wish

#: Attributes that may be written as one value, and the key that value is for.
_SHORT = {"retries": "max"}
_ABSENT: Any = object()


def wish_of_form(
    attributes: Mapping[str, Any],
    before: Mapping[str, Any],
    schema: Mapping[str, Any],
    type_name: str | None = None,
) -> Wish:
    """What has to be written so that a component has these attributes, all of them.

    What is at its default, or empty, is not written; what the file says in another way already
    stays as it is; what the form no longer has is taken out.

    Args:
        attributes: as a form has them, complete.
        before: as the file has them; empty for a component that is to be made.
        schema: of the attributes, with their defaults.
        type_name: the component's type, where it is to be another.
    """
    said = {
        name: value
        for name, given in attributes.items()
        if name != "notebook"
        and (value := _shortest(name, given, _part(schema, name), schema)) is not _ABSENT
    }
    for name in said.keys() & before.keys():
        if _same(name, said[name], before[name], schema):
            said[name] = before[name]
    for name, value in before.items():
        if name not in said and _is_default(attributes.get(name, _ABSENT), value):
            said[name] = value  # written by somebody who wanted it to be seen
    removed: list[tuple[str, ...]] = [
        (name,) for name in before if name != "notebook" and name not in said
    ]
    schedule = said.pop("schedule", None)
    # What is no mapping is written as it is, for the check to say so.
    is_mapping = isinstance(said.get("parameters"), Mapping)
    values = said.pop("parameters") if is_mapping else {}
    old_values = before.get("parameters") if isinstance(before.get("parameters"), Mapping) else {}
    assert isinstance(old_values, Mapping)
    if values:
        removed += [("parameters", name) for name in old_values if name not in values]
    if schedule is None:
        removed.append(("schedule",))
    size = said.pop("compute_size", None)
    others = {name: value for name, value in said.items() if before.get(name, _ABSENT) != value}
    wish = dict(_of_schedule(schedule, before.get("schedule")))
    if (own_job := wish.pop("own_job", None)) is not None:
        others["schedule.own_job"] = own_job
    return Wish(
        schedule=wish.get("cron"),
        timezone=wish.get("timezone"),
        size=size if size != before.get("compute_size") else None,
        parameters={n: v for n, v in values.items() if old_values.get(n, _ABSENT) != v} or None,
        attributes=others or None,
        removed=tuple(dict.fromkeys(removed)),
        type=type_name,
    )


def _of_schedule(schedule: Any, before: Any) -> Iterator[tuple[str, Any]]:
    if schedule is None:
        return
    given = schedule if isinstance(schedule, Mapping) else {"cron": schedule}
    old = before if isinstance(before, Mapping) else {"cron": before}
    if isinstance(given.get("cron"), str):
        yield "cron", given["cron"]
    timezone = given.get("timezone")
    if timezone is not None and timezone != old.get("timezone", _ABSENT):
        is_silent = before is not None and "timezone" not in old and timezone == DEFAULT_TIMEZONE
        if not is_silent:
            yield "timezone", timezone
    if given.get("own_job") != old.get("own_job") and (given.get("own_job") or old.get("own_job")):
        yield "own_job", bool(given.get("own_job"))


def _without_defaults(value: Any, part: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    """A value without what need not be written; `_ABSENT` where nothing is left."""
    if value is None or value == "" or value == part.get("default", _ABSENT):
        return _ABSENT
    if isinstance(value, Mapping):
        if not any(_objects(part, schema)):
            # Names and values of the author's own, of which an empty one says something too.
            return value or _ABSENT
        known = _properties(part, schema, value)
        required = _required(part, schema, value)
        kept = {
            name: inner
            for name, item in value.items()
            if (
                inner := item
                if name in required
                else _without_defaults(item, known.get(name, {}), schema)
            )
            is not _ABSENT
        }
        return kept or _ABSENT
    return _ABSENT if value == [] else value


def _shortest(name: str, value: Any, part: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    kept = _without_defaults(value, part, schema)
    short = _SHORT.get(name)
    return kept[short] if isinstance(kept, Mapping) and kept.keys() == {short} else kept


def _is_default(given: Any, written: Any) -> bool:
    """Whether the form shows just what the file says, though it need not be written."""
    return given is not _ABSENT and given == written and given not in (None, "", [], {})


def _same(name: str, said: Any, before: Any, schema: Mapping[str, Any]) -> bool:
    """Whether the file says the same in another way."""
    if said == before:
        return True
    if name == "schedule":
        return bool(_schedule(said) == _schedule(before))
    short = _SHORT.get(name)
    if short is not None:
        said = said if isinstance(said, Mapping) else {short: said}
        before = before if isinstance(before, Mapping) else {short: before}
    return bool(said == _without_defaults(before, _part(schema, name), schema))


def _schedule(value: Any) -> Any:
    given = value if isinstance(value, Mapping) else {"cron": value}
    cron = given.get("cron")
    try:
        cron = parse_schedule(cron) if isinstance(cron, str) else cron
    except DagbookError:
        pass
    return cron, given.get("timezone") or DEFAULT_TIMEZONE, bool(given.get("own_job"))


def _part(schema: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = schema.get("properties", {}).get(name, {})
    return found if isinstance(found, Mapping) else {}


def _objects(part: Mapping[str, Any], schema: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The objects that a part may be, references followed."""
    if "$ref" in part:
        yield from _objects(schema["$defs"][str(part["$ref"]).rpartition("/")[2]], schema)
    for variant in (*part.get("anyOf", ()), *part.get("oneOf", ())):
        yield from _objects(variant, schema)
    if "properties" in part:
        yield part


def _properties(
    part: Mapping[str, Any], schema: Mapping[str, Any], value: Mapping[str, Any]
) -> Mapping[str, Any]:
    found: dict[str, Any] = {}
    for each in _objects(part, schema):
        if value.keys() <= each["properties"].keys():
            found = {**each["properties"], **found}
    return found


def _required(
    part: Mapping[str, Any], schema: Mapping[str, Any], value: Mapping[str, Any]
) -> set[str]:
    return {
        name
        for each in _objects(part, schema)
        if value.keys() <= each["properties"].keys()
        for name in each.get("required", ())
    }
