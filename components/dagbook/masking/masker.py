"""Replaces the values of a run's credentials in texts, JSON and bytes, in whatever form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from dagbook.credentials.delivery import SHORTEST_SECRET, Secret
from dagbook.errors import DagbookError
from dagbook.masking.stream import StreamMask


class Masker:
    """Knows the values that must not be seen, and puts a name in the place of each.

    False while it knows none: whoever asks first pays nothing. It may be used, and given more
    values, by several threads; what was masked before is not looked at again.
    """

    def __init__(self, secrets: Iterable[Secret] = ()) -> None:
        """Know `secrets`.

        Raises:
            DagbookError: one is too short to be masked.
        """
        self._labels: dict[str, str] = {}
        self._pattern = re.compile("(?!)")
        self.add(secrets)

    def add(self, secrets: Iterable[Secret]) -> None:
        """Know more of them from now on.

        Raises:
            DagbookError: one is too short to be masked; none is taken then.
        """
        labels = dict(self._labels)
        for secret in secrets:
            if len(secret.value) < SHORTEST_SECRET:
                raise DagbookError(
                    f"{secret.label}: its value is shorter than {SHORTEST_SECRET} characters, too "
                    "short to be kept out of what a run stores; give it a longer one"
                )
            labels.setdefault(secret.value, f"***{secret.label}***")
        self._labels = labels
        if labels:
            longest = sorted(labels, key=len, reverse=True)
            self._pattern = re.compile("|".join(map(re.escape, longest)))

    def __bool__(self) -> bool:
        """Whether there is anything to mask."""
        return bool(self._labels)

    def text(self, text: str) -> str:
        """The text with a name in the place of every known value."""
        return self._pattern.sub(lambda found: self._labels[found[0]], text)

    def value(self, value: Any) -> Any:
        """The same of whatever JSON can hold, the names in it too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.value(name): self.value(item) for name, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(item) for item in value]
        return value

    def data(self, data: bytes) -> bytes:
        """The same of bytes, whatever they are."""
        text = data.decode("utf-8", "surrogateescape")
        return self.text(text).encode("utf-8", "surrogateescape")

    def stream(self) -> StreamMask:
        """A mask for text that comes in pieces."""
        return StreamMask(self)

    def open_end(self, text: str) -> int:
        """From where on `text` may be the beginning of a value; its length if nothing is."""
        for start in range(max(0, len(text) - max(map(len, self._labels), default=0)), len(text)):
            if any(value.startswith(text[start:]) for value in self._labels):
                return start
        return len(text)
