"""Schedules as people say them: ``weekdays 07:30`` becomes cron."""

from __future__ import annotations

import re

from dagbook.cron import WEEKDAYS, parse_cron
from dagbook.cron_words import describe
from dagbook.errors import DagbookError, did_you_mean

#: What is told when a schedule is not understood.
FORMS = (
    "hourly :15",
    "every 15 minutes",
    "daily 06:00",
    "weekdays 07:30",
    "mondays 06:00",
    "monthly 1 06:00",
    'cron such as "0 6 * * *"',
)

_FILLERS = {"at", "on", "the", "of", "and", "in", "a"}
_DAY_SETS = {
    "day": "*",
    "days": "*",
    "daily": "*",
    "weekday": "1-5",
    "weekdays": "1-5",
    "weekend": "0,6",
    "weekends": "0,6",
}
_DAY_NAMES = {
    form: number
    for number, name in enumerate(WEEKDAYS)
    for form in (name.lower(), name.lower() + "s", name[:3].lower())
} | {"tues": 2, "thur": 4, "thurs": 4}
_UNITS = {"minute": "minutes", "minutes": "minutes", "min": "minutes", "mins": "minutes"} | {
    "hour": "hours",
    "hours": "hours",
    "h": "hours",
}
_VOCABULARY = (
    {"every", "hourly", "weekly", "monthly", "month", "last", "noon", "midnight"}
    | set(_DAY_SETS)
    | set(_DAY_NAMES)
    | set(_UNITS)
)


def parse_schedule(text: str) -> str:
    """Turn a schedule in words, or a cron expression, into cron.

    Understands ``daily 06:00``, ``every day at 6am``, ``weekdays 07:30``, ``hourly :15``, ``every
    15 minutes``, ``mondays and thursdays 6:00``, ``weekly mon 06:00``, ``monthly 1 06:00``,
    ``monthly last 18:00``, ``@daily`` and any cron of five fields.

    Raises:
        DagbookError: it is not understood; the text says which word, and lists the forms.
    """
    words = text.strip()
    if not words:
        raise DagbookError(f"no schedule given. {_forms()}")
    if words.startswith("@") or _looks_like_cron(words):
        return parse_cron(words).text
    cron = _Words(text).cron()
    return parse_cron(cron).text


def _looks_like_cron(text: str) -> bool:
    fields = text.split()
    return all(re.fullmatch(r"[\d*/,#a-zA-Z?-]+", field) for field in fields) and bool(
        re.fullmatch(r"[\d*/,-]+", fields[0])
        and len(fields) > 3
        and re.fullmatch(r"[\d*/,-]+", fields[1])
    )


