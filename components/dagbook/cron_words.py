"""Cron expressions in words: ``0 6 * * 1-5`` is ``Every weekday at 06:00``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dagbook.cron import MONTHS, WEEKDAYS, Cron, parse_cron


def describe(cron: str) -> str:
    """Say a cron expression in words: ``0 6 * * *`` is ``Every day at 06:00``.

    Raises:
        DagbookError: it is no cron expression.
    """
    parsed = parse_cron(cron)
    times, days, months = _times_in_words(parsed), _days_in_words(parsed), _months_in_words(parsed)
    if times.startswith("at "):
        words = f"{days or 'every day'}{months} {times}"
    else:
        words = ", ".join(part for part in (times, (days + months).strip()) if part)
    return words[0].upper() + words[1:]


def _times_in_words(cron: Cron) -> str:
    minute_field, hour_field = cron.text.split()[:2]
    minutes, hours = sorted(cron.minutes), sorted(cron.hours)
    every_hours = _step(hour_field)
    if len(minutes) * len(hours) <= 6 and not (every_hours and len(minutes) == 1):
        clock = [f"{hour:02d}:{minute:02d}" for hour in hours for minute in minutes]
        return f"at {_listed(clock)}"
    if minute_field == "*":
        often = "every minute"
    elif step := _step(minute_field):
        often = f"every {step} minutes"
    else:
        past = _listed([f":{minute:02d}" for minute in minutes])
        if hour_field == "*":
            return f"every hour at {past}"
        if every_hours:
            return f"every {every_hours} hours at {past}"
        return f"at {past} of the hours {_listed(_ranges(hours, '{:02d}'))}"
    if hour_field == "*":
        return often
    if every_hours:
        return f"{often} of every {_ordinal(every_hours)} hour"
    return f"{often} in the hours {_listed(_ranges(hours, '{:02d}'))}"


def _days_in_words(cron: Cron) -> str:
    parts = []
    if cron.names_days:
        days = [_ordinal(day) for day in sorted(cron.days)]
        if len(days) > 6:
            days = [f"days {_listed(_ranges(sorted(cron.days)))}"]
        days += ["last day"] * cron.last_day
        each = "every year" if cron.names_months else "every month"
        parts.append(f"{each} on the {_listed(days)}")
    if cron.weekdays and cron.names_weekdays:
        if cron.weekdays == {1, 2, 3, 4, 5}:
            named = ["weekday"]
        else:
            named = [WEEKDAYS[day] for day in sorted(cron.weekdays, key=lambda day: (day - 1) % 7)]
        parts.append(f"every {_listed(named)}")
    for weekday, which in sorted(cron.nth_weekdays):
        number = "last" if which < 0 else _ordinal(which)
        parts.append(f"every month on the {number} {WEEKDAYS[weekday]}")
    return " and ".join(parts)


def _months_in_words(cron: Cron) -> str:
    if not cron.names_months:
        return ""
    preposition = "of" if cron.names_days and not cron.names_weekdays else "in"
    names = [MONTHS[month - 1] for month in sorted(cron.months)]
    return f" {preposition} {_listed(names)}"


def _step(field: str) -> int | None:
    match = re.fullmatch(r"\*/(\d+)", field)
    return int(match[1]) if match and int(match[1]) > 1 else None


def _ranges(values: Sequence[int], form: str = "{}") -> list[str]:
    found: list[list[int]] = []
    for value in values:
        if found and value == found[-1][-1] + 1:
            found[-1].append(value)
        else:
            found.append([value])
    return [
        form.format(run[0]) if len(run) == 1 else f"{form.format(run[0])}-{form.format(run[-1])}"
        for run in found
    ]


def _listed(words: Iterable[str]) -> str:
    *front, last = words
    return f"{', '.join(front)} and {last}" if front else last


def _ordinal(number: int) -> str:
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if number in (11, 12, 13) else ending}"
