"""Masks a text that comes in pieces, however a value is split between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dagbook.masking.masker import Masker


class StreamMask:
    """Hands on what it is fed, but for an end that may be the beginning of a known value.

    That is held back until more comes or `end` is called: never for a time.
    """

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._held = ""

    def feed(self, text: str) -> str:
        """Take in more; returns what may be seen by now."""
        text = self._masker.text(self._held + text)
        end = self._masker.open_end(text)
        self._held = text[end:]
        return text[:end]

    def end(self) -> str:
        """What is left when nothing more comes."""
        held, self._held = self._held, ""
        return held
