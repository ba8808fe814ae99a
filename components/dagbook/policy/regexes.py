"""Regular expressions of the platform file, held against texts that anybody may have written."""

from __future__ import annotations

import functools
import re
import warnings

#: Longer texts are not held against a regular expression: it would take too long.
LONGEST_TEXT = 2000

_FOREVER = (
    "repeats a group that itself repeats or chooses, which on some texts takes forever: write one "
    "more + behind the repeat, as in (/[a-z]+)*+"
)


def regex_problem(pattern: str) -> str | None:
    """Why a regular expression cannot be used; None when it can."""
    try:
        with warnings.catch_warnings():
            # What a later Python will read differently is better written differently now.
            warnings.simplefilter("error")
            re.compile(pattern)
    except (re.error, RecursionError, OverflowError, Warning) as error:
        return f"is no regular expression: {error}"
    return _FOREVER if _takes_forever(pattern) else None


def regex_fault(pattern: str, text: str) -> str | None:
    """What keeps the whole of a text from fitting a regular expression; None when it fits."""
    if len(text) > LONGEST_TEXT:
        return f"longer than {LONGEST_TEXT:,} characters"
    if _compiled(pattern).fullmatch(text) is None:
        return f"{text[:60]!r}, which is not of the form wanted here"
    return None


@functools.lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


_TOKEN = re.compile(
    r"""
    (?P<literal> \\. | \[\^?\]?(?:\\.|[^\]\\])*\] )
    | (?P<comment> \(\?\#[^)]*\) )
    | (?P<open> \(
        (?: \? (?: (?P<atomic> > ) | [:=!] | <[=!] | P<\w+> | P=\w+ | \(\w+\) | [a-zA-Z-]+:? ) )? )
    | (?P<close> \) )
    | (?P<either> \| )
    | (?P<repeat> (?: [*+?] | \{(?P<least>\d*)(?P<most>,\d*)?\} ) (?P<mode> [+?]? ) )
    | (?P<other> . )
    """,
    re.X | re.S,
)


def _takes_forever(pattern: str) -> bool:
    """Whether a repeated group could match the same text in more than one way.

    Rough: it takes no look at what the parts match. A possessive repeat or an atomic group tries
    one way only.
    """
    # Of each open group: whether something in it varies, and whether it is atomic.
    open_groups: list[list[bool]] = [[False, False]]
    varies = False  # whether the part right before is a group in which something varies
    for token in _TOKEN.finditer(pattern):
        kind, text = token.lastgroup, token.group()
        if token["open"]:
            open_groups.append([False, token["atomic"] is not None])
            varies = False
        elif token["close"] and len(open_groups) > 1:
            inside, atomic = open_groups.pop()
            varies = inside and not atomic
            open_groups[-1][0] |= varies
        elif token["repeat"] and text not in ("{}", "{,}"):
            possessive = token["mode"] == "+"
            if varies and not possessive and not text.startswith("?") and _many(token):
                return True
            fixed = text.startswith("{") and token["most"] is None
            open_groups[-1][0] |= not (possessive or fixed)
            varies = False
        else:
            open_groups[-1][0] |= kind == "either"
            varies = False
    return False


def _many(token: re.Match[str]) -> bool:
    if token["least"] is None:
        return True
    most = token["least"] if token["most"] is None else token["most"][1:]
    return most == "" or int(most) > 1
