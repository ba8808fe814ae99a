"""Finds any of many fixed texts in a text, and the beginning of one at its end."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from dagbook.credentials.delivery import SHORTEST_SECRET

#: Shorter texts are gone through once with a pattern, longer ones once for each needle: that takes
#: 0.1 ns for a byte, and the pattern 40 ns for a byte, however many they are.
_LONG_TEXT = 1_000
#: By so many of their first characters the pattern knows them; none is shorter.
_FIRST = SHORTEST_SECRET
#: A text that ends within a needle ends in so many characters of it, or is at its beginning.
_GRAM = 4


class Needles:
    """A set of texts to be found, each with what is shown in its place."""

    def __init__(self, labels: Mapping[str, str]) -> None:
        self.labels = dict(labels)
        self.longest = max(map(len, labels), default=0)
        self._by_first: dict[str, list[str]] = {}
        for needle in labels:
            self._by_first.setdefault(needle[:_FIRST], []).append(needle)
        self._pattern = re.compile(_pattern(_tree(self._by_first)) if labels else "(?!)")
        self._beginnings = {needle[:size] for needle in labels for size in range(1, _FIRST)}
        self._grams = {
            needle[at : at + _GRAM] for needle in labels for at in range(len(needle) - _GRAM)
        }

    def find(self, text: str) -> list[tuple[int, int, str]]:
        """Every place of every needle, also where they overlap: start, end, label."""
        if len(text) < _LONG_TEXT:
            return list(self._gone_through(text))
        return [
            place for needle in self.labels if needle in text for place in self._all(needle, text)
        ]

    def _gone_through(self, text: str) -> Iterator[tuple[int, int, str]]:
        found = self._pattern.search(text)
        while found is not None:
            at = found.start()
            for needle in self._by_first[found[0]]:
                if text.startswith(needle, at):
                    yield at, at + len(needle), self.labels[needle]
            found = self._pattern.search(text, at + 1)

    def _all(self, needle: str, text: str) -> Iterator[tuple[int, int, str]]:
        at = text.find(needle)
        while at >= 0:
            yield at, at + len(needle), self.labels[needle]
            at = text.find(needle, at + 1)

    def open_end(self, text: str) -> int:
        """From where on `text` may be the beginning of a needle; its length if nothing is."""
        # Nearly all texts are told by their last letters.
        if text[-_GRAM:] in self._grams:
            for at in range(max(0, len(text) - self.longest + 1), len(text) - _FIRST + 1):
                if any(
                    needle.startswith(text[at:])
                    for needle in self._by_first.get(text[at : at + _FIRST], ())
                    if len(needle) > len(text) - at
                ):
                    return at
        for size in range(min(_FIRST - 1, len(text)), 0, -1):
            if text[-size:] in self._beginnings:
                return len(text) - size
        return len(text)

    def shortest(self, beginning: str) -> tuple[str, int]:
        """Label and length of the shortest needle that begins so; nothing and 0 if none does."""
        found = (needle for needle in self.labels if beginning and needle.startswith(beginning))
        needle = min(found, key=len, default="")
        return self.labels.get(needle, ""), len(needle)


Tree = dict[str, "Tree"]


def _tree(words: Mapping[str, object]) -> Tree:
    tree: Tree = {}
    for word in words:
        at = tree
        for letter in word:
            at = at.setdefault(letter, {})
    return tree


def _pattern(tree: Tree) -> str:
    """A pattern that finds each of the words, without trying any letter twice."""
    ways = [re.escape(letter) + _pattern(rest) for letter, rest in sorted(tree.items())]
    return "".join(ways) if len(ways) < 2 else f"(?:{'|'.join(ways)})"
