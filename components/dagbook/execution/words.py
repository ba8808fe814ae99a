"""Figures as people read them."""

from __future__ import annotations

MEBIBYTE = 1024**2
LONGEST_LINE = 300


def in_bytes(count: int) -> str:
    """``20 KiB``, ``300 MiB``, ``4 GiB``, ``1.2 GiB``."""
    if 0 < count < MEBIBYTE:
        return f"{count / 1024:.0f} KiB"
    mebibytes = count / MEBIBYTE
    if mebibytes < 1024:
        return f"{mebibytes:.0f} MiB"
    gibibytes = round(mebibytes / 1024, 1)
    return f"{gibibytes:g} GiB"


def in_time(seconds: float) -> str:
    """``1.5 s``, ``90 s``, ``5 min``, ``2 h 5 min``."""
    if seconds < 120:
        return f"{seconds:.1f} s" if seconds % 1 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s" if rest else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if minutes else f"{hours} h"


def in_one_line(*parts: str) -> str:
    """The first line of each part that says something, joined and not too long."""
    text = ": ".join(part.strip().split("\n")[0] for part in parts if part.strip())
    return text if len(text) <= LONGEST_LINE else text[: LONGEST_LINE - 1] + "…"
