"""Times, lengths, sizes and series as people read them."""

from __future__ import annotations

import datetime
import math
from collections.abc import Mapping, Sequence
from typing import Any

_BLOCKS = "▁▂▃▄▅▆▇█"


def moment(text: str) -> str:
    """``Sat 21 Nov 06:00`` of a moment in ISO 8601, in the zone that it names."""
    found = datetime.datetime.fromisoformat(text)
    return f"{found:%a} {found.day} {found:%b} {found:%H:%M}"


def ago(run: Mapping[str, Any]) -> str:
    """When a run began, and how long it took: ``today 06:00, after 48 s``."""
    began = run.get("started_at") or run.get("created_at")
    if began is None:
        return ""
    took = run.get("duration_seconds")
    return clock(float(began)) + (f", {seconds(took)}" if took is not None else "")


def clock(began: float) -> str:
    """A Unix time in this machine's zone, by its day as people call it."""
    local = datetime.datetime.fromtimestamp(began).astimezone()
    days = (datetime.datetime.now().astimezone().date() - local.date()).days
    day = {0: "today", 1: "yesterday"}.get(days, f"{local:%a} {local.day} {local:%b}")
    return f"{day} {local:%H:%M}"


def seconds(value: float) -> str:
    """``48 s``, ``3 min 5 s``, ``2 h 10 min``."""
    if value < 10:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        rest = f" {whole % 60} s" if whole % 60 else ""
        return f"{whole // 60} min{rest}"
    rest = f" {whole % 3600 // 60} min" if whole % 3600 // 60 else ""
    return f"{whole // 3600} h{rest}"


def size(value: float) -> str:
    """``1.1 GB`` of a number of bytes."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if value >= factor:
            return f"{value / factor:.1f} {unit}"
    return f"{value:.0f} B"


def number(value: float) -> str:
    """A measurement with as many digits as say something."""
    return f"{value:,.0f}" if value == round(value) and abs(value) < 1e15 else f"{value:.4g}"


def sparkline(values: Sequence[float]) -> str:
    """A series as a line of blocks, the oldest first; empty for fewer than two numbers."""
    known = [value for value in values if math.isfinite(value)]
    if len(known) < 2:
        return ""
    least, most = min(known), max(known)
    span = most - least
    return "".join(
        _BLOCKS[round((value - least) / span * (len(_BLOCKS) - 1)) if span else 3]
        for value in known
    )


def trend(values: Sequence[float]) -> str:
    """What a series came to, in words: ``0.81, down 0.02``."""
    known = [value for value in values if math.isfinite(value)]
    if not known:
        return ""
    last = number(known[-1])
    if len(known) < 2 or known[-1] == known[-2]:
        return last
    way = "up" if known[-1] > known[-2] else "down"
    return f"{last}, {way} {number(abs(known[-1] - known[-2]))}"
