"""One component in words for a terminal, and as JSON."""

from __future__ import annotations

import dataclasses
import shutil
import textwrap
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagbook.catalogue import Attribute
    from dagbook.catalogue.pages import Description

SCHEMA_ID = "dagbook.component/1"

_INDENT = "      "


def described(found: Description) -> str:
    """A component for reading in a terminal."""
    return "\n".join(_lines(found))


def as_json(found: Description) -> dict[str, Any]:
    """A component for a script."""
    return {
        "schema": SCHEMA_ID,
        "name": found.entry.name,
        "description": found.entry.description,
        "package": dataclasses.asdict(found.entry.package),
        "schema_version": found.schema_version,
        "older_versions": list(found.older_versions),
        "policy_version": found.platform.version,
        "allowed": found.allowed,
        "notebooks": found.notebooks,
        "attributes": [dataclasses.asdict(attribute) for attribute in found.attributes],
        "example": found.example,
    }


def _lines(found: Description) -> Iterator[str]:
    yield found.entry.name
    version = ""
    if found.schema_version is not None and found.schema_version > 1:
        also = ", ".join(map(str, found.older_versions))
        version = f", schema version {found.schema_version}" + (
            f" (also reads {also})" if also else ""
        )
    yield f"{found.entry.package.label}{version}"
    if found.notebooks is not None:
        yield f"used by {found.notebooks} {'notebook' if found.notebooks == 1 else 'notebooks'}"
    if not found.allowed:
        ask = f": ask {found.platform.contact}" if found.platform.contact else ""
        yield f"✕ not allowed by the platform file{ask}"
    yield ""
    yield found.entry.description
    for title, attributes in (("required", found.required), ("optional", found.optional)):
        if attributes:
            yield ""
            yield title
            yield from _of_attributes(attributes)
    if found.example is not None:
        yield ""
        yield "an example that `dagbook validate` accepts"
        yield textwrap.indent(found.example.rstrip("\n"), "  ")


def _of_attributes(attributes: Iterable[Attribute], prefix: str = "") -> Iterator[str]:
    for attribute in attributes:
        default = f", default {attribute.default}" if attribute.default is not None else ""
        required = ", required" if prefix and attribute.required else ""
        yield f"  {prefix}{attribute.name}  ({attribute.kind}{default}{required})"
        if attribute.description:
            yield from _wrapped(attribute.description)
        if (
            attribute.allowed
            and ": " not in "".join(attribute.allowed)
            and all(" " not in choice for choice in attribute.allowed)
        ):
            yield from _wrapped(f"one of {', '.join(attribute.allowed)}")
        else:
            for choice in attribute.allowed:
                yield f"{_INDENT}- {choice}"
        for line in attribute.policy:
            yield from _wrapped(f"policy: {line}")
        yield from _of_attributes(attribute.keys, f"{prefix}{attribute.name}.")


def _wrapped(text: str) -> list[str]:
    width = max(40, min(shutil.get_terminal_size((100, 24)).columns, 100))
    return textwrap.wrap(text, width, initial_indent=_INDENT, subsequent_indent=_INDENT)
