"""A text as it reads once every way of writing a letter otherwise is undone.

What a value goes through on its way into an output (JSON, a URL, HTML, a `repr`, a terminal's
colours, a line that is wrapped) changes how its letters are written, one by one and often twice.
So instead of every form of a value in a text, the value itself is looked for in the text's view.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable

#: So often one is undone inside another: JSON in a string in JSON in a URL.
_ROUNDS = 4
_GAP = re.compile(
    r"[\r\n][\r\n \t]*"  # a wrapped line, indented or not
    r"|\x00+"  # every second byte of UTF-16
    r"|\x1b\[[0-?]*[ -/]*[@-~]"  # colours
    r"|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)"  # a terminal's title, a link
    r"|\x1b[@-Z^_]"
)
#: The same of a text with nothing else, which is most of them: many times as fast.
_LINE_END = re.compile(r"\n[\n \t]*")
_ERASED = re.compile("[^\x08]\x08")
_ESCAPE = re.compile(
    r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2})|([0-7]{3})|([^uUx0-7]))"
    r"|%([0-9a-fA-F]{2})"
    r"|&(?:#([0-9]{1,7})|#[xX]([0-9a-fA-F]{1,6})|([A-Za-z][A-Za-z0-9]{1,31}));",
    re.DOTALL,
)
#: What may be the beginning of one of them, at the very end of a text.
_UNFINISHED = re.compile(
    r"(?:\\(?:u[0-9a-fA-F]{0,3}|U[0-9a-fA-F]{0,7}|x[0-9a-fA-F]?|[0-7]{1,2})?"
    r"|%[0-9a-fA-F]?"
    r"|&(?:\#(?:[0-9]{0,7}|[xX][0-9a-fA-F]{0,6})|[A-Za-z][A-Za-z0-9]{0,31})?"
    r"|\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]{0,200}\x1b?)?)\Z"
)
_LONGEST_UNFINISHED = 210
_BASES = (16, 16, 16, 8, 0, 16, 10, 16)
_NAMED = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}
_BACKSLASHED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f", "v": "\v", "a": "\a"}


def view_of(text: str) -> str:
    """The view of a text, without the places where its letters stand."""
    return views_of(text)[-1]


def views_of(text: str) -> list[str]:
    """The views of a text, each with one more round undone; the last is *the* view.

    Each counts: what stands before a value may make it read otherwise in the next one.
    """
    views = [_without_gaps(text)]
    while _has_escapes(views[-1]) and len(views) <= _ROUNDS:
        undone = _ESCAPE.sub(_written, views[-1])
        if undone == views[-1]:
            break
        views.append(_without_gaps(undone))
    return views


def _without_gaps(text: str) -> str:
    if "\r" not in text and not _has_odd_gaps(text):
        return _LINE_END.sub("", text) if "\n" in text else text
    text = _GAP.sub("", text)
    if "\x08" in text:
        while "\x08" in text and (shown := _ERASED.sub("", text)) != text:
            text = shown
    return text


def reads_as_written(text: str) -> bool:
    """Whether nothing in a text is undone but the ends of its lines."""
    return not (_has_escapes(text) or _has_odd_gaps(text))


class Places:
    """A view of a text, and where in the text each of its letters stands."""

    def __init__(self, text: str, rounds: int = _ROUNDS) -> None:
        """`rounds`: after how many escapes were undone, as many as `views_of` gives views less 1."""
        self.view = text
        # Of each step: where stretches left as they were begin, after it and before it.
        self._steps: list[tuple[list[int], list[int], list[int]]] = []
        self._undo_gaps()
        for _ in range(rounds):
            before = self.view
            if _has_escapes(before):
                self._step(_ESCAPE, _written)
            if self.view == before:
                break
            self._undo_gaps()

    def _undo_gaps(self) -> None:
        if _has_gaps(self.view):
            self._step(_GAP, lambda _: "")
            before = ""
            while "\x08" in self.view and self.view != before:
                before = self.view
                self._step(_ERASED, lambda _: "")

    def _step(self, pattern: re.Pattern[str], replaced: Callable[[re.Match[str]], str]) -> None:
        pieces: list[str] = []
        after, start, end = [0], [0], [0]
        at = size = 0
        for found in pattern.finditer(self.view):
            new = replaced(found)
            if new == found[0]:
                continue  # it is none, and its letters are themselves
            literal = self.view[at : found.start()]
            pieces += literal, new
            size += len(literal)
            at = found.end()
            if new:
                # The letter that is written so takes all of it.
                after.append(size)
                start.append(found.start())
                end.append(at)
                size += len(new)
            after.append(size)
            start.append(at)
            end.append(at)
        if pieces:
            pieces.append(self.view[at:])
            self.view = "".join(pieces)
            self._steps.append((after, start, end))

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Where in the text what stands between `start` and `end` of the view is written."""
        last = end - 1
        for after, begins, ends in reversed(self._steps):
            at = bisect_right(after, start) - 1
            start = begins[at] if ends[at] != begins[at] else begins[at] + start - after[at]
            at = bisect_right(after, last) - 1
            last = ends[at] - 1 if ends[at] != begins[at] else begins[at] + last - after[at]
        return start, last + 1


def unfinished(text: str) -> int:
    """From where on a text ends in what may be the beginning of a letter; else its length."""
    end = len(text)
    tail = text[-_LONGEST_UNFINISHED:]
    if _has_escapes(tail) or "\x1b" in tail:
        # What is not finished may itself be the end of what began before it.
        while found := _UNFINISHED.search(tail):
            end -= len(found[0])
            tail = tail[: found.start()]
    return end


# Each letter by itself: much faster than a pattern or a loop.
def _has_gaps(text: str) -> bool:
    return "\n" in text or "\r" in text or _has_odd_gaps(text)


def _has_odd_gaps(text: str) -> bool:
    return "\x1b" in text or "\x00" in text or "\x08" in text


def _has_escapes(text: str) -> bool:
    return "\\" in text or "%" in text or "&" in text


def _written(found: re.Match[str]) -> str:
    """The letter that an escape stands for; the escape itself when it is none."""
    number = found.lastindex or 0
    what = found[number]
    if number == 5:
        return _BACKSLASHED.get(what, what)
    if number == 9:
        return _named(what) or found[0]
    code = int(what, _BASES[number - 1])
    return chr(code) if code < 0x110000 else found[0]


def _named(name: str) -> str | None:
    if name in _NAMED:
        return _NAMED[name]
    from html.entities import html5  # not for the five that programs write

    letter = html5.get(f"{name};")
    return letter if letter is not None and len(letter) == 1 else None
