"""Reads a message too large to be kept, without ever holding it more than once.

A kernel sends what a cell puts out in one message, however much it is: 200 MB of text would be in
memory four times over, as received, as bytes, as text, and as what JSON makes of it. What is kept
of a cell is known, so of such a message only both ends of its long texts are read, straight from
where it was received, and what was passed over is counted.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagbook.masking import Masker

#: In a message's content: how many bytes of it were passed over.
LEFT_OUT = "dagbook_left_out"
#: Frames up to this are read as they are.
LARGE_BYTES = 4_000_000
#: So deep a content is read name by name; below it, and of longer lists, a large value is left out.
_DEEPEST = 4
_LONGEST_LIST = 1000

# Possessive everywhere: nothing is tried twice, so neither time nor memory grows beyond the text.
_STRING = rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_FLAT = rb'(?:[^"{}\[\]]++|' + _STRING + rb")*+"
#: Whatever holds lists and objects three deep at most, as tables and records do.
_SHALLOW = _FLAT
for _ in range(3):
    _SHALLOW = (
        rb'(?:[^"{}\[\]]++|' + _STRING + rb"|\[" + _SHALLOW + rb"\]|\{" + _SHALLOW + rb"\})*+"
    )
_PASSED_OVER = re.compile(_SHALLOW, re.DOTALL)
_WHOLE_STRING = re.compile(_STRING, re.DOTALL)
_SCALAR = re.compile(rb"[^\s,\]}]++")
_SPACE = re.compile(rb"\s*+")


def read_large(
    content: bytes | memoryview, keep: int, masker: Masker | None = None
) -> dict[str, Any]:
    """What is wanted of a large JSON object: each long text with both its ends.

    Args:
        content: the object as received.
        keep: how many bytes of each end. A cap of at most so many applied to a text read so cuts
            out the place where the ends meet.
        masker: the values it knows are masked where a text is cut, also one that the cut goes
            through.

    Raises:
        ValueError: it is not a JSON object.
    """
    view = memoryview(content)
    reader = _Reader(view, keep, masker)
    start = reader.after_space(0)
    if bytes(view[start : start + 1]) != b"{":
        raise ValueError("not a JSON object")
    read: dict[str, Any] = reader.value(start, reader.end_of(start), 0)
    if reader.left_out:
        read[LEFT_OUT] = reader.left_out
    return read


class _Reader:
    def __init__(self, data: memoryview, keep: int, masker: Masker | None) -> None:
        self.data = data
        self.keep = keep
        self.masker = masker
        # So much more is looked at, for a value that the cut goes through.
        self.reach = masker.reach if masker else 0
        self.left_out = 0
        # Many values of a fair size are a large one too.
        self.room = max(LARGE_BYTES, 4 * keep)

    def value(self, start: int, end: int, depth: int) -> Any:
        """Read the value between `start` and `end`."""
        size = end - start
        if size <= min(2 * self.keep, self.room):
            self.room -= size
            return json.loads(bytes(self.data[start:end]))
        first = self.data[start]
        if first == ord('"'):
            return self._text(start, end)
        if first == ord("{") and depth < _DEEPEST:
            return self._object(start + 1, depth)
        if first == ord("[") and depth < _DEEPEST:
            return self._list(start + 1, end, depth)
        self.left_out += size
        return None

    def _object(self, at: int, depth: int) -> dict[str, Any]:
        read: dict[str, Any] = {}
        while self.data[at := self.after_space(at)] != ord("}"):
            if self.data[at] == ord(","):
                at = self.after_space(at + 1)
            name_end = self.end_of(at)
            name = json.loads(bytes(self.data[at:name_end]))
            start = self.after_space(self.after_space(name_end) + 1)  # after the colon
            at = self.end_of(start)
            read[name] = self.value(start, at, depth + 1)
        return read

    def _list(self, at: int, end: int, depth: int) -> list[Any]:
        read: list[Any] = []
        while self.data[at := self.after_space(at)] != ord("]"):
            if len(read) == _LONGEST_LIST:
                self.left_out += end - at
                break
            if self.data[at] == ord(","):
                at = self.after_space(at + 1)
            item_end = self.end_of(at)
            read.append(self.value(at, item_end, depth + 1))
            at = item_end
        return read

    def _text(self, start: int, end: int) -> str:
        kept = min(self.keep, max(self.room, 0))
        size = end - start - 2
        if self.masker and 2 * (kept + self.reach) >= size:
            self.room -= size
            return str(json.loads(bytes(self.data[start:end])))
        self.room -= 2 * kept
        self.left_out += size - 2 * kept
        head, tail = self._ends(start, end, kept + self.reach)
        if not self.masker:
            return head + tail
        head, tail = self.masker.before_cut(head), self.masker.after_cut(tail, self.reach)
        # Masked it may be shorter, and nothing more be cut where the ends meet.
        return f"{head}\n…\n{tail}" if min(len(head), len(tail)) < kept else head + tail

    def _ends(self, start: int, end: int, kept: int) -> tuple[str, str]:
        # An escape or a character must not be cut through: a few bytes less are whole.
        head = (self.data[start + 1 : start + 1 + kept - less] for less in range(13))
        tail = (self.data[end - 1 - kept + less : end - 1] for less in range(13))
        return _first_whole(head), _first_whole(tail)

    def end_of(self, at: int) -> int:
        """Where the value that starts at `at` ends."""
        first = self.data[at]
        if first == ord('"'):
            return self._matched(_WHOLE_STRING, at)
        if first not in b"{[":
            return self._matched(_SCALAR, at)
        depth, at = 1, at + 1
        while depth:
            at = self._matched(_PASSED_OVER, at)
            if at >= len(self.data):
                raise ValueError("the JSON ends too early")
            depth += 1 if self.data[at] in b"{[" else -1
            at += 1
        return at

    def after_space(self, at: int) -> int:
        """The next position that is no white space."""
        at = self._matched(_SPACE, at)
        if at >= len(self.data):
            raise ValueError("the JSON ends too early")
        return at

    def _matched(self, pattern: re.Pattern[bytes], at: int) -> int:
        found = pattern.match(self.data, at)
        if found is None:
            raise ValueError(f"not JSON at byte {at}")
        return found.end()


def _first_whole(candidates: Any) -> str:
    for candidate in candidates:
        try:
            return str(json.loads(b'"' + bytes(candidate) + b'"'))
        except ValueError:
            continue
    return ""
