"""Known values as they are looked for in one text: as it stands, and in its view."""

from __future__ import annotations

from collections.abc import Mapping

from dagbook.masking.needles import Needles
from dagbook.masking.view import Places, reads_as_written, unfinished, views_of

Place = tuple[int, int, str]
#: So many letters of a value, where a text ends in them, are no coincidence; nor is its half.
_TELLING = 16


class Values:
    """What is looked for, ready to be looked for; it never changes."""

    def __init__(self, clear: Mapping[str, str], view: Mapping[str, str]) -> None:
        """Both are the forms to be found, with what is shown in the place of each."""
        self._view = Needles(view)
        self._clear = Needles(clear)
        # What a view has all the same, unless letters before it make it read otherwise.
        self._odd = Needles({form: label for form, label in clear.items() if form not in view})
        self.longest = max(self._view.longest, self._clear.longest)
        self._data = tuple(form.encode("utf-8", "surrogatepass") for form in {**clear, **view})

    def masked(self, text: str) -> str:
        """The text with labels in the places of the values."""
        places = self.places(text)
        return replaced(text, places) if places else text

    def places(self, text: str, views: list[str] | None = None) -> list[Place]:
        """Where values stand in the text: start, end, label; in order, none within another."""
        clear = self._odd if reads_as_written(text) else self._clear
        found = clear.find(text) if clear.labels else []
        for rounds, view in enumerate(views or views_of(text)):
            if seen := self._view.find(view):
                if view != text:
                    at = Places(text, rounds)
                    seen = [(*at.span(start, end), label) for start, end, label in seen]
                found += seen
        return _joined(found) if found else found

    def is_in(self, data: bytes) -> bool:
        """Whether a value is in bytes that are no text."""
        return any(form in data for form in self._data)

    def open_end(self, text: str, views: list[str] | None = None) -> tuple[int, str]:
        """From where on `text` may be the beginning of a value, and how that reads.

        Its length and nothing if it ends in none.
        """
        at, beginning = len(text), ""
        clear_at = self._clear.open_end(text)
        if clear_at < at:
            at, beginning = clear_at, text[clear_at:]
        for rounds, view in enumerate(views or views_of(text)):
            end = unfinished(view)
            start = min(self._view.open_end(view if end == len(view) else view[:end]), end)
            if start < len(view):
                written_at = self._position(text, view, rounds, start)
                if written_at <= at:
                    at, beginning = written_at, view[start:]
        return at, beginning

    def _position(self, text: str, view: str, rounds: int, start: int) -> int:
        """Where in the text the letter at `start` of its view is written."""
        size = len(view) - start
        last = text.rstrip("\r\n")
        tail = last[len(last) - size :]
        if tail == view[start:] and reads_as_written(last[-size - 12 :]):
            return len(last) - size
        return Places(text, rounds).span(start, len(view))[0]

    def label_of(self, beginning: str) -> str:
        """What is shown in the place of the beginning of a value; nothing when it tells little."""
        beginning = beginning[: unfinished(beginning)]
        for needles in (self._view, self._clear):
            label, length = needles.shortest(beginning)
            if label and (2 * len(beginning) >= length or len(beginning) >= _TELLING):
                return label
        return ""


def replaced(text: str, places: list[Place], at: int = 0) -> str:
    """The text from `at` on with labels in some places."""
    pieces: list[str] = []
    for start, end, label in places:
        pieces += text[at:start], label
        at = end
    return "".join([*pieces, text[at:]])


def _joined(places: list[Place]) -> list[Place]:
    """Places without overlaps: where some do, all of it is the longest one's."""
    joined: list[Place] = []
    longest = 0
    for start, end, label in sorted(places, key=lambda place: (place[0], -place[1])):
        if joined and start < joined[-1][1]:
            first, last, before = joined[-1]
            if end - start > longest:
                longest, before = end - start, label
            joined[-1] = first, max(last, end), before
        else:
            joined.append((start, end, label))
            longest = end - start
    return joined
