"""Screens one component file: what it may hold, and every reason why it is not loaded."""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from dagbook.errors import did_you_mean
from dagbook.safe_yaml.braces import first_problem, names_allowed, openings, texts_in
from dagbook.safe_yaml.parsing import Value, parse
from dagbook.safe_yaml.reading import Refused, decoded, read_once
from dagbook.safe_yaml.registered import Registry
from dagbook.safe_yaml.rules import Loc, Refusal, ScreeningRules, shown

#: What may stand at the top of a component, Dagster's own list.
TOP_LEVEL_KEYS = ("type", "attributes", "template_vars_module", "requirements", "post_processing")

_OURS = "dagbook.NotebookRunnerComponent"
#: Of one file; who wrote it will not read more.
_MOST_REFUSALS = 20


@dataclass(frozen=True)
class Screened:
    """A component file that was looked at: the bytes, and what they say.

    Whoever loads it loads `documents`, and does not read the file again.
    """

    path: Path
    data: bytes
    documents: tuple[Value, ...]
    refusals: tuple[Refusal, ...]


def screen_file(
    path: Path,
    rules: ScreeningRules,
    registry: Registry,
    *,
    inside: Path | None = None,
    read_again: bool = False,
) -> Screened:
    """Read a component file and say everything for which it must not be loaded.

    Args:
        path: the file.
        rules: what it may hold.
        registry: the modules whose components it may name.
        inside: the folder in which it must lie, links followed; without links itself.
        read_again: whether Dagster reads the file itself afterwards, instead of being given what
            was found here.
    """
    try:
        data = read_once(path, inside=inside, max_bytes=rules.max_bytes)
    except Refused as refused:
        return Screened(path, b"", (), (refused.of(path),))
    return screen_text(path, data, rules, registry, read_again=read_again)


def screen_text(
    path: Path,
    data: bytes,
    rules: ScreeningRules,
    registry: Registry,
    *,
    read_again: bool = False,
) -> Screened:
    """Say everything for which the bytes of a component file must not be loaded."""
    if len(data) > rules.max_bytes:
        text = f"is larger than {rules.max_bytes:,} bytes: no component file is"
        return Screened(path, data, (), (Refusal(path, 1, text),))
    try:
        documents, duplicates = parse(decoded(data), rules, read_again=read_again)
    except Refused as refused:
        return Screened(path, data, (), (refused.of(path),))
    if duplicates:
        ordered = sorted(duplicates, key=lambda found: (found.line, found.column))
        return Screened(path, data, (), tuple(d.of(path) for d in ordered[:_MOST_REFUSALS]))
    if not documents:
        empty = Refusal(path, 1, "holds no component: write `type: …`")
        return Screened(path, data, (), (empty,))
    found = list(islice(_refusals(path, documents, rules, registry), _MOST_REFUSALS))
    found.sort(key=lambda refusal: (refusal.line, refusal.column))
    return Screened(path, data, tuple(documents), tuple(found))


def _refusals(
    path: Path, documents: list[Value], rules: ScreeningRules, registry: Registry
) -> Iterator[Refusal]:
    templates = 0
    for index, document in enumerate(documents):
        for loc, place, text in _problems(document, rules, registry):
            yield Refusal(path, place.line, text, place.column, loc, index)
        for loc, value, is_key in texts_in(document, ()):
            if "{" not in value.value:
                continue
            templates += openings(value.value)
            if templates > rules.max_templates:
                text = f"the file holds more than {rules.max_templates:,} templates"
                yield Refusal(path, value.line, text, value.column, loc, index)
                return
            problem = _brace_problem(document, loc, value, is_key, rules)
            if problem is not None:
                line, text = problem
                yield Refusal(path, line, text, value.column, loc, index)


def _brace_problem(
    document: Value, loc: Loc, value: Value, is_key: bool, rules: ScreeningRules
) -> tuple[int, str] | None:
    if is_key:
        if openings(value.value):
            return value.line, "braces in a key are not allowed: they are for values"
        return None
    attributes = document.value.get("attributes") if isinstance(document.value, dict) else None
    type_name = document.value.get("type") if isinstance(document.value, dict) else None
    allowed = names_allowed(type_name, attributes, loc, rules)
    found = first_problem(value.value, allowed)
    if found is None:
        return None
    start, text = found
    # Of a block, the line is known: its text is what stands in the file.
    lines = value.value.count("\n", 0, start) + 1 if value.style == "|" else 0
    return value.line + lines, text


def _problems(
    document: Value, rules: ScreeningRules, registry: Registry
) -> Iterator[tuple[Loc, Value, str]]:
    if not isinstance(document.value, dict):
        words = "is empty" if document.value is None else "is no component"
        yield (), document, f"{words}: write `type: …` and `attributes:`"
        return
    for key, _ in document.entries:
        if key.value not in TOP_LEVEL_KEYS:
            yield (
                (key.value,),
                key,
                f"unknown key. {did_you_mean(shown(key.value), TOP_LEVEL_KEYS)}",
            )
    yield from _about_type(document, rules, registry)
    entry = document.entry("template_vars_module")
    if entry is not None and entry[1].value not in ({None} | rules.template_vars_modules):
        allowed = ", ".join(sorted(rules.template_vars_modules)) or "none"
        text = f"imports Python and is not allowed in this project. Allowed: {allowed}"
        yield ("template_vars_module",), entry[0], text
    entry = document.entry("post_processing")
    if entry is not None and entry[1].value is not None and not rules.post_processing:
        text = "is not allowed in this project: say it in the component's `attributes`"
        yield ("post_processing",), entry[0], text


def _about_type(
    document: Value, rules: ScreeningRules, registry: Registry
) -> Iterator[tuple[Loc, Value, str]]:
    entry = document.entry("type")
    if entry is None or entry[1].value is None:
        place = document if entry is None else entry[0]
        yield ("type",), place, f"is missing: write `type: {_OURS}` or another component's"
        return
    key, name = entry[0], entry[1].value
    text = _type_problem(name, rules, registry)
    if text is not None:
        yield ("type",), key, text


def _type_problem(name: Any, rules: ScreeningRules, registry: Registry) -> str | None:
    if not isinstance(name, str) or "." not in name:
        return f"{_quoted(name)} is no component type, write it as in `type: {_OURS}`"
    parts = name.lstrip(".").split(".")
    if not all(_is_plain(part) for part in parts) or name.startswith(".."):
        return f"{_quoted(name)} is no component type, write it as in `type: {_OURS}`"
    if rules.types is not None:
        if name in rules.types:
            return None
        return f"`{shown(name)}` is not allowed in this project. {did_you_mean(shown(name), rules.types)}"
    if name.startswith("."):
        if rules.python_below_defs:
            return None
        return f"`{shown(name)}` is Python below `defs`, which this project does not allow"
    if registry.knows(name):
        return None
    module = name.rpartition(".")[0]
    known = ", ".join(sorted(registry.modules)) or "none"
    return (
        f"`{shown(module)}` is not registered: install the package, or name the module in "
        f"`registry_modules` of the project. Registered: {known}"
    )


def _is_plain(part: str) -> bool:
    plain = part.isascii() and part.isidentifier() and not keyword.iskeyword(part)
    return plain and not part.startswith("_")


def _quoted(value: Any) -> str:
    return repr(shown(value)) if isinstance(value, str) else shown(value)
