"""How close together the ticks of a cron expression come."""

from __future__ import annotations

import datetime
from functools import lru_cache
from itertools import pairwise

from dagbook.cron import parse_cron

_DAY_SECONDS = 86_400.0
# Four years have every length of a month beside every other.
_FIRST_DAY = datetime.date(2024, 1, 1)
_DAYS = 4 * 365 + 1


@lru_cache(maxsize=1024)
def shortest_interval(text: str) -> float | None:
    """The shortest time between two ticks, in seconds, as the clock on the wall shows it.

    Days on which clocks change are left out of account. None for an expression that comes once
    in four years or less often.

    Raises:
        DagbookError: it is no cron expression.
    """
    cron = parse_cron(text)
    times = sorted(hour * 60 + minute for hour in cron.hours for minute in cron.minutes)
    gaps = [(later - earlier) * 60.0 for earlier, later in pairwise(times)]
    overnight = (times[0] - times[-1]) * 60.0
    apart = None
    last = None
    for number in range(_DAYS):
        if not cron.falls_on(_FIRST_DAY + datetime.timedelta(days=number)):
            continue
        if last is not None and (apart is None or number - last < apart):
            apart = number - last
        last = number
        if apart == 1:
            break
    if apart is not None:
        gaps.append(apart * _DAY_SECONDS + overnight)
    return min(gaps, default=None)
