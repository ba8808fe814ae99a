"""pydantic's errors in the words of somebody who wrote a line of YAML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from dagbook.errors import did_you_mean
from dagbook.notebook_runner.run_time_names import Loc

_KINDS = {
    "string_type": "text",
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "list_type": "a list",
    "dict_type": "names with values",
    "model_type": "names with values",
    "model_attributes_type": "names with values",
}


def schema_problems(error: ValidationError, model: type[BaseModel]) -> list[tuple[Loc, str]]:
    """Say each error of a model in one line, with the keys that lead to it."""
    problems: dict[Loc, str] = {}
    for detail in error.errors(include_url=False):
        loc, within = _place(detail["loc"], model)
        if detail["loc"][-1] == "[key]" or detail["type"] == "invalid_key":
            # A key that YAML did not read as text: pydantic's place for it is its number.
            loc = (*loc[:-1], detail["input"])
            text = f"the key {detail['input']!r} is no text to YAML: write it in quotes"
        else:
            text = _text(detail, within)
        # A union says the same thing once for each of its members: the first is enough.
        problems.setdefault(loc, text)
    return list(problems.items())


def _text(detail: Any, within: type[BaseModel]) -> str:
    kind, context, given = detail["type"], detail.get("ctx") or {}, detail["input"]
    if kind == "extra_forbidden":
        return f"unknown key. {did_you_mean(str(detail['loc'][-1]), within.model_fields)}"
    if kind == "missing":
        return "is missing"
    if kind == "literal_error":
        choices = _choices(context.get("expected", ""))
        return f"{given!r} is not known. {did_you_mean(str(given), choices)}"
    if kind == "union_tag_invalid":
        choices = _choices(context.get("expected_tags", ""))
        return f"type {context['tag']!r} is not known. {did_you_mean(context['tag'], choices)}"
    if kind == "union_tag_not_found":
        return "`type` is missing: write hourly, daily, weekly, monthly or static"
    if kind == "string_type" and isinstance(given, bool | int | float):
        # YAML reads `no`, `on` and `1.0` as no text.
        return f"text is wanted, not {given!r}: write it in quotes"
    if kind in _KINDS:
        return f"{_KINDS[kind]} is wanted, not {_shown(given)}"
    if kind in ("greater_than", "greater_than_equal"):
        bound = context.get("gt", context.get("ge"))
        return f"{'more than' if 'gt' in context else 'at least'} {bound:g} is wanted, not {given}"
    if kind in ("less_than", "less_than_equal"):
        bound = context.get("lt", context.get("le"))
        return f"{'less than' if 'lt' in context else 'at most'} {bound:g} is wanted, not {given}"
    if kind == "too_short":
        return "is empty: give at least one"
    return str(detail["msg"])


def _choices(expected: str) -> list[str]:
    # pydantic joins them as "'hourly', 'daily' or 'weekly'".
    return [part.strip(" '") for part in expected.replace(" or ", ",").split(",") if part.strip()]


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return "names with values"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "nothing"
    return repr(value)


def _place(loc: tuple[int | str, ...], model: type[BaseModel]) -> tuple[Loc, type[BaseModel]]:
    """The keys as written, without the names of a union's members, and the model they end in."""
    keys: list[int | str] = []
    candidates = [model]
    within = model
    for part in loc:
        found = next((m for m in candidates if part in m.model_fields), None)
        if found is not None:
            keys.append(part)
            within = found
            candidates = list(_models(found.model_fields[str(part)].annotation))
            continue
        tagged = next((m for m in candidates if _is_tag(part, m)), None)
        if tagged is not None:
            candidates, within = [tagged], tagged
        elif isinstance(part, int) or not _is_member_name(str(part)):
            keys.append(part)
            within = candidates[0] if len(candidates) == 1 else within
    return tuple(keys), candidates[0] if len(candidates) == 1 else within


def _is_tag(part: int | str, model: type[BaseModel]) -> bool:
    field = model.model_fields.get("type")
    return field is not None and part in get_args(field.annotation)


def _is_member_name(part: str) -> bool:
    return part in {"str", "int", "float", "bool"} or "[" in part


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
