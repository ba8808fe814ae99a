"""What each type of parameter accepts, strictly: a wrong value is refused with its remedy."""

from __future__ import annotations

import datetime
import math
import re
from collections.abc import Callable, Mapping
from typing import Any


class WrongType(Exception):
    """A value that is none of the type; the text is the remedy, if one is known."""


class Unwritable(Exception):
    """A value that no notebook can hold; the text goes on from ``parameter `x` ``."""


def _int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        if isinstance(value, float) and value.is_integer():
            raise WrongType(f"write {value:.0f}")
        if isinstance(value, str) and re.fullmatch(r"[+-]?\d+", value.strip()):
            raise WrongType("write it without quotes")
        raise WrongType
    return _whole(value)


def _whole(value: int) -> int:
    if value.bit_length() > 10_000:
        raise Unwritable("is too large a number")  # Python itself refuses to write it
    return int(value)


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        if isinstance(value, str) and _is_number(value):
            raise WrongType("write it without quotes")
        raise WrongType
    try:
        return float(value)
    except OverflowError:
        raise Unwritable("is too large a number for a float") from None


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _str(value: Any) -> str:
    if isinstance(value, datetime.date):
        return value.isoformat()  # what YAML makes of a date without quotes
    if not isinstance(value, str):
        raise WrongType("put it in quotes" if isinstance(value, bool | int | float) else "")
    return str.__str__(value)


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        quoted = isinstance(value, str) and value.lower() in ("true", "false")
        raise WrongType("write it without quotes" if quoted else "")
    return value


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list | tuple):
        raise WrongType
    return [_any(item) for item in value]


def _dict(value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise WrongType
    if not all(isinstance(key, str) for key in value):
        raise Unwritable("has keys that are not text; write them in quotes")
    return {str.__str__(key): _any(item) for key, item in value.items()}


def _date(value: Any) -> str:
    if isinstance(value, datetime.date) and not isinstance(value, datetime.datetime):
        return value.isoformat()
    # fromisoformat alone would also take 20260101 and week dates.
    if not isinstance(value, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        raise WrongType
    try:
        return datetime.date.fromisoformat(value).isoformat()
    except ValueError:
        raise WrongType("there is no such day") from None


def _datetime(value: Any) -> str:
    if isinstance(value, datetime.date):
        return value.isoformat()
    try:
        datetime.datetime.fromisoformat(value if isinstance(value, str) else "")
    except ValueError:
        raise WrongType from None
    return str.__str__(value)


def _any(value: Any) -> Any:
    """A value as JSON holds it, NaN and infinity included; dates as ISO-8601 text."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        return _whole(value) if isinstance(value, int) else float(value)
    if isinstance(value, str | datetime.date):
        return _str(value)
    if isinstance(value, list | tuple):
        return _list(value)
    if isinstance(value, Mapping):
        return _dict(value)
    kind = type(value)
    name = kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"
    raise Unwritable(f"holds a {name}, which no notebook can hold; convert it first")


CHECKS: dict[str, Callable[[Any], Any]] = {
    "int": _int,
    "float": _float,
    "str": _str,
    "bool": _bool,
    "list": _list,
    "dict": _dict,
    "date": _date,
    "datetime": _datetime,
    "any": _any,
}
"""By the type's name: the value as it goes into the notebook, or one of the two errors."""

DESCRIPTIONS = {
    "int": "an int",
    "float": "a float",
    "str": "a str",
    "bool": "a bool (true or false)",
    "list": "a list",
    "dict": "a dict",
    "date": "a date (YYYY-MM-DD)",
    "datetime": "a date and time (YYYY-MM-DDTHH:MM:SS)",
    "any": "a value that JSON can hold",
}
