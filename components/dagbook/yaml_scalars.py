"""What a scalar means to Dagster, which reads YAML 1.1 without dates."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_PLAIN = (
    (
        "bool",
        "yYnNtTfFoO",
        r"(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$",
    ),
    (
        "float",
        "-+0123456789.",
        r"(?:[-+]?(?:[0-9][0-9_]*)\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
        r"|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
    ),
    (
        "int",
        "-+0123456789",
        r"(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+"
        r"|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$",
    ),
    ("merge", "<", r"(?:<<)$"),
    ("null", "~nN", r"(?:~|null|Null|NULL)$"),
)


def plain_scalar(text: str) -> Any:
    """The value an unquoted scalar has: ``on`` is True, ``3`` is 3, ``2026-01-01`` is itself.

    Raises:
        ValueError: it looks like a number and is none.
    """
    if not text:
        return None
    for name, first, pattern in _PLAIN:
        if text[0] in first and re.match(pattern, text):
            return SCALARS[name](text)
    return text


def _int(text: str) -> int:
    text = text.replace("_", "")
    sign = -1 if text[0] == "-" else 1
    text = text.lstrip("+-")
    if text == "0":
        return 0
    if text.startswith("0b"):
        return sign * int(text[2:], 2)
    if text.startswith("0x"):
        return sign * int(text[2:], 16)
    if text.startswith("0"):
        return sign * int(text, 8)
    return sign * int(_sexagesimal(text, int)) if ":" in text else sign * int(text)


def _float(text: str) -> float:
    text = text.replace("_", "").lower()
    sign = -1.0 if text[0] == "-" else 1.0
    text = text.lstrip("+-")
    if text == ".inf":
        return sign * float("inf")
    if text == ".nan":
        return float("nan")
    return sign * float(_sexagesimal(text, float) if ":" in text else float(text))


def _sexagesimal(text: str, number: type[int] | type[float]) -> float:
    total = number(0)
    for part in text.split(":"):
        total = total * 60 + number(part)
    return total


#: By the name of its YAML type, how text becomes a value.
SCALARS: dict[str, Callable[[str], Any]] = {
    "bool": lambda text: text.lower() in ("yes", "true", "on"),
    "float": _float,
    "int": _int,
    "merge": lambda text: text,
    "null": lambda text: None,
    "str": lambda text: text,
}
