"""A value as somebody types it, and back: empty says nothing, braces are kept as they are."""

from __future__ import annotations

import json
import re
from typing import Any

from dagbook_magics.form.shape import UNSET, Kind, Shape

_TEMPLATE = re.compile(r"\{\{.*\}\}", re.DOTALL)
_DURATION = re.compile(r"\s*(\d+(?:[.,]\d+)?)\s*([a-zA-Z]*)\s*")
_WHOLE = re.compile(r"[+-]?\d{1,4000}")
_SECONDS = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
}
_UNIT_SECONDS = {"seconds": 1.0, "minutes": 60.0, "hours": 3600.0}


class NotAValue(ValueError):
    """What was typed is no value of the field; the text says what would be."""


def is_template(value: Any) -> bool:
    """Whether a value is filled in later: ``{{ data_interval_start }}``."""
    return isinstance(value, str) and _TEMPLATE.search(value) is not None


def typed(shape: Shape, text: str) -> Any:
    """What somebody means by a text; `UNSET` for an empty one.

    Raises:
        NotAValue: it is no value of this field.
    """
    stripped = text.strip()
    if not stripped:
        return UNSET
    if is_template(stripped):
        return stripped
    if shape.kind is Kind.TEXT:
        return text if shape.is_long else stripped
    if shape.kind is Kind.ANY:
        return _anything(stripped)
    if shape.kind is Kind.INTEGER and _WHOLE.fullmatch(stripped):
        # Not by way of a float, which has 15 digits.
        _check_bounds(shape, int(stripped))
        return int(stripped)
    number = _number(shape, stripped)
    if shape.kind is Kind.INTEGER:
        if number != int(number):
            raise NotAValue(f"{stripped} is not a whole number")
        number = int(number)
    _check_bounds(shape, number)
    return number


def shown(shape: Shape, value: Any) -> str:
    """A value as it would be typed."""
    if value is UNSET or value is None:
        return ""
    if isinstance(value, str):
        # In a field that takes anything, a text that reads like a number needs its quotes.
        if shape.kind is Kind.ANY and not is_template(value) and _anything(value.strip()) != value:
            return json.dumps(value, ensure_ascii=False)
        return value
    if isinstance(value, bool) or value is None or isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, float) and shape.kind is not Kind.ANY:
        # All its digits; where a number is asked for, 2 reads better than 2.0.
        return repr(value).removesuffix(".0")
    return str(value)


def _number(shape: Shape, text: str) -> float:
    match = _DURATION.fullmatch(text)
    if shape.unit in _UNIT_SECONDS and match is not None and match[2]:
        seconds = _SECONDS.get(match[2].lower())
        if seconds is None:
            raise NotAValue(f"{text} is not a time; write such as 90 min or 2 h")
        return float(match[1].replace(",", ".")) * seconds / _UNIT_SECONDS[shape.unit]
    if shape.unit and text.upper().endswith(shape.unit.upper()):
        text = text[: -len(shape.unit)].strip()
    try:
        number = float(text.replace("_", "").lstrip("$€"))
    except ValueError:
        raise NotAValue(f"{text} is not a number") from None
    if number != number or number in (float("inf"), float("-inf")):
        raise NotAValue(f"{text} is not a number that can be used here")
    return number


def _check_bounds(shape: Shape, number: float) -> None:
    unit = f" {shape.unit}" if shape.unit else ""
    least, most = shape.minimum, shape.maximum
    if least is not None and (number < least or (shape.is_above_minimum and number == least)):
        bound = "more than" if shape.is_above_minimum else "at least"
        raise NotAValue(f"{number:g} is too little: {bound} {least:g}{unit}")
    if most is not None and number > most:
        raise NotAValue(f"{number:g} is too much: at most {most:g}{unit}")


def _anything(text: str) -> Any:
    """A value whose type nobody says: JSON where it is some, else the text."""
    try:
        # NaN and Infinity are words that no JSON has.
        return json.loads(text, parse_constant=lambda word: word)
    except ValueError:
        return {"True": True, "False": False}.get(text, text)
