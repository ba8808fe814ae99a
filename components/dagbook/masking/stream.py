"""Masks a text that comes in pieces, however a value is split between them."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dagbook.masking.view import views_of

if TYPE_CHECKING:
    from dagbook.masking.values import Values

#: Fewer letters of a value than that at the end of a line are no reason to hold the line back.
_FEW = 4


class StreamMask:
    """Hands on what it is fed, but for an end that may be the beginning of a known value.

    That is held back until more comes, or until `pause` or `end` is called: never for a time.
    """

    def __init__(self, known: Callable[[], Values | None], after: StreamMask | None = None) -> None:
        """Begin a stream.

        Args:
            known: tells what is to be masked, which may grow while the stream lasts.
            after: the stream that this one goes on, of which nothing is held back: a value that
                began there is masked from here on.
        """
        self._known = known
        # The end of what came: what may still become a value. `_seen` letters of it were handed on.
        self._open: str = "" if after is None else after._open
        self._seen = len(self._open)
        self._beginning: str = "" if after is None else after._beginning

    def feed(self, text: str) -> str:
        """Take in more; returns what may be seen by now."""
        values = self._known()
        if values is None:
            return text
        text, seen = self._open + text, self._seen
        views = views_of(text)
        open_at, beginning = values.open_end(text, views)
        shown: list[str] = []
        at = seen
        for start, end, label in values.places(text, views):
            if start >= open_at:
                break
            if end > at:
                shown += text[at : max(at, start)], label
                at = end
        upto = open_at
        if 0 < len(beginning) < _FEW and text.endswith(("\n", "\r")):
            upto = len(text)
        shown.append(text[at:upto])
        self._open, self._seen = text[open_at:], max(at, upto) - open_at
        self._beginning = beginning
        return "".join(shown)

    @property
    def holds(self) -> bool:
        """Whether something is held back."""
        return self._seen < len(self._open)

    def yield_few(self) -> str:
        """What is held back, if it is so little that it tells nothing of a value.

        For when something else comes out: what is held longer comes to stand after it.
        """
        if len(self._beginning) >= _FEW:
            return ""
        held, self._seen = self._open[self._seen :], len(self._open)
        return held

    def pause(self) -> str:
        """What is held back, when it has to be seen now, whatever may follow.

        As much of a value as cannot be a coincidence is masked; should the rest of it follow,
        that is masked in any case.
        """
        if not self.holds:
            return ""
        seen, self._seen = self._seen, len(self._open)
        values = self._known()
        if values is None:
            return self._open[seen:]
        if label := values.label_of(self._beginning):
            # The line ends all the same.
            return label + self._open[len(self._open.rstrip("\r\n")) :]
        shown: list[str] = []
        for start, end, label in values.places(self._open):
            if end > seen:
                shown += self._open[seen : max(seen, start)], label
                seen = end
        return "".join([*shown, self._open[seen:]])

    def end(self) -> str:
        """What is left when nothing more comes."""
        held = self.pause()
        self._open, self._seen, self._beginning = "", 0, ""
        return held
