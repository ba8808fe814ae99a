"""Patterns of paths inside a project, and whether a path fits one.

``*`` and ``?`` stay inside one folder, ``**`` goes through any number of them. A pattern that ends
without ``*`` names a file or a folder with all that lies below it.
"""

from __future__ import annotations

import functools
import re


def fits(pattern: str, path: str) -> bool:
    """Whether a path, relative to the project and with forward slashes, fits a pattern.

    A path that goes upward (``..``) or begins at the root fits none.
    """
    if path.startswith("/") or ".." in path.split("/"):
        return False
    return matches(pattern, path)


def matches(pattern: str, text: str) -> bool:
    """Whether the whole of a text with slashes, such as an address, fits a pattern."""
    return _compiled(pattern).match(text) is not None


def path_pattern_problem(pattern: str) -> str | None:
    """What is wrong with a pattern of paths; None when nothing is."""
    parts = pattern.removesuffix("/").split("/")
    if pattern.startswith("/"):
        return f"{pattern!r} begins at the root: write it relative to the project"
    if ".." in parts or "." in parts or "" in parts:
        return f"{pattern!r} is no pattern of paths: write folders with single slashes, no . or .."
    if any("**" in part and part != "**" for part in parts):
        return f"{pattern!r}: ** stands alone between slashes, as in models/**"
    return None


@functools.lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    # Each piece up to the next star is taken where it first fits, for good (`(?>…)`): exact for
    # such patterns, and no path, however odd, makes it try more than its length.
    parts = pattern.removesuffix("/").split("/")
    below = "*" not in parts[-1]
    runs: list[list[str]] = [[]]
    for part in parts:
        if part == "**":
            runs.append([])
        else:
            runs[-1].append(_segment(part))
    if len(runs) == 1:
        return re.compile(_joined(runs[0]) + _end(below), re.DOTALL)
    text = "".join(f"{piece}/" for piece in runs[0])
    for run in runs[1:-1]:
        if run:
            text += "(?>(?:[^/]+/)*?" + "".join(f"{piece}/" for piece in run) + ")"
    last = runs[-1]
    text += "(?:[^/]+/)*" + _joined(last) + _end(below) if last else ".+\\Z"
    return re.compile(text, re.DOTALL)


def _joined(pieces: list[str]) -> str:
    return "/".join(pieces)


def _end(below: bool) -> str:
    return r"(?:/.*)?\Z" if below else r"\Z"


def _segment(part: str) -> str:
    pieces = [
        "".join("[^/]" if character == "?" else re.escape(character) for character in piece)
        for piece in re.split(r"\*+", part)
    ]
    if len(pieces) == 1:
        return pieces[0]
    # The last piece must end the segment: what is left over goes to the star before it.
    inner = "".join(f"(?>[^/]*?{piece})" for piece in pieces[1:-1] if piece)
    return f"{pieces[0]}{inner}[^/]*{pieces[-1]}(?=/|\\Z)"
