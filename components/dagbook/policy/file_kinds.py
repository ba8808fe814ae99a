"""What may stand behind a key of the platform file: read with its place, described as a schema.

Each kind does both, so that what an editor is told is what is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Protocol

from dagbook.errors import did_you_mean
from dagbook.policy.units import BYTES_PATTERN, SECONDS_PATTERN, bytes_from, seconds_from
from dagbook.safe_yaml.parsing import Value
from dagbook.safe_yaml.rules import shown

Loc = tuple[str | int, ...]

#: What stands for a value that cannot be used; the reason is among the problems.
WRONG: Any = object()


@dataclass(frozen=True)
class Problem:
    """Something wrong in a platform file; line and column count from 1."""

    line: int
    column: int
    key: str
    text: str


@dataclass
class Reading:
    """What is known of a file while it is read.

    In the file of a package some keys have no effect, and are refused with the reason.
    """

    in_package: bool = False
    problems: list[Problem] = field(default_factory=list)
    places: dict[Loc, tuple[int, int]] = field(default_factory=dict)

    def wrong(self, at: Value, loc: Loc, text: str) -> Any:
        """Note what is wrong with a value and go on without it."""
        self._note(at.line, at.column, loc, text)
        return WRONG

    def wrong_at(self, loc: Loc, text: str) -> None:
        """Note what is wrong with something that was read before."""
        while loc not in self.places and loc:
            loc = loc[:-1]
        line, column = self.places.get(loc, (1, 1))
        self._note(line, column, loc, text)

    def _note(self, line: int, column: int, loc: Loc, text: str) -> None:
        # Nothing out of the file that a terminal would obey.
        text = "".join(c if c.isprintable() else "�" for c in text)
        key = dotted(tuple(shown(part) if isinstance(part, str) else part for part in loc))
        self.problems.append(Problem(line, column, key, text))


def dotted(loc: Loc) -> str:
    """A place as one text: ``approvals.0.until``."""
    return ".".join(map(str, loc))


class Kind(Protocol):
    """What a value has to be."""

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """The value as Python has it; WRONG, with a problem noted, where it cannot be used."""
        ...

    def schema(self) -> dict[str, Any]:
        """The same as JSON schema."""
        ...


@dataclass(frozen=True)
class Text:
    """A text, perhaps of a certain form."""

    pattern: str | None = None
    form: str = ""
    """What the pattern allows, in words"""
    choices: tuple[str, ...] | None = None
    longest: int = 1000

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take text only: a number or `yes` has to stand in quotes."""
        given = value.value
        if not isinstance(given, str):
            if isinstance(given, bool | int | float):
                return reading.wrong(
                    value, loc, f"text is wanted, not {given!r}: write it in quotes"
                )
            return reading.wrong(value, loc, f"text is wanted, not {named(value)}")
        if not given.strip():
            return reading.wrong(value, loc, "is empty: give a value or take the key out")
        if len(given) > self.longest:
            return reading.wrong(value, loc, f"is longer than {self.longest:,} characters")
        if self.choices is not None and given not in self.choices:
            words = f"{shown(given)!r} is not known. {did_you_mean(given, self.choices)}"
            return reading.wrong(value, loc, words)
        if self.pattern is not None and not re.fullmatch(self.pattern, given):
            return reading.wrong(value, loc, f"{shown(given)!r} cannot be used: {self.form}")
        return given

    def schema(self) -> dict[str, Any]:
        """A string."""
        if self.choices is not None:
            return {"enum": list(self.choices)}
        pattern = {} if self.pattern is None else {"pattern": f"^(?:{self.pattern})$"}
        return {"type": "string", "minLength": 1, "maxLength": self.longest, **pattern}


