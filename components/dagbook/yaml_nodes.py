"""YAML as a tree that knows where everything stands, with the values Dagster will see.

Dagster reads component files with YAML 1.1 and without dates: ``on`` is true, ``010`` is eight,
``6:30`` is 390, ``2026-01-01`` is text. Reading them by any other rule would accept what fails
later, so values are resolved here by exactly those rules; the parser underneath is ruamel's.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from dagbook.yaml_scalars import SCALARS, plain_scalar

#: Aliases multiply: a file of ten lines can stand for billions of values.
MAX_VALUES = 100_000

_TAG = "tag:yaml.org,2002:"
_PLAIN_TAG = "plain"


@dataclass(frozen=True)
class YamlProblem:
    """Something wrong in a YAML text; line and column count from 1."""

    line: int
    column: int
    text: str


class YamlTextError(Exception):
    """A text that is no YAML we read; ``problem`` says where and why."""

    def __init__(self, problem: YamlProblem) -> None:
        super().__init__(problem.text)
        self.problem = problem


@dataclass
class Node:
    """One value of a document: what it is, and the characters it takes in the text."""

    kind: str
    """``mapping``, ``sequence`` or ``scalar``"""
    value: Any
    start: int
    end: int
    """Index after the last character that belongs to the value; blanks behind it do not."""
    line: int
    column: int
    raw: str = ""
    style: str | None = None
    """How a scalar is written: ``"``, ``'``, ``|``, ``>`` or, when plain, nothing"""
    flow: bool = False
    entries: list[tuple[Node, Node]] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)
    weight: int = 1

    @property
    def written(self) -> bool:
        """False for a value that is not there: ``key:`` and nothing behind it."""
        return self.end > self.start

    def entry(self, key: Any) -> tuple[Node, Node] | None:
        """Key and value of a mapping; a key is found by its value or by how it is written."""
        for name, value in self.entries:
            if name.value == key and isinstance(name.value, bool) == isinstance(key, bool):
                return name, value
        for name, value in self.entries:
            if isinstance(key, str) and name.raw == key:
                return name, value
        return None


def parse_documents(text: str) -> tuple[list[Node], list[YamlProblem]]:
    """Read every document of a text, and the keys that are written twice in one mapping.

    Raises:
        YamlTextError: the text is no YAML, or uses what a component file has no need of.
    """
    from ruamel.yaml.error import MarkedYAMLError, YAMLError

    try:
        reader = _Reader(text)
        documents = [reader.node(node) for node in _composer().compose_all(text)]
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        raise YamlTextError(YamlProblem(line, column, in_words(error))) from None
    except YAMLError as error:
        at = getattr(error, "position", 0)
        line, column = line_and_column(text, at if isinstance(at, int) else 0)
        words = "a character that YAML does not allow"
        raise YamlTextError(YamlProblem(line, column, words)) from None
    except RecursionError:
        raise YamlTextError(YamlProblem(1, 1, "nested too deeply")) from None
    return documents, reader.duplicates


def line_and_column(text: str, index: int) -> tuple[int, int]:
    """Line and column, counted from 1, of a character."""
    before = text[:index]
    return before.count("\n") + 1, index - (before.rfind("\n") + 1) + 1


@functools.cache
def _resolver_class() -> type[Any]:
    from ruamel.yaml.nodes import ScalarNode
    from ruamel.yaml.resolver import VersionedResolver
    from ruamel.yaml.tag import Tag

    class PlainResolver(VersionedResolver):
        """Marks plain scalars, so that our rules give them their value and not ruamel's."""

        def resolve(self, kind: Any, value: Any, implicit: Any) -> Any:
            if kind is ScalarNode and implicit[0]:
                return Tag(suffix=_PLAIN_TAG)
            return super().resolve(kind, value, implicit)

    return PlainResolver


def _composer() -> Any:
    from ruamel.yaml import YAML

    yaml = YAML(typ="safe", pure=True)
    yaml.Resolver = _resolver_class()
    yaml.version = (1, 1)
    return yaml


