"""pydantic's errors about a component's attributes, each at the key it is about."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagbook.errors import did_you_mean

Loc = tuple[Any, ...]


def located_errors(error: Any, model: type[Any], given: Mapping[str, Any]) -> list[tuple[Loc, str]]:
    """Say each error of a model in one line, with the keys that lead to it in the YAML.

    Dagster takes a template in place of every value, so a wrong number is also said to be no
    text; what is said about the same value twice, or about what holds a wrong value, is left out.

    Args:
        error: pydantic's ``ValidationError``.
        model: the model the values were given to.
        given: the values, as they stand in the YAML.
    """
    found: dict[Loc, tuple[str, str]] = {}
    for detail in error.errors(include_url=False):
        loc = _loc_in_yaml(detail, given)
        if loc not in found or found[loc][0] == "string_type":
            found[loc] = (detail["type"], _text(detail, loc, model))
    return [
        (loc, text)
        for loc, (_, text) in found.items()
        if not any(other[: len(loc)] == loc and len(other) > len(loc) for other in found)
    ]


def _loc_in_yaml(detail: Mapping[str, Any], given: Any) -> Loc:
    # pydantic names the members of a union on the way (`schedule.ScheduleModel.cron`).
    loc: list[Any] = []
    value = given
    for number, part in enumerate(detail["loc"], 1):
        is_last = number == len(detail["loc"])
        if (isinstance(value, Mapping) and part in value) or (
            isinstance(value, list) and isinstance(part, int) and part < len(value)
        ):
            value = value[part]
        elif not (is_last and detail["type"] == "missing"):
            continue
        loc.append(part)
    return tuple(loc)


def _text(detail: Mapping[str, Any], loc: Loc, model: type[Any]) -> str:
    if detail["type"] == "missing":
        return "is missing"
    if detail["type"] == "extra_forbidden":
        known = model.model_fields if len(loc) == 1 else ()
        return "unknown key" + (f". {did_you_mean(str(loc[-1]), known)}" if known else "")
    message = str(detail["msg"])
    return message[:1].lower() + message[1:]