@dataclass(frozen=True)
class Number:
    """A number, perhaps a whole one, within bounds."""

    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    whole: bool = False

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take a finite number within the bounds."""
        given = value.value
        wanted = "a whole number" if self.whole else "a number"
        if isinstance(given, bool) or not isinstance(given, int if self.whole else int | float):
            return reading.wrong(value, loc, f"{wanted} is wanted, not {named(value)}")
        if not math.isfinite(given):
            return reading.wrong(value, loc, f"{wanted} is wanted, not {given}")
        if self.minimum is not None and given < self.minimum:
            return reading.wrong(value, loc, f"at least {self.minimum:g} is wanted, not {given}")
        if self.above is not None and given <= self.above:
            return reading.wrong(value, loc, f"more than {self.above:g} is wanted, not {given}")
        if self.maximum is not None and given > self.maximum:
            return reading.wrong(value, loc, f"at most {self.maximum:,.15g} is wanted, not {given}")
        return given if self.whole else float(given)

    def schema(self) -> dict[str, Any]:
        """A number or an integer."""
        bounds = {
            "minimum": self.minimum,
            "exclusiveMinimum": self.above,
            "maximum": self.maximum,
        }
        return {
            "type": "integer" if self.whole else "number",
            **{name: bound for name, bound in bounds.items() if bound is not None},
        }


@dataclass(frozen=True)
class Truth:
    """True or false."""

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take true and false, which YAML also reads from yes, no, on and off."""
        if not isinstance(value.value, bool):
            return reading.wrong(value, loc, f"true or false is wanted, not {named(value)}")
        return value.value

    def schema(self) -> dict[str, Any]:
        """A boolean."""
        return {"type": "boolean"}


@dataclass(frozen=True)
class Amount:
    """An amount with its unit: bytes or time."""

    of: Callable[[str], float]
    pattern: str
    example: str
    minimum: float
    least: str
    maximum: float
    most: str

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take a text with a unit; a bare number says nothing."""
        given = value.value
        if isinstance(given, int | float) and not isinstance(given, bool):
            return reading.wrong(value, loc, f"{given} has no unit: write it like {self.example}")
        if not isinstance(given, str):
            return reading.wrong(value, loc, f"{self.example} is wanted, not {named(value)}")
        try:
            amount = self.of(given)
        except ValueError:
            return reading.wrong(
                value, loc, f"{shown(given)!r} cannot be read: write it like {self.example}"
            )
        if amount < self.minimum:
            return reading.wrong(value, loc, f"at least {self.least} is wanted, not {shown(given)}")
        if amount > self.maximum:
            return reading.wrong(value, loc, f"at most {self.most} is wanted, not {shown(given)}")
        return amount

    def schema(self) -> dict[str, Any]:
        """A string of number and unit."""
        return {"type": "string", "pattern": self.pattern, "examples": [self.example]}


def memory(minimum: int, least: str, example: str) -> Amount:
    """An amount of memory or text in bytes."""
    return Amount(bytes_from, BYTES_PATTERN, example, minimum, least, 1024**5, "1024 TiB")


def time(minimum: float, least: str, example: str) -> Amount:
    """A span of time in seconds."""
    return Amount(seconds_from, SECONDS_PATTERN, example, minimum, least, 366 * 86400.0, "366 d")


@dataclass(frozen=True)
class Day:
    """A calendar day."""

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take YYYY-MM-DD, which YAML here leaves as text."""
        given = value.value
        try:
            if not isinstance(given, str) or not re.fullmatch(r"\d{4}-\d\d-\d\d", given):
                raise ValueError
            return date.fromisoformat(given)
        except ValueError:
            return reading.wrong(
                value, loc, f"a day is wanted, like 2026-12-31, not {named(value)}"
            )

    def schema(self) -> dict[str, Any]:
        """A date."""
        return {"type": "string", "format": "date", "pattern": r"^\d{4}-\d\d-\d\d$"}


@dataclass(frozen=True)
class Checked:
    """A text that something of its own is checked of: a pattern, a path."""

    problem: Callable[[str], str | None]
    examples: tuple[str, ...] = ()
    longest: int = 300

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take a text in which nothing is wrong."""
        given = Text(longest=self.longest).read(value, loc, reading)
        if given is WRONG:
            return WRONG
        problem = self.problem(given)
        return given if problem is None else reading.wrong(value, loc, problem)

    def schema(self) -> dict[str, Any]:
        """A string."""
        schema = Text(longest=self.longest).schema()
        return {**schema, "examples": list(self.examples)} if self.examples else schema


def named(value: Value) -> str:
    """A value as a message shows it: a text as it is, anything larger by its kind."""
    given = value.value
    if given is None:
        return "nothing"
    if isinstance(given, dict):
        return "names with values"
    if isinstance(given, list):
        return "a list"
    return repr(shown(given)) if isinstance(given, str) else shown(given)
