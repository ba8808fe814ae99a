"""What the bridge and its clients say to each other: JSON, one object a line."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from dagbook.errors import DagbookError

#: Goes up when a client written for the version before could misread an answer.
PROTOCOL = 1


class Code(StrEnum):
    """Why there is no answer, for a program; the text beside it is for people."""

    REFUSED = "refused"  # the user's mistake; the text says what to do
    INVALID_REQUEST = "invalid_request"  # the front end's mistake
    UNTRUSTED = "untrusted"  # needs the project's code, and nobody said it may run
    CHANGED = "changed"  # the settings on disk are not those that the change was made from
    COMPONENT_CODE = "component_code"  # code of a company or of the project raised, or left
    TOO_SLOW = "too_slow"  # such code did not answer in time
    CRASHED = "crashed"  # such code ended its process
    TIMED_OUT = "timed_out"  # the front end's own time was over
    CANCELLED = "cancelled"
    DOWN = "down"  # the bridge does not run; the text says why, and when it is tried again
    BUG = "bug"  # ours


class BridgeError(DagbookError):
    """An answer the bridge could not give.

    Attributes:
        code: why, for a program.
        text: why, in one line.
        loc: where, as far as it is known: ``file``, ``line``, ``function``, ``key``.
        last_words: what the code in question had printed.
    """

    def __init__(
        self,
        code: Code | str,
        text: str,
        loc: Mapping[str, Any] | None = None,
        last_words: Sequence[str] = (),
    ) -> None:
        super().__init__(text)
        known = {str(each) for each in Code}
        self.code = Code(code) if code in known else Code.BUG
        self.text = text
        self.loc = dict(loc) if loc else None
        self.last_words = tuple(last_words)

    def to_json(self) -> dict[str, Any]:
        """As it stands behind ``error`` in an answer."""
        told: dict[str, Any] = {"code": str(self.code), "text": self.text, "loc": self.loc}
        if self.last_words:
            told["last_words"] = list(self.last_words)
        return told

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> BridgeError:
        """What an answer has behind ``error``."""
        return cls(
            str(told.get("code", Code.BUG)),
            str(told.get("text", "the bridge gave no reason")),
            told.get("loc"),
            tuple(map(str, told.get("last_words", ()))),
        )


def line_of(message: Mapping[str, Any]) -> str:
    """A message as its line. No character that some reader takes for the end of a line."""
    try:
        text = json.dumps(message, separators=(",", ":"), default=str, allow_nan=False)
    except ValueError:
        text = json.dumps(_finite(message), separators=(",", ":"), default=str)
    return f"{text}\n"


def _finite(value: Any) -> Any:
    """With text for the numbers that JSON has no word for."""
    if isinstance(value, float) and not math.isfinite(value):
        return repr(value)
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def message_of(line: str) -> dict[str, Any] | None:
    """The message in a line; None where there is none, such as in what somebody printed."""
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
