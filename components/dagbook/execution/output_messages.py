"""Turns what a kernel sends into outputs as a notebook may hold them, whatever it sends.

Each output is valid as soon as it is made, by a look at its few names. So nothing is validated
while a notebook runs, nor again when all of it is stored.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dagbook.execution.outputs import Output


def stream_text(content: Mapping[str, Any]) -> tuple[str, str]:
    """Name and text of a ``stream`` message; the text may be empty."""
    name, text = content.get("name"), content.get("text")
    return name if isinstance(name, str) else "stdout", text if type(text) is str else _text(text)


def error_output(content: Mapping[str, Any]) -> Output:
    """The output of an ``error`` message, or of a reply that tells of one."""
    traceback = content.get("traceback")
    return {
        "output_type": "error",
        "ename": _text(content.get("ename")),
        "evalue": _text(content.get("evalue")),
        "traceback": [_text(line) for line in traceback] if isinstance(traceback, list) else [],
    }


def rich_output(kind: str, content: Mapping[str, Any]) -> Output:
    """The output of a ``display_data``, ``execute_result`` or ``update_display_data`` message."""
    output: Output = {
        "output_type": "execute_result" if kind == "execute_result" else "display_data",
        "data": mime_bundle(content.get("data")),
        "metadata": _mapping(content.get("metadata")),
    }
    if kind == "execute_result":
        output["execution_count"] = execution_count(content)
    return output


def mime_bundle(data: Any) -> dict[str, Any]:
    """Content by type: text, but any JSON where the type is a kind of it."""
    return {
        mime: value if isinstance(value, str) or _is_json(mime) else _text(value)
        for mime, value in _mapping(data).items()
    }


def execution_count(content: Mapping[str, Any]) -> int | None:
    """The number a kernel gave to what was executed."""
    count = content.get("execution_count")
    return count if type(count) is int and count >= 0 else None


def display_id(content: Mapping[str, Any]) -> str | None:
    """The name something is displayed under, if it has one."""
    found = _mapping(content.get("transient")).get("display_id")
    return None if found is None else str(found)


def _is_json(mime: str) -> bool:
    return mime.startswith("application/") and mime.endswith(("+json", "/json"))


def _mapping(value: Any) -> dict[str, Any]:
    return dict(value) if isinstance(value, Mapping) else {}


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        return "".join(value)
    return json.dumps(value)
