"""YAML as Dagster's own parser reads it, given up at the first sign that it is too much.

Dagster reads with PyYAML's parser in Python, and so does this where Dagster will read the file
again: what two parsers read differently could be harmless to one and a template to the other.
Where the values found here are what is loaded, PyYAML's parser in C finds the same in a fifth of
the time. Values are counted while they are composed, so a bomb costs what fits into the limit and
no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml
from yaml.composer import Composer
from yaml.resolver import Resolver

from dagbook.safe_yaml.reading import Refused
from dagbook.safe_yaml.rules import ScreeningRules, shown
from dagbook.yaml_nodes import in_words, line_and_column

_TAG = "tag:yaml.org,2002:"
#: More digits than any setting has; reading numbers in other bases costs their square.
_LONGEST_NUMBER = 100
_LONGEST_REASON = 200


@dataclass
class Value:
    """One value of a document, where it stands, and what it is made of.

    Lines and columns count from 1. `entries` are a mapping's keys and values with those merged
    in by ``<<`` ahead of its own, `items` a list's.
    """

    value: Any
    line: int
    column: int
    end: tuple[int, int]
    style: str | None = None
    entries: list[tuple[Value, Value]] = field(default_factory=list)
    items: list[Value] = field(default_factory=list)

    def entry(self, key: str) -> tuple[Value, Value] | None:
        """A mapping's key with its value; the last, where one is merged in and one its own."""
        return next((e for e in reversed(self.entries) if e[0].value == key), None)


def parse(
    text: str, rules: ScreeningRules, *, read_again: bool
) -> tuple[list[Value], list[Refused]]:
    """The documents of a text, and every key that is written twice.

    Args:
        text: the file's.
        rules: how much of it there may be.
        read_again: whether Dagster reads the text itself afterwards.

    Raises:
        Refused: it is no YAML, or more of it than the rules allow.
    """
    if not read_again and _FastLoader is not None:
        try:
            return _parsed(_FastLoader(text, rules))
        except yaml.YAMLError:
            # The other says what is wrong in the words we know.
            pass
    return _parsed_in_words(text, rules)


def _parsed(loader: Any) -> tuple[list[Value], list[Refused]]:
    nodes = []
    while loader.check_node():
        nodes.append(loader.get_node())
    converter = _Converter(loader)
    return [converter.convert(node) for node in nodes], converter.duplicates


def _parsed_in_words(text: str, rules: ScreeningRules) -> tuple[list[Value], list[Refused]]:
    try:
        return _parsed(_Loader(text, rules))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise Refused(line, column, in_words(error)[:_LONGEST_REASON]) from None
    except yaml.reader.ReaderError as error:
        line, column = line_and_column(text, error.position)
        raise Refused(line, column, "a character that YAML does not allow") from None