class _Words:
    """One reading of a schedule in words: takes them one after the other."""

    def __init__(self, text: str) -> None:
        self.text = text
        spaced = re.sub(r"(\d)\s*([ap])\.?m\.?(?![a-z])", r"\1\2m", text.lower())
        tokens: list[str] = re.findall(r"[^\s,]+", spaced)
        self.tokens = [token for token in tokens if token not in _FILLERS]

    def cron(self) -> str:
        if self.tokens and self.tokens[0] in ("every", "each"):
            self.tokens.pop(0)
            if not self.tokens:
                raise self._refuse("every what")
            if self.tokens[0].isdigit():
                return self._every_so_often(int(self.tokens.pop(0)))
            if self.tokens[0] in _UNITS:
                return self._every_so_often(1)
        first = self.tokens[0] if self.tokens else ""
        if first == "hourly":
            self.tokens[0] = "hour"
            return self._every_so_often(1)
        if first in ("monthly", "month"):
            return self._monthly()
        return self._on_days()

    def _every_so_often(self, count: int) -> str:
        word = self._next("every how many minutes or hours")
        unit = _UNITS.get(word)
        if unit is None and word in _DAY_SETS | _DAY_NAMES.keys() | {"weeks", "months"}:
            raise self._refuse(f"cron cannot say every {count} {word}")
        if unit is None:
            raise self._unknown(word)
        whole = 60 if unit == "minutes" else 24
        if count != 1 and (not 0 < count <= whole // 2 or whole % count):
            even = ", ".join(str(n) for n in range(1, whole // 2 + 1) if whole % n == 0)
            raise self._refuse(f"every {count} {unit} does not come out even, use {even}")
        step = "*" if count == 1 else f"*/{count}"
        if unit == "minutes":
            self._end()
            return f"{step} * * * *"
        minute = 0
        if self.tokens:
            word = self.tokens.pop(0)
            match = re.fullmatch(r":?([0-5]?\d)", word)
            if match is None:
                raise self._unknown(word)
            minute = int(match[1])
        self._end()
        return f"{minute} {step} * * *"

    def _monthly(self) -> str:
        self.tokens.pop(0)
        days = []
        while self.tokens and (match := re.fullmatch(r"(\d+)(?:st|nd|rd|th|\.)?", self.tokens[0])):
            if not 1 <= int(match[1]) <= 31:
                raise self._refuse(f"{match[1]} is no day of a month")
            days.append(match[1])
            self.tokens.pop(0)
        if self.tokens and self.tokens[0] == "last":
            self.tokens.pop(0)
            days.append("L")
        if self.tokens and self.tokens[0] == "day":
            self.tokens.pop(0)
        minute, hours = self._times()
        return f"{minute} {hours} {','.join(days) or '1'} * *"

    def _on_days(self) -> str:
        weekly = bool(self.tokens) and self.tokens[0] == "weekly"
        if weekly:
            self.tokens.pop(0)
        days: list[str] = []
        while self.tokens and (found := self._days(self.tokens[0])):
            days.append(found)
            self.tokens.pop(0)
        if weekly and not days:
            raise self._refuse("on which day? For example `weekly mon 06:00`")
        if not days and (not self.tokens or _time(self.tokens[0]) is None):
            raise self._unknown(self.tokens[0] if self.tokens else self.text)
        if not days:
            raise self._refuse(f"on which days? For example `daily {self.tokens[0]}`")
        minute, hours = self._times()
        return f"{minute} {hours} * * {'*' if '*' in days else ','.join(days)}"

    def _days(self, token: str) -> str | None:
        if token in _DAY_SETS:
            return _DAY_SETS[token]
        if token in _DAY_NAMES:
            return f"{_DAY_NAMES[token]}"
        first, _, last = token.partition("-")
        if first in _DAY_NAMES and last in _DAY_NAMES:
            return f"{_DAY_NAMES[first]}-{_DAY_NAMES[last] or 7}"
        return None

    def _times(self) -> tuple[int, str]:
        times = []
        while self.tokens:
            time = _time(self.tokens[0])
            if time is None:
                raise self._unknown(self.tokens[0])
            times.append(time)
            self.tokens.pop(0)
        times = sorted(set(times)) or [(0, 0)]
        if len({minute for _, minute in times}) > 1:
            raise self._refuse("several times in one schedule must share their minutes")
        return times[0][1], ",".join(str(hour) for hour, _ in times)

    def _next(self, question: str) -> str:
        if not self.tokens:
            raise self._refuse(question)
        return self.tokens.pop(0)

    def _end(self) -> None:
        if self.tokens:
            raise self._unknown(self.tokens[0])

    def _unknown(self, word: str) -> DagbookError:
        if re.fullmatch(r"\d[\d:.apm]*", word):
            return self._refuse(f"`{word}` is no time of day, write it as 06:00")
        meant = did_you_mean(word, _VOCABULARY, limit=1)
        hint = meant.split(" Known:")[0] + " " if meant.startswith("Did") else ""
        return DagbookError(f"schedule `{self.text}`: `{word}` is not understood. {hint}{_forms()}")

    def _refuse(self, why: str) -> DagbookError:
        return DagbookError(f"schedule `{self.text}`: {why}. {_forms()}")


def _time(word: str) -> tuple[int, int] | None:
    if word in ("noon", "midnight"):
        return (12, 0) if word == "noon" else (0, 0)
    match = re.fullmatch(r"(\d{1,2})(?:[:.h](\d{2}))?h?(am|pm)?", word)
    if match is None:
        return None
    hour, minute = int(match[1]), int(match[2] or 0)
    if match[3]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if match[3] == "pm" else 0)
    return (hour, minute) if hour < 24 and minute < 60 else None


def _forms() -> str:
    return "Write " + ", ".join(f"`{form}`" for form in FORMS[:-1]) + f", or {FORMS[-1]}"


__all__ = ["FORMS", "describe", "parse_schedule"]
