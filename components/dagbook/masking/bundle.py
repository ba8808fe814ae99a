"""Masks what a notebook displays: content by type, some of it bytes in base64."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from dagbook.masking.masker import Masker

_BINARY = ("image/", "audio/", "video/", "font/", "application/pdf", "application/octet-stream")


def masked_bundle(masker: Masker, data: Any) -> Any:
    """Content by type with every known value masked: texts, JSON with its names, and bytes.

    Bytes (an image, a PDF) are decoded and looked through. One that has a value in it, in a
    comment say, would not be valid without: it is left out, and a text says so. What is compressed
    in them is not looked into.
    """
    if not isinstance(data, Mapping):
        return masker.value(data)
    masked: dict[Any, Any] = {}
    left_out: list[str] = []
    for mime, value in data.items():
        content = _decoded(mime, value)
        shown = masker.text(mime) if isinstance(mime, str) else mime
        if content is None:
            masked[shown] = masker.value(value)
        elif masker.holds(value) or masker.holds_data(content):
            left_out.append(shown)
        else:
            masked[shown] = value
    if left_out:
        said = f"[dagbook left out {', '.join(left_out)}: the value of a credential is in it]"
        before = masked.get("text/plain")
        masked["text/plain"] = f"{before}\n{said}" if isinstance(before, str) else said
    return masked


def _decoded(mime: Any, value: Any) -> bytes | None:
    """The bytes that a content is; None when it is a text, or JSON."""
    if not isinstance(mime, str) or not mime.startswith(_BINARY) or "xml" in mime:
        return None
    if isinstance(value, list) and all(isinstance(line, str) for line in value):
        value = "".join(value)
    if not isinstance(value, str):
        return None
    try:
        return base64.b64decode(value)
    except (binascii.Error, ValueError):
        return None  # a text after all
