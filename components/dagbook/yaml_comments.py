"""Comments in a YAML text: where they stand, and how lost ones are put back."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator

from dagbook.yaml_nodes import Node, parse_documents


def comments_of(text: str) -> list[tuple[int, str]]:
    """Every comment of a text, with the number of its line, counted from 0.

    Raises:
        YamlTextError: the text is no YAML.
    """
    taken = sorted(span for document in parse_documents(text)[0] for span in _scalars(document))
    found = []
    start = 0
    for number, line in enumerate(text.splitlines(keepends=True)):
        for column, character in enumerate(line):
            at = start + column
            if character != "#" or (column and not line[column - 1].isspace()):
                continue
            if any(first <= at < last for first, last in taken):
                continue
            found.append((number, line[column:].rstrip()))
            break
        start += len(line)
    return found


def with_comments_of(before: str, after: str) -> Iterator[str]:
    """A text with the comments of another one that it lacks, on lines of their own.

    First near where they stood; then, for a place at which nothing can be added, at the top.
    Nothing when it lacks none.
    """
    there = Counter(text for _, text in comments_of(after))
    lost = []
    for number, text in comments_of(before):
        if there[text]:
            there[text] -= 1
        else:
            lost.append((number, text))
    if not lost:
        return
    old, new = before.splitlines(), after.splitlines(keepends=True)
    end = "\r\n" if "\r\n" in after else "\n"
    steps = difflib.SequenceMatcher(None, old, after.splitlines(), autojunk=False).get_opcodes()
    near = list(new)
    for number, text in reversed(lost):
        place = next(
            min(first + number - a, last) for _, a, b, first, last in steps if a <= number < b
        )
        indent = old[number][: len(old[number]) - len(old[number].lstrip())]
        near.insert(place, f"{indent}{text}{end}")
    yield "".join(near)
    yield "".join([*(f"{text}{end}" for _, text in lost), *new])


def _scalars(node: Node) -> Iterator[tuple[int, int]]:
    if node.kind == "scalar":
        yield node.start, node.end
    for item in node.items:
        yield from _scalars(item)
    for key, value in node.entries:
        yield from _scalars(key)
        yield from _scalars(value)
