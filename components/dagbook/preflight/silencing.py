"""`# dagster-ok: RULE`: how an author says that a finding is known and fine.

Behind a statement or on the line above it, it is about that line; alone on the cell's first line
of code, about the whole cell. Without a rule, it is about every rule.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from dagbook.errors import did_you_mean
from dagbook.preflight.finding import NightFinding, Severity
from dagbook.preflight.reading import CodeCell, Reading

UNKNOWN_RULE = "unknown-rule"
_COMMENT = re.compile(r"(?:#|//|--|%|;)\s*dagster-ok\b(?:[ \t]*:[ \t]*(?P<rules>[\w\-, ]*))?")


class _Word(NamedTuple):
    """One such comment. `line` counts from 1; None is about the whole cell."""

    line: int | None
    at: int
    rules: tuple[str, ...]


def silenced(
    found: list[NightFinding], reading: Reading, known: Collection[str]
) -> Iterator[NightFinding]:
    """Leave out what an author said is fine, and tell of words that name no rule."""
    words = {code.index: tuple(_words(code)) for code in reading.cells if _has_word(code)}
    for finding in found:
        if not any(_covers(word, finding) for word in words.get(finding.cell, ())):
            yield finding
    for code in reading.cells:
        for word in words.get(code.index, ()):
            for rule in word.rules:
                if rule not in known:
                    text = f"`{rule}` is no rule. {did_you_mean(rule, known)}"
                    yield code.finding(UNKNOWN_RULE, Severity.MAY_SURPRISE, word.at, text)


def _has_word(code: CodeCell) -> bool:
    return "dagster-ok" in code.cell.source


def _words(code: CodeCell) -> Iterator[_Word]:
    is_first = True
    for number, line in enumerate(code.lines, 1):
        match = _COMMENT.search(line)
        if match is not None:
            rules = tuple((match["rules"] or "").replace(",", " ").split())
            alone = not line[: match.start()].strip()
            if alone and is_first:
                yield _Word(None, number, rules)
            else:
                yield _Word(number + 1 if alone else number, number, rules)
        stripped = line.strip()
        # A role's line and cell magics stand above what is said of the cell.
        if stripped and not stripped.startswith(("%%", "#")):
            is_first = False


def _covers(word: _Word, finding: NightFinding) -> bool:
    return word.line in (None, finding.line) and (not word.rules or finding.rule in word.rules)
