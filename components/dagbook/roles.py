"""A cell's role: what the cell is for in production, by tag or by its first line.

Three ways to write the same thing, all read statically::

    tag            check-warn:rows_positive
    first line     # dagster: check rows_positive --warn
    first line     %%dagster check rows_positive --warn
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from keyword import iskeyword
from typing import NamedTuple

from dagbook.errors import DagbookError, did_you_mean
from dagbook.first_line import (
    ROLE_WORDS,
    RoleLine,
    comment_prefix,
    find_role_line,
    settings_below,
)


class RoleKind(StrEnum):
    """What a cell can be for."""

    PARAMETERS = "parameters"
    SKIP = "skip"
    METRICS = "metrics"
    CHECK = "check"
    RESULT = "result"


@dataclass(frozen=True)
class Role:
    """One role; its text is the tag that says it. `warn` marks a check that is only noted."""

    kind: RoleKind
    name: str | None = None
    warn: bool = False

    def __str__(self) -> str:
        head = "check-warn" if self.warn else str(self.kind)
        return head if self.name is None else f"{head}:{self.name}"

    @property
    def slug(self) -> str | None:
        """The name as Dagster takes it: everything but ``A-Z a-z 0-9 _`` becomes ``_``."""
        return None if self.name is None else re.sub(r"[^A-Za-z0-9_]", "_", self.name)


class CellRoles(NamedTuple):
    """What one cell's tags and first line say. `role` governs how the cell is run."""

    role: Role | None = None
    results: tuple[str, ...] = ()
    settings: str | None = None
    notes: tuple[str, ...] = ()


_KINDS = {
    **{word: RoleKind(word) for word in ROLE_WORDS},
    "skip-execution": RoleKind.SKIP,  # nbclient's word for it
    "check-warn": RoleKind.CHECK,
}
_NAMED = (RoleKind.CHECK, RoleKind.RESULT)
_CHECK_NAME = re.compile(r"[\w.\-]*\w[\w.\-]*")
_R_VARIABLE = re.compile(r"[^\W\d_][\w.]*|\.(?:[^\W\d][\w.]*)?")


def is_variable(name: str, language: str) -> bool:
    """Whether `name` can be a variable's name, so that nothing else hides in it."""
    if language == "R":
        return _R_VARIABLE.fullmatch(name) is not None
    return name.isidentifier() and not (language == "python" and iskeyword(name))


def read_roles(source: str, tags: Sequence[str], *, language: str, where: str) -> CellRoles:
    """Read what a code cell is for from its tags and its first line.

    Tags of other tools are left alone; one that comes close to a role is noted.

    Args:
        source: the cell's text as its author wrote it.
        tags: the cell's tags.
        language: the notebook's language, for its comments and variable names.
        where: the notebook and cell as errors name them, ``churn.ipynb, cell 3``.

    Raises:
        DagbookError: a role that is misspelt, lacks its name, or contradicts another one.
    """
    by_tag = [role for tag in tags if (role := _role_of_tag(tag, language, where)) is not None]
    line = find_role_line(source, language)
    by_text: list[Role] = []
    settings = None
    if line is not None:
        opening = "%%dagster" if line.is_magic else f"{comment_prefix(language)} dagster:"
        if line.words:
            by_text = [
                _role_of_phrase(phrase, opening, language, where)
                for phrase in line.words.split(",")
            ]
        else:
            settings = _settings(source, line, opening, where)
            by_text = [Role(RoleKind.SKIP)]
    role, results = _combined(by_tag, by_text, where)
    return CellRoles(role, results, settings, tuple(_notes(tags)))


def _role_of_tag(tag: str, language: str, where: str) -> Role | None:
    head, colon, name = tag.partition(":")
    kind = _KINDS.get(head)
    if kind is None or (kind in _NAMED) != bool(colon):
        return None
    return _role(head, name if colon else None, f"{head}:NAME", language, where)


def _notes(tags: Sequence[str]) -> list[str]:
    """What to say about tags that come close to a role without being one."""
    notes = []
    for tag in tags:
        head, colon, _ = tag.partition(":")
        kind = _KINDS.get(head)
        if kind is not None and (kind in _NAMED) == bool(colon):
            continue
        meant = _near_role(head)
        if meant is not None:
            notes.append(
                f"the tag `{_shown(tag)}` is no role and is left alone; if it is meant as one, "
                f"write `{meant}`"
            )
    return notes


