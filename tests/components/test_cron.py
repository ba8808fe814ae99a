"""Cron expressions: what they take, and when they come due, as Dagster sees both."""

from __future__ import annotations

import datetime
import random
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from dagbook.cron import next_ticks, parse_cron
from dagbook.errors import DagbookError

UTC = ZoneInfo("UTC")


def dagsters_ticks(
    cron: str, zone: str, count: int, after: datetime.datetime
) -> list[datetime.datetime]:
    windows = dg.TimeWindowPartitionsDefinition(
        start=datetime.datetime(2000, 1, 1),
        fmt="%Y-%m-%dT%H:%M%z",
        cron_schedule=cron,
        timezone=zone,
    )
    ticks: list[datetime.datetime] = []
    while len(ticks) < count:
        window = windows.get_next_partition_window(
            ticks[-1] if ticks else after, respect_bounds=False
        )
        assert window is not None
        if window.start.timestamp() > (ticks[-1] if ticks else after).timestamp():
            ticks.append(window.start)
        else:
            ticks.append(window.end)
    return ticks


def stamps(ticks: list[datetime.datetime]) -> list[float]:
    return [tick.timestamp() for tick in ticks]


@pytest.mark.parametrize(
    ("cron", "said"),
    [
        (
            "0 6 * *",
            "cron `0 6 * *` has 4 fields, it takes five: minute, hour, day of the month, month, "
            "day of the week",
        ),
        (
            "0 0 6 * * *",
            "cron `0 0 6 * * *` has 6 fields, it takes five: minute, hour, day of the month, "
            "month, day of the week",
        ),
        ("60 6 * * *", "cron `60 6 * * *`: `60` is no minute, which is 0-59"),
        ("0 24 * * *", "cron `0 24 * * *`: `24` is no hour, which is 0-23"),
        ("0 6 0 * *", "cron `0 6 0 * *`: `0` is no day of the month, which is 1-31"),
        ("0 6 * 13 *", "cron `0 6 * 13 *`: `13` is no month, which is 1-12 or jan-dec"),
        ("0 6 * * mun", "cron `0 6 * * mun`: `mun` is no day of the week, which is 0-6 or sun-sat"),
        ("0 6 * * mon#6", "cron `0 6 * * mon#6`: `mon#6` is no day of the week, which is 0-6 or sun-sat"),
        ("*/0 * * * *", "cron `*/0 * * * *`: `*/0` is no minute, which is 0-59"),
        ("0 6 ? * *", "cron `0 6 ? * *`: `?` is no day of the month, which is 1-31"),
        (
            "59/9 * * * *",
            "cron `59/9 * * * *`: `59/9` means different things to different readers: name the "
            "values one by one",
        ),
        ("0 6 31 2 *", "cron `0 6 31 2 *` never comes due: no month in it has such a day"),
        (
            "0 6 1 * mon#1",
            "cron `0 6 1 * mon#1` names days of the month and a weekday by its number: name one "
            "of them",
        ),
        (
            "@dayly",
            "`@dayly` is no schedule. Known: @hourly, @daily, @midnight, @weekly, @monthly, "
            "@yearly, @annually",
        ),
    ],
)  # fmt: skip
def test_what_is_no_cron_is_refused_with_the_field(cron: str, said: str) -> None:
    with pytest.raises(DagbookError) as refused:
        parse_cron(cron)
    assert str(refused.value) == said


@pytest.mark.parametrize(
    ("cron", "ticks"),
    [
        ("0 6 * * *", ["2026-01-15 06:00", "2026-01-16 06:00"]),
        ("*/20 6-7 * * *", ["2026-01-15 06:00", "2026-01-15 06:20", "2026-01-15 06:40"]),
        ("@weekly", ["2026-01-18 00:00", "2026-01-25 00:00"]),
        ("0 6 * * 1-5", ["2026-01-15 06:00", "2026-01-16 06:00", "2026-01-19 06:00"]),
        ("0 6 * * fri-mon", ["2026-01-16 06:00", "2026-01-17 06:00", "2026-01-18 06:00"]),
        ("0 6 * * 7", ["2026-01-18 06:00"]),
        ("0 6 L * *", ["2026-01-31 06:00", "2026-02-28 06:00"]),
        ("0 6 * * mon#1", ["2026-02-02 06:00", "2026-03-02 06:00"]),
        ("0 6 * * L5", ["2026-01-30 06:00", "2026-02-27 06:00"]),
        ("0 6 13 * fri", ["2026-01-16 06:00", "2026-01-23 06:00", "2026-01-30 06:00",
                          "2026-02-06 06:00", "2026-02-13 06:00"]),
        ("0 0 29 2 *", ["2028-02-29 00:00", "2032-02-29 00:00"]),
    ],
)  # fmt: skip
def test_a_cron_comes_due(cron: str, ticks: list[str]) -> None:
    found = next_ticks(cron, UTC, len(ticks), datetime.datetime(2026, 1, 15, 5, 59, tzinfo=UTC))
    assert [f"{tick:%Y-%m-%d %H:%M}" for tick in found] == ticks


