"""The forms in which a value is looked for: itself, and what encodes it as a whole."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

from dagbook.masking.view import view_of

#: A line of a value of several is looked for by itself from so many characters on.
LONG_LINE = 16


def clear_forms(value: str) -> Iterator[str]:
    """The value as it is, and each long line of it: what is looked for in a text as it stands."""
    yield value
    yield from _lines(value)


def view_forms(value: str) -> Iterator[str]:
    """What is looked for in the view of a text."""
    for clear in clear_forms(value):
        for written in _written(clear):
            yield view_of(written)
        for data in dict.fromkeys((_bytes(clear), _bytes(json.dumps(clear)[1:-1]))):
            yield from _base64(data)
    yield from _hex(_bytes(value))
    if "\n" in value:
        yield from _base64(_bytes(value).replace(b"\n", b"\r\n"))


def _lines(value: str) -> Iterator[str]:
    lines = value.splitlines()
    for line in lines if len(lines) > 1 else ():
        line = line.strip()
        # -----BEGIN PRIVATE KEY----- is no secret.
        if len(line) >= LONG_LINE and not line.startswith("-----"):
            yield line


def _written(value: str) -> Iterator[str]:
    """The value in the ways that a view does not undo."""
    yield value
    yield value.replace(" ", "+")  # in the query of a URL
    for quote in ("'", '"'):
        if quote in value:
            yield value.replace(quote, quote * 2)  # SQL, CSV
    yield value.replace("'", "'\"'\"'")  # a shell
    yield value.replace("'", "'\\''")
    if not value.isascii():
        # Bytes written one by one; and the halves of a letter that JSON takes for two.
        yield _bytes(value).decode("latin-1")
        yield "".join(_halves(letter) for letter in value)


def _halves(letter: str) -> str:
    code = ord(letter) - 0x10000
    return letter if code < 0 else chr(0xD800 + (code >> 10)) + chr(0xDC00 + (code & 0x3FF))


def _base64(data: bytes) -> Iterator[str]:
    for before in range(3):
        # The characters that depend on nothing but the value, wherever it begins.
        start, end = -(-before * 8 // 6), (before + len(data)) * 8 // 6
        padded = b"\0" * before + data
        yield base64.b64encode(padded)[start:end].decode()
        yield base64.urlsafe_b64encode(padded)[start:end].decode()


def _hex(data: bytes) -> Iterator[str]:
    for text in (data.hex(), data.hex(":"), data.hex(" ")):
        yield text
        yield text.upper()


def _bytes(value: str) -> bytes:
    return value.encode("utf-8", "surrogatepass")
