"""Change one value in a YAML text and not a character more.

Writing a document anew, even with a round-trip parser, moves comments, quotes and blanks. Here
the characters of one value are replaced, and what comes out is read again: an edit that would
change anything else is refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dagbook.yaml_nodes import Node
from dagbook.yaml_text import block_text, entry_text, flow_text, is_collection, scalar_text

KeyPath = tuple[Any, ...]


class CannotEdit(Exception):
    """The value stands where no small edit reaches it, such as behind an alias."""


@dataclass(frozen=True)
class Splice:
    """Characters ``start`` to ``end`` become ``text``."""

    start: int
    end: int
    text: str

    def apply(self, text: str) -> str:
        """The text with this one change."""
        return text[: self.start] + self.text + text[self.end :]


def same(one: Any, other: Any) -> bool:
    """Equal in value and type: 1 is not 1.0 nor True here, nan is nan; order of keys is free."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and (one == other or (one != one and other != other))


def replace_value(
    text: str, key: Node, node: Node, value: Any, parent: Node, *, step: int = 2
) -> Splice:
    """Write another value behind a key.

    Args:
        text: the whole text.
        key: the key.
        node: what stands behind it now.
        value: what is to stand there.
        parent: the mapping that holds the key.
        step: how far the text indents what lies inside something.
    """
    colon = text.index(":", key.end)
    if not node.written:
        return Splice(colon + 1, colon + 1, " " + _inline(value))
    if node.start < key.end:
        raise CannotEdit
    if node.kind == "scalar" and not is_collection(value):
        return Splice(node.start, node.end, scalar_text(value, quote=_quote(node, value)))
    inner = key.column - 1 + step
    is_block = node.kind != "scalar" and not node.flow
    if is_block:
        comments = text[colon + 1 : node.start].rstrip()
        if not is_collection(value) or not value:
            return Splice(colon + 1, node.end, f" {_inline(value)}{comments}")
        if isinstance(value, Mapping) and node.column <= key.column:
            # A list may stand as far left as its key, what replaces it may not.
            block = "\n" + " " * inner + block_text(value, inner, step)
            return Splice(colon + 1, node.end, comments + block)
        return Splice(node.start, node.end, block_text(value, node.column - 1, step))
    if parent.flow or not is_collection(value) or not value:
        return Splice(node.start, node.end, _inline(value))
    if "\n" not in entry_text(key.raw, value, key.column - 1, step):
        return Splice(node.start, node.end, flow_text(value))
    return Splice(colon + 1, node.end, "\n" + " " * inner + block_text(value, inner, step))


def replace_item(node: Node, value: Any) -> Splice:
    """Write another value in a list."""
    if not node.written:
        raise CannotEdit
    if is_collection(value):
        return Splice(node.start, node.end, _inline(value))
    return Splice(node.start, node.end, scalar_text(value, quote=_quote(node, value)))


def insert_entry(text: str, mapping: Node, key: Any, value: Any, *, step: int = 2) -> Splice:
    """Write a key behind the last one of a mapping."""
    if mapping.flow:
        entry = f"{scalar_text(key)}: {flow_text(value)}"
        if not mapping.entries:
            return Splice(mapping.start, mapping.end, "{" + entry + "}")
        at = _end_of(text, *mapping.entries[-1])
        return Splice(at, at, ", " + entry)
    indent = mapping.entries[0][0].column - 1
    entry = entry_text(key, value, indent, step)
    at = _end_of_line(text, mapping.end)
    if at == len(text) and _is_literal(mapping.entries[-1][1]):
        # A text that ends with the file has no last line end; a line behind it would give it one.
        at = mapping.entries[-1][0].start
        return Splice(at, at, entry + "\n" + " " * indent)
    return Splice(at, at, "\n" + " " * indent + entry)


def rename_key(key: Node, name: Any) -> Splice:
    """Write another name for a key, quoted as the old one is."""
    return Splice(key.start, key.end, scalar_text(name, quote=_quote(key, name)))


def remove_entry(text: str, mapping: Node, index: int) -> Splice:
    """Take a key and its value out of a mapping."""
    key, value = mapping.entries[index]
    end = _end_of(text, key, value)
    if len(mapping.entries) == 1:
        return Splice(mapping.start, mapping.end, "{}")
    following = mapping.entries[index + 1][0] if index + 1 < len(mapping.entries) else None
    if mapping.flow:
        if following is not None:
            return Splice(key.start, following.start, "")
        return Splice(_end_of(text, *mapping.entries[index - 1]), end, "")
    line_start = text.rfind("\n", 0, key.start) + 1
    if text[line_start : key.start].strip(" ") == "":
        stop = text.find("\n", end)
        return Splice(line_start, stop + 1 if stop >= 0 else len(text), "")
    if following is None:
        raise CannotEdit
    return Splice(key.start, following.start, "")


def _end_of(text: str, key: Node, value: Node) -> int:
    if value.written and value.start >= key.end:
        return value.end
    colon = text.index(":", key.end) + 1
    if not value.written:
        return colon
    alias = re.compile(r"\s*\*[^\s,\]}]+").match(text, colon)
    if alias is None:
        raise CannotEdit
    return alias.end()


def _is_literal(node: Node) -> bool:
    while node.kind != "scalar" and (node.items or node.entries) and not node.flow:
        node = node.items[-1] if node.items else node.entries[-1][1]
    return node.style in ("|", ">")


def _end_of_line(text: str, index: int) -> int:
    end = text.find("\n", index)
    end = len(text) if end < 0 else end
    return end - 1 if end > index and text[end - 1] == "\r" else end


def _inline(value: Any) -> str:
    return flow_text(value) if is_collection(value) else scalar_text(value)


def _quote(node: Node, value: Any) -> str | None:
    return node.style if isinstance(value, str) and node.style in ("'", '"') else None