@lru_cache(maxsize=256)
def _near_role(head: str) -> str | None:
    """The role that another tool's tag comes suspiciously close to, as its tag is written."""
    import difflib

    near = difflib.get_close_matches(head.strip().lower(), _KINDS, n=1, cutoff=0.8)
    if not near:
        return None
    return f"{near[0]}:NAME" if _KINDS[near[0]] in _NAMED else near[0]


def _role_of_phrase(phrase: str, opening: str, language: str, where: str) -> Role:
    """Read `check rows_positive --warn`; the tag's spelling, `check:rows`, is understood too."""
    words = [word for word in phrase.split() if not word.startswith("--")]
    options = [word for word in phrase.split() if word.startswith("--")]
    head, _, name = (words.pop(0) if words else "").partition(":")
    names = [name, *words] if name else words
    kind = _KINDS.get(head)
    if kind is None:
        said = f"`{_shown(head)}` is not a role" if head else f"`{opening}` names no role"
        raise DagbookError(f"{where}: {said}. {did_you_mean(head, ROLE_WORDS)}")
    if len(names) > 1:
        raise DagbookError(
            f"{where}: `{_shown(names[1])}` does not belong behind "
            f"`{opening} {head} {_shown(names[0])}`; "
            "a second role is set off by a comma."
        )
    role = _role(head, names[0] if names else None, f"{opening} {head} NAME", language, where)
    for option in options:
        if kind is not RoleKind.CHECK:
            raise DagbookError(f"{where}: `{head}` takes no option; leave out `{_shown(option)}`.")
        if option != "--warn":
            raise DagbookError(
                f"{where}: `{head}` has no option `{_shown(option)}`. "
                f"{did_you_mean(option, ['--warn'])}"
            )
    return Role(role.kind, role.name, role.warn or bool(options))


def _role(head: str, name: str | None, form: str, language: str, where: str) -> Role:
    kind = _KINDS[head]
    if kind not in _NAMED:
        if name is not None:
            raise DagbookError(f"{where}: `{head}` takes no name; leave out `{_shown(name)}`.")
        return Role(kind)
    if not name:
        raise DagbookError(f"{where}: `{head}` needs a name: write `{form}`.")
    if kind is RoleKind.CHECK and not _CHECK_NAME.fullmatch(name):
        raise DagbookError(
            f"{where}: `{_shown(name)}` cannot be a check's name; use letters, digits, `_`, "
            "`-` and `.` without spaces."
        )
    if kind is RoleKind.RESULT and not is_variable(name, language):
        raise DagbookError(
            f"{where}: `{_shown(name)}` cannot be a result; name the variable whose value is "
            "to be kept."
        )
    return Role(kind, name, warn=head == "check-warn")


def _shown(word: str) -> str:
    """A word of the author's as one line of a message can hold it."""
    return "".join(sign if sign.isprintable() else "?" for sign in word)[:60]


def _settings(source: str, line: RoleLine, opening: str, where: str) -> str:
    settings = settings_below(source, line.number) if line.is_magic else None
    if settings is None:
        raise DagbookError(
            f"{where}: `{opening}` names no role. Which is it: {', '.join(ROLE_WORDS)}? "
            f"Write for example `{opening} skip`."
        )
    return settings


def _combined(
    by_tag: list[Role], by_text: list[Role], where: str
) -> tuple[Role | None, tuple[str, ...]]:
    """The role that governs and the results beside it, or the contradiction."""
    origin = dict.fromkeys(by_tag, "tag")
    for role in by_text:
        origin.setdefault(role, "first line")
    results = [role for role in origin if role.kind is RoleKind.RESULT]
    governing = [role for role in origin if role.kind is not RoleKind.RESULT]
    excluding = [role for role in governing if role.kind is not RoleKind.METRICS]
    if len(governing) > 1 or (excluding and results):
        first, second = (governing + results)[:2]
        raise DagbookError(
            f"{where}: has two roles, `{first}` (its {origin[first]}) and `{second}` (its "
            f"{origin[second]}). Keep one of them."
        )
    names = tuple(role.name for role in results if role.name is not None)
    return next(iter(governing + results), None), names