class _Reader:
    """Turns ruamel's nodes into ours, sharing what an alias shares."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.duplicates: list[YamlProblem] = []
        self._done: dict[int, Node] = {}
        self._open: set[int] = set()
        # ruamel's nodes are looked up by identity, so none may be freed while we read.
        self._keep: list[Any] = []

    def node(self, source: Any) -> Node:
        if source is None:
            return Node("scalar", None, 0, 0, 1, 1)
        if id(source) in self._done:
            return self._done[id(source)]
        if id(source) in self._open:
            raise self._error(source, "an alias inside what it stands for")
        self._open.add(id(source))
        self._keep.append(source)
        node = self._read(source)
        if node.weight > MAX_VALUES:
            raise self._error(source, f"aliases make more than {MAX_VALUES:,} values of this")
        self._open.discard(id(source))
        self._done[id(source)] = node
        return node

    def _read(self, source: Any) -> Node:
        start, end = source.start_mark.index, source.end_mark.index
        node = Node(
            kind=source.id,
            value=None,
            start=start,
            end=end,
            line=source.start_mark.line + 1,
            column=source.start_mark.column + 1,
        )
        tag = str(source.tag)
        if source.id == "scalar":
            self._read_scalar(node, source, tag)
            if tag == _PLAIN_TAG and node.raw == "=":
                raise self._error(source, "`=` needs quotes")
        elif source.id == "sequence":
            self._require_tag(source, tag, "seq")
            node.flow = bool(source.flow_style)
            node.items = [self.node(item) for item in source.value]
            node.value = [self._text_or_value(item) for item in node.items]
            node.weight += sum(item.weight for item in node.items)
        else:
            self._require_tag(source, tag, "map")
            node.flow = bool(source.flow_style)
            node.entries = [(self.node(k), self.node(v)) for k, v in source.value]
            node.weight += sum(v.weight for _, v in node.entries)
            node.value = self._mapping(node)
        if node.kind != "scalar" and not node.flow:
            node.end = max(self._ends(node), default=node.start)
        return node

    def _ends(self, node: Node) -> Iterator[int]:
        for item in node.items:
            yield item.end
        for key, value in node.entries:
            # An alias stands elsewhere; what is empty stands right behind its colon.
            inside = value.written and value.start >= key.end
            yield value.end if inside else self.text.find(":", key.end) + 1

    def _read_scalar(self, node: Node, source: Any, tag: str) -> None:
        node.style = source.style
        node.raw = source.value
        if source.style in ("|", ">"):
            node.end = node.start + len(self.text[node.start : node.end].rstrip())
        kind = tag.removeprefix(_TAG)
        try:
            if kind == _PLAIN_TAG:
                node.value = plain_scalar(source.value)
            elif kind in SCALARS:
                node.value = SCALARS[kind](source.value)
            else:
                raise self._error(source, f"the tag {_short(tag)} is not allowed here")
        except (ValueError, IndexError):
            raise self._error(source, f"`{source.value}` is not a number") from None

    def _require_tag(self, source: Any, tag: str, expected: str) -> None:
        if tag != _TAG + expected:
            raise self._error(source, f"the tag {_short(tag)} is not allowed here")

    def _mapping(self, node: Node) -> dict[Any, Any]:
        values: dict[Any, Any] = {}
        merged: dict[Any, Any] = {}
        first_lines: dict[Any, int] = {}
        for key, value in node.entries:
            if key.kind != "scalar":
                raise YamlTextError(
                    YamlProblem(key.line, key.column, "a list or a mapping cannot be a key")
                )
            if key.raw == "<<" and key.style is None:
                parts = value.value if isinstance(value.value, list) else [value.value]
                if not all(isinstance(part, dict) for part in parts):
                    raise YamlTextError(
                        YamlProblem(value.line, value.column, "`<<` takes mappings only")
                    )
                for part in parts:
                    merged = {**part, **merged}
                continue
            if key.value in first_lines:
                self.duplicates.append(
                    YamlProblem(
                        key.line,
                        key.column,
                        f"`{key.raw}` is written twice, first in line {first_lines[key.value]}",
                    )
                )
            first_lines.setdefault(key.value, key.line)
            values[key.value] = self._text_or_value(value)
        return {**merged, **values}

    def _text_or_value(self, node: Node) -> Any:
        if node.raw == "<<" and node.kind == "scalar" and node.style is None:
            raise YamlTextError(YamlProblem(node.line, node.column, "`<<` needs quotes"))
        return node.value

    def _error(self, source: Any, text: str) -> YamlTextError:
        mark = source.start_mark
        return YamlTextError(YamlProblem(mark.line + 1, mark.column + 1, text))


def _short(tag: str) -> str:
    return "!!" + tag.removeprefix(_TAG) if tag.startswith(_TAG) else tag


_HINTS = {
    "mapping values are not allowed": "`: ` is not allowed here; indent as the lines above, or put "
    "the value in quotes",
    "found character '\\t' that cannot start any token": "a tab; indent with spaces",
    "found character '%' that cannot start any token": "text that starts with % needs quotes",
    "found character '@' that cannot start any token": "text that starts with @ needs quotes",
    "found character '`' that cannot start any token": "text that starts with ` needs quotes",
    "found undefined alias": "an alias `*…` whose anchor `&…` is missing",
}


def in_words(error: Any) -> str:
    """What a YAML parser complains of, for somebody who does not know YAML's own words."""
    problem = " ".join(str(error.problem or "not valid YAML").split())
    for start, words in _HINTS.items():
        if problem.startswith(start):
            return words
    context = " ".join(str(error.context or "").split())
    if error.context_mark and context:
        context += f" that starts in line {error.context_mark.line + 1}"
    return f"{problem}, {context}" if context else problem
