"""The first line of a cell, where a role may be written: finding it in every language."""

from __future__ import annotations

import re
from functools import lru_cache
from keyword import iskeyword
from typing import NamedTuple

ROLE_WORDS = ("parameters", "skip", "metrics", "check", "result")

_LANGUAGES_BY_COMMENT = {
    ("#",): "python R bash julia ruby perl powershell elixir nim",
    ("//",): "scala c# f# java javascript typescript rust go c c++ kotlin groovy swift php dart",
    ("--",): "sql haskell lua ada elm",
    ("%", "#"): "matlab octave",
    ("%",): "prolog erlang latex",
    (";",): "clojure scheme racket lisp",
    ("!",): "fortran",
}
_COMMENTS = {
    language: prefixes
    for prefixes, languages in _LANGUAGES_BY_COMMENT.items()
    for language in languages.split()
}
_ANY_COMMENT = ("#", "//", "--", "%", ";")


class RoleLine(NamedTuple):
    """A first line that is ours. `number` counts from 0, `words` is what follows `dagster`.

    Options alone are no words: they say what is to be done with the settings below.
    """

    number: int
    words: str
    is_magic: bool


def comment_prefix(language: str) -> str:
    """How a line comment begins in `language`; ``#`` where it is not known."""
    return _COMMENTS.get(language, _ANY_COMMENT)[0]


def find_role_line(source: str, language: str) -> RoleLine | None:
    """Find the line of a cell that states its role: only its first line that is not blank."""
    if "agster" not in source:
        return None
    for number, raw in enumerate(source.split("\n")):
        line = raw.strip()
        if not line:
            continue
        if line.startswith("%%dagster") and (len(line) == 9 or line[9].isspace()):
            words = _without_comment(line[9:], language)
            # `%%dagster --save` is about the settings below it.
            return RoleLine(number, "" if words.startswith("--") else words, is_magic=True)
        match = _role_comment(language).match(line)
        if match is None:
            return None
        words = _without_comment(match[2], language)
        if match[1] == "Dagster" and words.partition(" ")[0] not in ROLE_WORDS:
            return None  # a sentence that happens to begin with the product's name
        return RoleLine(number, words, is_magic=False)
    return None


@lru_cache(maxsize=32)
def _role_comment(language: str) -> re.Pattern[str]:
    prefixes = "|".join(re.escape(prefix) for prefix in _COMMENTS.get(language, _ANY_COMMENT))
    return re.compile(rf"(?:{prefixes})+[ \t]*([dD]agster):(.*)")


def _without_comment(words: str, language: str) -> str:
    for prefix in _COMMENTS.get(language, _ANY_COMMENT):
        if prefix != "--":  # opens an option here, whatever the language says
            words = re.split(rf"(?:^|\s){re.escape(prefix)}", words, maxsplit=1)[0]
    return words.strip()


# Types a parameter is annotated with: below a bare `%%dagster` they are forgotten Python.
_TYPES = re.compile(r"(?:int|float|str|bool|list|dict|date|datetime|Any|None|Literal)\b")
_KEY = re.compile(r"([A-Za-z_][\w.\-]*)[ \t]*:(?:[ \t]+(.*))?$")


def settings_below(source: str, number: int) -> str | None:
    """The YAML under a bare `%%dagster` on line `number`; None when what follows is code."""
    text = "\n".join(source.split("\n")[number + 1 :])
    lines = [line.rstrip() for line in text.split("\n")]
    # YAML continues a value by indenting it, or by a list or bracket at the margin.
    top = [line for line in lines if line and line[0] not in " \t#-]}"]
    pairs = [_KEY.match(line) for line in top]
    if not pairs or any(pair is None or iskeyword(pair[1]) for pair in pairs):
        return None
    if all(pair is not None and pair[2] and _TYPES.match(pair[2]) for pair in pairs):
        return None
    return text
