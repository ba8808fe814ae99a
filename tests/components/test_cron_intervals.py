"""How close together ticks come, compared with the ticks themselves."""

from __future__ import annotations

import datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from dagbook.cron import next_ticks
from dagbook.cron_intervals import shortest_interval
from dagbook.errors import DagbookError

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0


@pytest.mark.parametrize(
    ("cron", "seconds"),
    [
        ("* * * * *", MINUTE),
        ("*/15 * * * *", 15 * MINUTE),
        ("@hourly", HOUR),
        ("0,50 * * * *", 10 * MINUTE),
        ("5 23,0 * * *", HOUR),
        ("0 6 * * *", DAY),
        ("0 6 * * 1-5", DAY),
        ("0 6 * * 1", 7 * DAY),
        ("0 6 * * 1,4", 3 * DAY),
        ("0 0 31,1 * *", DAY),
        ("0 23 28 2 *", 365 * DAY),
        ("0 0 1 * *", 28 * DAY),
        ("@monthly", 28 * DAY),
        ("0 0 L * *", 28 * DAY),
        ("0 0 28,1 2,3 *", DAY),
    ],
)
def test_the_shortest_time_between_two_ticks(cron: str, seconds: float) -> None:
    assert shortest_interval(cron) == seconds


@pytest.mark.parametrize("cron", ["17 */5 * * *", "0 6 * * mon#1,mon#2", "30 1,3,22 1-7 * fri"])
def test_no_two_ticks_come_closer_and_some_come_as_close(cron: str) -> None:
    start = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
    ticks = next_ticks(cron, ZoneInfo("UTC"), 500, start)
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(ticks)]
    assert shortest_interval(cron) == min(gaps)


def test_what_comes_once_in_four_years_has_no_interval() -> None:
    assert shortest_interval("0 0 29 2 *") is None


def test_what_is_no_cron_is_refused() -> None:
    with pytest.raises(DagbookError) as refused:
        shortest_interval("6 o'clock")
    assert str(refused.value) == (
        "cron `6 o'clock` has 2 fields, it takes five: minute, hour, day of the month, month, "
        "day of the week"
    )
