"""Values written as YAML, so that every reader of YAML gets back what was meant."""

from __future__ import annotations

import datetime
import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from dagbook.errors import DagbookError
from dagbook.yaml_scalars import plain_scalar

#: A mapping or list is written in one line as long as the line stays within this.
LINE_WIDTH = 100

# Words and paths joined by single blanks. What it leaves out is quoted, though YAML would take
# much of it: nobody has to know that `a: b`, `- x` or `#1` need quotes and `a:b` does not.
_WORD = r"[\w./+-]+(?::[\w./+-]+)*"
_SAFE = re.compile(rf"(?![0-9+-]){_WORD}(?: (?!-){_WORD})*", re.ASCII)
# What YAML 1.2, or a reader that knows dates, takes for something else than text.
_OTHER_READERS = re.compile(
    r"[-+]?\.?[0-9][0-9_.]*([eE][-+]?[0-9]+)?|[-+]?0[ox][0-9a-fA-F_]+|\d{4}-\d\d?-\d\d?.*"
)
_UNPRINTABLE = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ud800-\udfff\ufffe\uffff]")


def scalar_text(value: Any, *, quote: str | None = None) -> str:
    """One scalar as YAML: ``daily`` stays plain, ``"3"``, ``"yes"`` and ``"a: b"`` get quotes.

    Args:
        value: None, a bool, number, date or text.
        quote: ``'`` or ``"``, to keep the quotes a text had before.

    Raises:
        DagbookError: the value is of a type YAML has no word for.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, float):
        return _float_text(float(value))
    if isinstance(value, (datetime.date, datetime.time)):
        return scalar_text(value.isoformat(), quote=quote)
    if not isinstance(value, str):
        raise DagbookError(f"a {type(value).__name__} cannot be written to YAML")
    if quote == "'" and not re.search(r"[\x00-\x1f]", value) and not _UNPRINTABLE.search(value):
        return "'" + value.replace("'", "''") + "'"
    if quote is None and _is_plain(value):
        return value
    quoted = json.dumps(value, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda match: f"\\u{ord(match.group()):04x}", quoted)


def flow_text(value: Any) -> str:
    """A value in one line: ``{cron: "0 2 * * *", timezone: UTC}``."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{scalar_text(k)}: {flow_text(v)}" for k, v in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(flow_text(item) for item in value) + "]"
    return scalar_text(value)


def entry_text(key: Any, value: Any, indent: int, step: int = 2) -> str:
    """``key: value`` at an indentation, in one line where it fits, else in several.

    The first line is not indented: it is put where the key goes.
    """
    name = scalar_text(key)
    line = f"{name}: {flow_text(value)}"
    if not is_collection(value) or not value or indent + len(line) <= LINE_WIDTH:
        return line
    inner = indent + step
    return f"{name}:\n" + " " * inner + block_text(value, inner, step)


def block_text(value: Mapping[Any, Any] | Sequence[Any], indent: int, step: int = 2) -> str:
    """A mapping or list in several lines; the first line is not indented."""
    gap = "\n" + " " * indent
    if isinstance(value, Mapping):
        return gap.join(entry_text(key, item, indent, step) for key, item in value.items())
    return gap.join(
        "- " + (block_text(item, indent + 2, step) if _is_long(item, indent) else flow_text(item))
        for item in value
    )


def is_collection(value: Any) -> bool:
    """Whether a value is a mapping or a list; a text is neither."""
    return isinstance(value, (Mapping, Sequence)) and not isinstance(value, str)


def _is_long(value: Any, indent: int) -> bool:
    return is_collection(value) and indent + 2 + len(flow_text(value)) > LINE_WIDTH


def _is_plain(text: str) -> bool:
    if not _SAFE.fullmatch(text) or _OTHER_READERS.fullmatch(text):
        return False
    try:
        return bool(plain_scalar(text) == text)
    except ValueError:
        return False


def _float_text(value: float) -> str:
    if math.isnan(value):
        return ".nan"
    if math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    text = repr(value)
    # YAML 1.1 takes `1e-05` for text: it wants a dot before the exponent.
    return text.replace("e", ".0e") if "e" in text and "." not in text else text