def test_a_tick_is_later_than_the_moment_asked_about() -> None:
    six = datetime.datetime(2026, 1, 15, 6, tzinfo=UTC)
    assert next_ticks("0 6 * * *", UTC, 1, six) == [six + datetime.timedelta(days=1)]


def test_a_time_that_the_clock_leaves_out_moves_to_the_change() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    found = next_ticks("30 2 * * *", berlin, 3, datetime.datetime(2026, 3, 28, tzinfo=berlin))
    assert [tick.isoformat() for tick in found] == [
        "2026-03-28T02:30:00+01:00",
        "2026-03-29T03:00:00+02:00",
        "2026-03-30T02:30:00+02:00",
    ]


def test_a_time_that_comes_twice_counts_once_and_every_hour_counts() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    before = datetime.datetime(2026, 10, 25, 0, 30, tzinfo=berlin)
    assert [tick.isoformat() for tick in next_ticks("30 2 * * *", berlin, 2, before)] == [
        "2026-10-25T02:30:00+01:00",
        "2026-10-26T02:30:00+01:00",
    ]
    assert [tick.isoformat() for tick in next_ticks("0 * * * *", berlin, 4, before)] == [
        "2026-10-25T01:00:00+02:00",
        "2026-10-25T02:00:00+02:00",
        "2026-10-25T02:00:00+01:00",
        "2026-10-25T03:00:00+01:00",
    ]


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize(
    "cron",
    ["30 2 * * *", "0 1 * * *", "0,30 2 * * *", "*/15 * * * *", "0 */2 * * *", "0 2 * * sun",
     "30 1,2,3 * * *", "45 * * * *", "0 0 1 * *", "15 3 * * 1-5"],
)  # fmt: skip
def test_ticks_are_dagsters_through_the_changes_of_the_clock(cron: str, zone: str) -> None:
    for month, day in [(3, 7), (3, 28), (10, 24), (10, 31)]:
        after = datetime.datetime(2026, month, day, 12, 1, tzinfo=ZoneInfo(zone))
        count = 110 if cron.startswith("*/15") else 12
        found = next_ticks(cron, ZoneInfo(zone), count, after)
        assert stamps(found) == stamps(dagsters_ticks(cron, zone, count, after))


def random_field(chance: random.Random, low: int, high: int, names: tuple[str, ...] = ()) -> str:
    def value() -> str:
        if names and chance.random() < 0.4:
            return chance.choice(names)
        return str(chance.randint(low, high))

    kind = chance.random()
    if kind < 0.4:
        return "*"
    if kind < 0.6:
        return value()
    if kind < 0.7:
        return f"*/{chance.randint(1, 12)}"
    if kind < 0.85:
        return f"{value()}-{value()}" + chance.choice(["", "/2"])
    return ",".join(value() for _ in range(chance.randint(2, 4)))


@pytest.mark.parametrize("seed", range(6))
def test_what_is_taken_comes_due_when_dagster_says(seed: int) -> None:
    chance = random.Random(seed)
    taken = 0
    while taken < 15:
        cron = " ".join(
            [
                random_field(chance, 0, 59),
                random_field(chance, 0, 23),
                random_field(chance, 1, 31),
                random_field(chance, 1, 12, ("jan", "dec")),
                random_field(chance, 0, 7, ("mon", "SUN", "fri")),
            ]
        )
        try:
            parse_cron(cron)
        except DagbookError:
            continue
        taken += 1
        after = datetime.datetime(2026, chance.randint(1, 12), 10, 11, 12, tzinfo=UTC)
        found = next_ticks(cron, UTC, 4, after)
        assert stamps(found) == stamps(dagsters_ticks(cron, "UTC", 4, after)), cron