class _Counting(Composer):  # type: ignore[misc]  # PyYAML has no types
    """A composer of PyYAML's that counts. What it is mixed into brings the events."""

    # As Dagster has it: a date is text.
    yaml_implicit_resolvers = {  # noqa: RUF012 (PyYAML's own name and type)
        first: [(tag, pattern) for tag, pattern in found if tag != _TAG + "timestamp"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def _start(self, rules: ScreeningRules) -> None:
        self._rules = rules
        self._depth = 0
        self._count = 0
        self._documents = 0
        self._weights: dict[int, int] = {}
        # Looked up by identity, so none may be freed while we read.
        self._kept: list[Any] = []

    def compose_document(self) -> Any:
        start = self.peek_event()
        self._documents += 1
        if self._documents > self._rules.max_documents:
            raise _at(start, f"holds more than {self._rules.max_documents:,} documents")
        if start.version is not None or start.tags:
            raise _at(start, "a line that begins with % is not allowed: take it out")
        return super().compose_document()

    def compose_node(self, parent: Any, index: Any) -> Any:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent):
            node = super().compose_node(parent, index)
            if id(node) not in self._weights:
                raise _at(event, "an alias inside what it stands for")
            self._add(self._weights[id(node)], event)
            return node
        if event.tag is not None:
            raise _at(event, f"the tag {_short(event.tag)} is not allowed: write plain values")
        self._depth += 1
        if self._depth > self._rules.max_depth:
            raise _at(event, f"nested deeper than {self._rules.max_depth} levels")
        before = self._count
        self._add(1, event)
        node = super().compose_node(parent, index)
        self._depth -= 1
        self._weights[id(node)] = self._count - before
        self._kept.append(node)
        return node

    def _add(self, count: int, event: Any) -> None:
        self._count += count
        limit = self._rules.max_values
        if self._count > limit:
            alias = isinstance(event, yaml.AliasEvent)
            words = (
                f"aliases make more than {limit:,} values"
                if alias
                else (f"holds more than {limit:,} values")
            )
            raise _at(event, words)


class _Loader(_Counting, yaml.SafeLoader):  # type: ignore[misc]  # PyYAML has no types
    """All of it in Python, as Dagster reads."""

    def __init__(self, text: str, rules: ScreeningRules) -> None:
        super().__init__(text)
        self._start(rules)


_FastLoader: Any = None
if yaml.__with_libyaml__:
    _Bases: Any = (yaml.cyaml.CParser, yaml.constructor.SafeConstructor, Resolver)

    class _CLoader(_Counting, *_Bases):  # type: ignore[misc]  # PyYAML has no types
        """The events from C, all that counts them in Python."""

        def __init__(self, text: str, rules: ScreeningRules) -> None:
            yaml.cyaml.CParser.__init__(self, text)
            Composer.__init__(self)
            yaml.constructor.SafeConstructor.__init__(self)
            Resolver.__init__(self)
            self._start(rules)

    _FastLoader = _CLoader


class _Converter:
    """Turns PyYAML's nodes into values, with its own rules of what a scalar means."""

    def __init__(self, loader: Any) -> None:
        self._loader = loader
        self._done: dict[int, Value] = {}
        self.duplicates: list[Refused] = []

    def convert(self, node: Any) -> Value:
        if id(node) not in self._done:
            self._done[id(node)] = self._convert(node)
        return self._done[id(node)]

    def _convert(self, node: Any) -> Value:
        end = (node.end_mark.line + 1, node.end_mark.column + 1)
        value = Value(None, node.start_mark.line + 1, node.start_mark.column + 1, end)
        if isinstance(node, yaml.ScalarNode):
            value.style = node.style
            value.value = self._scalar(node)
        elif isinstance(node, yaml.SequenceNode):
            value.items = [self.convert(item) for item in node.value]
            value.value = [item.value for item in value.items]
        else:
            value.entries = list(self._entries(node))
            value.value = {key.value: item.value for key, item in value.entries}
        return value

    def _scalar(self, node: Any) -> Any:
        if node.tag in (_TAG + "merge", _TAG + "value"):
            raise _at(node, f"`{shown(node.value)}` needs quotes")
        if node.tag in (_TAG + "int", _TAG + "float") and len(node.value) > _LONGEST_NUMBER:
            raise _at(node, f"a number of more than {_LONGEST_NUMBER} digits")
        try:
            return self._loader.construct_object(node)
        except (ValueError, IndexError):
            raise _at(node, f"`{shown(node.value)}` is not a number") from None

    def _entries(self, node: Any) -> Iterator[tuple[Value, Value]]:
        own: list[tuple[Value, Value]] = []
        first_lines: dict[Any, int] = {}
        merged: list[tuple[Value, Value]] = []
        for key_node, item in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _at(key_node, "a list or a mapping cannot be a key")
            is_merge = key_node.tag == _TAG + "merge"
            key = None if is_merge else self.convert(key_node)
            # No key is a tuple, so a merge is not taken for one.
            name = ("<<",) if key is None else key.value
            line = key_node.start_mark.line + 1
            if name in first_lines:
                words = (
                    f"`{shown(key_node.value)}` is written twice, first in line {first_lines[name]}"
                )
                self.duplicates.append(Refused(line, key_node.start_mark.column + 1, words))
            first_lines.setdefault(name, line)
            if key is None:
                merged += self._merged(item)
            else:
                own.append((key, self.convert(item)))
        yield from merged
        yield from own

    def _merged(self, node: Any) -> Iterator[tuple[Value, Value]]:
        parts = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if not all(isinstance(part, yaml.MappingNode) for part in parts):
            raise _at(node, "`<<` takes mappings only")
        # The first of several wins, and the last entry of a mapping.
        for part in reversed(parts):
            yield from self.convert(part).entries


def _at(place: Any, text: str) -> Refused:
    return Refused(place.start_mark.line + 1, place.start_mark.column + 1, text)


def _short(tag: str) -> str:
    return shown("!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag)
