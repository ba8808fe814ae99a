"""Whose code it was that hung or ended the worker, told from what the worker left."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dagbook.bridge_protocol import BridgeError, Code

#: How `faulthandler` writes a frame; the innermost comes first.
_FRAME = re.compile(r'^  File "(?P<file>.+)", line (?P<line>\d+) in (?P<function>.+)$')
_KEPT_LINES = 20


@dataclass(frozen=True)
class Frame:
    """Where code was."""

    file: str
    line: int
    function: str


@dataclass(frozen=True)
class Culprit:
    """What happened, and where. `module` is set when it happened on import."""

    code: Code
    text: str
    frame: Frame | None
    module: str | None
    last_words: tuple[str, ...]

    def as_error(self, verb: str) -> BridgeError:
        """What whoever asked is told."""
        loc = None
        if self.frame is not None:
            loc = {
                "file": self.frame.file,
                "line": self.frame.line,
                "function": self.frame.function,
            }
        return BridgeError(self.code, f"`{verb}`: {self.text}", loc, self.last_words)


def find_culprit(
    code: Code,
    how: str,
    said: Sequence[str],
    *,
    importing: str | None,
    is_foreign: Callable[[str], bool],
) -> Culprit:
    """Say what happened.

    Args:
        code: of what kind it is.
        how: in words, ``did not answer within 10 s``.
        said: what the worker printed, with its stack at the end where there is one.
        importing: the module of a component that was imported last, in this question.
        is_foreign: whether a file is component code.
    """
    frames = [
        Frame(match["file"], int(match["line"]), match["function"])
        for match in map(_FRAME.match, said)
        if match
    ]
    foreign = [frame for frame in frames if is_foreign(frame.file)]
    words = tuple(line for line in said if not _of_stack(line))[-_KEPT_LINES:]
    on_import = any(frame.function == "<module>" for frame in foreign)
    if importing is not None and (on_import or not frames):
        place = f", at {foreign[0].file}:{foreign[0].line}" if foreign else ""
        return Culprit(
            code,
            f"importing `{importing}` {how}{place}",
            foreign[0] if foreign else None,
            importing,
            words,
        )
    if foreign:
        frame = foreign[0]
        text = f"`{frame.function}` in {frame.file}:{frame.line} {how}"
        return Culprit(code, text, frame, None, words)
    return Culprit(code, f"the code of the components {how}", None, None, words)


def _of_stack(line: str) -> bool:
    starts = ("  File ", "Current thread", "Stack (most", "Fatal Python", "Extension modules")
    return line.startswith(starts) or not line.strip()
