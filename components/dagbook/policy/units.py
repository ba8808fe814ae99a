"""Amounts with their units, as people write them: ``16 GiB``, ``4 h``, ``1 h 30 min``."""

from __future__ import annotations

import math
import re

_BYTES = {
    "B": 1,
    "KB": 1000,
    "MB": 1000**2,
    "GB": 1000**3,
    "TB": 1000**4,
    "KIB": 1024,
    "MIB": 1024**2,
    "GIB": 1024**3,
    "TIB": 1024**4,
}
_SECONDS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86400),
}
_NUMBER = r"[0-9]{1,15}(?:\.[0-9]{1,6})?"
_SIZE = re.compile(rf"({_NUMBER})\s*([A-Za-z]+)")
_SPAN = re.compile(rf"({_NUMBER})\s*([a-z]+)")
#: What a text matches that is an amount, as JSON schema has it.
BYTES_PATTERN = r"^\s*[0-9]+(\.[0-9]+)?\s*([KkMmGgTt][Ii]?)?[Bb]\s*$"
SECONDS_PATTERN = r"^\s*([0-9]+(\.[0-9]+)?\s*(s|sec|seconds?|min|minutes?|h|hours?|d|days?)\s*)+$"


def bytes_from(text: str) -> int:
    """How many bytes ``16 GiB``, ``500 MB`` or ``64kB`` are.

    Raises:
        ValueError: it is no amount of bytes; the text says what one looks like.
    """
    found = _SIZE.fullmatch(text.strip())
    unit = found and _BYTES.get(found[2].upper())
    if not found or not unit:
        raise ValueError(f"{text!r} is no amount of memory: write it like 16 GiB or 500 MB")
    return round(float(found[1]) * unit) if "." in found[1] else int(found[1]) * unit


def seconds_from(text: str) -> float:
    """How many seconds ``4 h``, ``90 min``, ``15 minutes`` or ``1 h 30 min`` are.

    Raises:
        ValueError: it is no span of time; the text says what one looks like.
    """
    rest, total = text.strip().lower(), 0.0
    while rest:
        found = _SPAN.match(rest)
        if not found or found[2] not in _SECONDS:
            total = math.nan
            break
        total += float(found[1]) * _SECONDS[found[2]]
        rest = rest[found.end() :].lstrip()
    if not text.strip() or math.isnan(total):
        raise ValueError(f"{text!r} is no span of time: write it like 4 h or 90 min")
    return total


def bytes_text(count: int) -> str:
    """Bytes in the largest unit that takes no fraction: ``16 GiB``, ``1500 MB``, ``7 B``."""
    for unit, size in (("TiB", 1024**4), ("GiB", 1024**3), ("TB", 1000**4), ("GB", 1000**3)):
        if count and count % size == 0:
            return f"{count // size} {unit}"
    for unit, size in (("MiB", 1024**2), ("MB", 1000**2), ("KiB", 1024), ("KB", 1000)):
        if count and count % size == 0:
            return f"{count // size} {unit}"
    return f"{count} B"


def seconds_text(seconds: float) -> str:
    """A span of time in the largest unit that takes no fraction: ``4 h``, ``90 min``, ``2.5 s``."""
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.6f}".rstrip("0").rstrip(".") + " s"


def money_text(amount: float, currency: str) -> str:
    """An amount of money: ``12 EUR``, ``0.35 USD``."""
    return f"{amount:,.2f}".removesuffix(".00") + f" {currency}"
