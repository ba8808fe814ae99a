"""Ticks and intervals of a schedule, by the same reckoning as the scheduler's own."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

import dagster as dg

from dagbook.errors import DagbookError


def check_timezone(name: str) -> None:
    """Refuse a time zone that this machine does not know.

    Raises:
        DagbookError: the text says how time zones are named.
    """
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise DagbookError(
            f"time zone {name!r} does not exist: use an IANA name such as Europe/Berlin or UTC"
        ) from None


@lru_cache(maxsize=1024)
def intervals_of(cron: str, timezone: str) -> dg.TimeWindowPartitionsDefinition:
    """The stretches of time between a cron line's ticks.

    Dagster's own iterator finds them, so that a clock change moves our intervals and the
    scheduler's ticks alike.

    Raises:
        DagbookError: the cron line or the time zone cannot be read, or it never comes.
    """
    check_timezone(timezone)
    try:
        return dg.TimeWindowPartitionsDefinition(
            start=datetime(2000, 1, 1),
            fmt="%Y-%m-%dT%H:%M:%S%z",
            cron_schedule=cron,
            timezone=timezone,
        )
    except Exception:
        fields = len(cron.split())
        wrong = "never comes or cannot be read"
        if fields != 5:
            wrong = f"cannot be read: it has {fields} field{'' if fields == 1 else 's'}, not five"
        raise DagbookError(
            f'cron {cron!r} {wrong}. Write "minute hour day month weekday", for example '
            '"0 6 * * *" for every day at 06:00'
        ) from None


def last_interval(cron: str, timezone: str, at: datetime) -> dg.TimeWindow:
    """The last complete interval at a moment: from the tick before to the last tick until then."""
    window = intervals_of(cron, timezone).get_prev_partition_window(at, respect_bounds=False)
    if window is None:  # cannot be: without bounds there is always one before
        raise DagbookError(f"cron {cron!r} had no tick before {at.isoformat()}")
    return window


def next_ticks(cron: str, timezone: str, after: datetime, count: int) -> list[datetime]:
    """The next ticks after a moment, in the schedule's time zone."""
    intervals = intervals_of(cron, timezone)
    ticks: list[datetime] = []
    moment = after
    while len(ticks) < count:
        window = intervals.get_next_partition_window(moment, respect_bounds=False)
        if window is None:
            break
        ticks.append(window.start)
        moment = window.end
    return ticks
