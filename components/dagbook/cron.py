"""Cron expressions: read them, and say when they come due in a time zone.

Reads what Dagster accepts (five fields, names, steps, ``L``, ``#``) with the standard library
alone, because kernels and command lines need it where no Dagster is installed.
"""

from __future__ import annotations

import calendar
import datetime
import re
from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from dagbook.errors import DagbookError

ALIASES = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}

WEEKDAYS = ("Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday")
MONTHS = tuple(calendar.month_name)[1:]

_LONGEST_GAP_DAYS = 8 * 366  # 29 February, across a century without a leap year


@dataclass(frozen=True)
class _Field:
    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    @property
    def every(self) -> frozenset[int]:
        return frozenset(range(self.low, self.high + 1))


_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of the month", 1, 31)
_MONTH = _Field("month", 1, 12, tuple(name[:3].lower() for name in MONTHS))
_WEEKDAY = _Field("day of the week", 0, 6, tuple(name[:3].lower() for name in WEEKDAYS))


@dataclass(frozen=True)
class Cron:
    """A cron expression, read. Weekdays count from 0, Sunday; months from 1."""

    text: str
    minutes: frozenset[int]
    hours: frozenset[int]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    nth_weekdays: frozenset[tuple[int, int]] = frozenset()
    """(weekday, which one in its month), -1 for the last"""
    last_day: bool = False

    # As for Dagster, only a bare `*` leaves a field open: `*/1` and `1-31` name every value.

    @property
    def every_hour(self) -> bool:
        """Whether the hour is left open."""
        return self._fields[1] == "*"

    @property
    def names_days(self) -> bool:
        """Whether days of the month are named."""
        return self._fields[2] != "*"

    @property
    def names_months(self) -> bool:
        """Whether months are named."""
        return self._fields[3] != "*"

    @property
    def names_weekdays(self) -> bool:
        """Whether days of the week are named."""
        return self._fields[4] != "*"

    @property
    def _fields(self) -> list[str]:
        return self.text.split()

    def falls_on(self, date: datetime.date) -> bool:
        """Whether it comes due on a date. With both kinds of days given, either one will do."""
        if date.month not in self.months:
            return False
        last = calendar.monthrange(date.year, date.month)[1]
        by_day = date.day in self.days or (self.last_day and date.day == last)
        weekday = date.isoweekday() % 7
        nth = {(weekday, (date.day + 6) // 7)} | ({(weekday, -1)} if date.day + 7 > last else set())
        by_weekday = weekday in self.weekdays or bool(nth & self.nth_weekdays)
        if self.names_days and self.names_weekdays:
            return by_day or by_weekday
        return by_day and by_weekday


def parse_cron(text: str) -> Cron:
    """Read a cron expression of five fields, or an alias such as ``@daily``.

    Raises:
        DagbookError: it is none; the text names the field and what it takes.
    """
    expression = ALIASES.get(text.strip().lower(), text)
    fields = expression.split()
    if text.strip().startswith("@") and expression is text:
        raise DagbookError(f"`{text}` is no schedule. Known: {', '.join(ALIASES)}")
    if len(fields) != 5:
        raise DagbookError(
            f"cron `{text}` has {len(fields)} fields, it takes five: minute, hour, day of the "
            "month, month, day of the week"
        )
    minute, hour, day, month, weekday = (part.lower() for part in fields)
    day_parts = [part for part in day.split(",") if part != "l"]
    nth = _nth_weekdays(text, weekday)
    weekday_parts = [part for part in weekday.split(",") if "#" not in part and part[:1] != "l"]
    cron = Cron(
        text=" ".join(fields),
        minutes=_values(text, _MINUTE, minute.split(",")),
        hours=_values(text, _HOUR, hour.split(",")),
        days=_values(text, _DAY, day_parts) if day_parts else frozenset(),
        months=_values(text, _MONTH, month.split(",")),
        weekdays=_values(text, _WEEKDAY, weekday_parts) if weekday_parts else frozenset(),
        nth_weekdays=nth,
        last_day="l" in day.split(","),
    )
    if nth and cron.names_days:
        raise DagbookError(
            f"cron `{text}` names days of the month and a weekday by its number: name one of them"
        )
    if not _ever_comes(cron):
        raise DagbookError(f"cron `{text}` never comes due: no month in it has such a day")
    return cron


def ticks(cron: Cron, zone: ZoneInfo, after: datetime.datetime) -> Iterator[datetime.datetime]:
    """The times at which it comes due, later than ``after``, in order.

    When clocks go forward, a time that does not exist moves to the moment they do; when they go
    back, a time that comes twice counts the second time. A cron for every hour keeps running
    every hour through both. Dagster's scheduler does the same where clocks change between one
    and four in the morning.
    """
    date = after.astimezone(zone).date() - datetime.timedelta(days=1)
    # Timestamps, because times of one zone compare by the clock on the wall.
    latest = after.timestamp()
    for _ in range(_LONGEST_GAP_DAYS):
        if cron.falls_on(date):
            for tick in _ticks_on(date, cron, zone):
                if tick.timestamp() > latest:
                    yield tick
                    latest = tick.timestamp()
        date += datetime.timedelta(days=1)


def next_ticks(
    cron: str | Cron, zone: ZoneInfo, count: int, after: datetime.datetime | None = None
) -> list[datetime.datetime]:
    """The next times a cron comes due, from now unless ``after`` says otherwise."""
    parsed = parse_cron(cron) if isinstance(cron, str) else cron
    start = after or datetime.datetime.now(datetime.UTC)
    found: list[datetime.datetime] = []
    while len(found) < count:
        tick = next(ticks(parsed, zone, found[-1] if found else start), None)
        if tick is None:
            break
        found.append(tick)
    return found


def _ticks_on(date: datetime.date, cron: Cron, zone: ZoneInfo) -> list[datetime.datetime]:
    found = set()
    for hour in cron.hours:
        for minute in cron.minutes:
            local = datetime.datetime.combine(date, datetime.time(hour, minute), zone)
            found |= _instants(local, every_hour=cron.every_hour)
    return sorted((tick.astimezone(zone) for tick in found), key=datetime.datetime.timestamp)


def _instants(local: datetime.datetime, *, every_hour: bool) -> set[datetime.datetime]:
    first, second = (local.replace(fold=fold).astimezone(datetime.UTC) for fold in (0, 1))
    if first == second:
        return {first}
    if first < second:  # the clock shows this time twice
        return {first, second} if every_hour else {second}
    if every_hour:  # the clock never shows this time
        return set()
    while not _exists(local):
        local += datetime.timedelta(minutes=1)
    return {local.astimezone(datetime.UTC)}


def _exists(local: datetime.datetime) -> bool:
    back = local.astimezone(datetime.UTC).astimezone(local.tzinfo)
    return back.replace(tzinfo=None) == local.replace(tzinfo=None)


def _ever_comes(cron: Cron) -> bool:
    if cron.last_day or not cron.days:
        return True
    longest = {month: calendar.monthrange(2024, month)[1] for month in cron.months}
    return any(min(cron.days) <= days for days in longest.values())


def _values(text: str, field: _Field, parts: list[str]) -> frozenset[int]:
    found: set[int] = set()
    for part in parts:
        match = re.fullmatch(r"(\*|[a-z0-9]+)(?:-([a-z0-9]+))?(?:/(\d+))?", part)
        if match is None or (match[1] == "*" and match[2]) or match[3] == "0":
            raise _wrong(text, field, part)
        step = int(match[3] or 1)
        low = field.low if match[1] == "*" else _number(text, field, match[1])
        if match[2]:
            # `1-7` is a whole week, not one that runs back to the Sunday before it.
            high = 7 if field is _WEEKDAY and match[2] == "7" else _number(text, field, match[2])
        else:
            high = field.high if match[3] or match[1] == "*" else low
        size = field.high - field.low + 1
        if (match[2] and low == high) or (match[3] and low >= high):
            raise DagbookError(
                f"cron `{text}`: `{part}` means different things to different readers: name the "
                "values one by one"
            )
        span = range(low, high + 1 if low <= high else high + 1 + size)  # `fri-mon`, `22-2`
        found |= {(value - field.low) % size + field.low for value in span[::step]}
    return frozenset(found)


def _number(text: str, field: _Field, word: str) -> int:
    if word in field.names:
        return field.names.index(word) + field.low
    if word.isdigit():
        number = int(word)
        if field.low <= number <= field.high:
            return number
        if field is _WEEKDAY and number == 7:
            return 0
    raise _wrong(text, field, word)


def _nth_weekdays(text: str, field: str) -> frozenset[tuple[int, int]]:
    found = set()
    for part in field.split(","):
        if match := re.fullmatch(r"([a-z0-9]+)#([1-5])", part):
            found.add((_number(text, _WEEKDAY, match[1]), int(match[2])))
        elif match := re.fullmatch(r"l([a-z0-9]+)", part):
            found.add((_number(text, _WEEKDAY, match[1]), -1))
        elif "#" in part or part == "l":
            raise _wrong(text, _WEEKDAY, part)
    return frozenset(found)


def _wrong(text: str, field: _Field, part: str) -> DagbookError:
    names = f" or {field.names[0]}-{field.names[-1]}" if field.names else ""
    return DagbookError(
        f"cron `{text}`: `{part}` is no {field.name}, which is {field.low}-{field.high}{names}"
    )
