"""A component file read once, whatever stands under its name."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from dagbook.safe_yaml.rules import Refusal


class Refused(Exception):
    """A file that is not looked at further."""

    def __init__(self, line: int, column: int, text: str) -> None:
        super().__init__(text)
        self.line = line
        self.column = column
        self.text = text

    def of(self, file: Path) -> Refusal:
        """The refusal of this file."""
        return Refusal(file, self.line, self.text, self.column)


def read_once(path: Path, *, inside: Path | None, max_bytes: int) -> bytes:
    """The bytes of a regular file; a pipe, a device or a huge file is not waited for.

    Args:
        path: the file.
        inside: the folder in which it must lie, links followed; without links itself.
        max_bytes: the most that is read.

    Raises:
        Refused: it is no file that may be read; the text says why.
    """
    try:
        # Before it is opened: opening alone can rewind a tape.
        if not stat.S_ISREG(path.stat().st_mode):
            raise Refused(1, 1, "is not a file")
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise Refused(1, 1, f"cannot be read: {os.strerror(error.errno or 0)}") from None
    with os.fdopen(handle, "rb") as file:
        # And again of what was opened, which may be something else by now.
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            raise Refused(1, 1, "is not a file")
        if inside is not None and not _opened(handle, path).is_relative_to(inside):
            raise Refused(1, 1, f"is a link that leads out of {inside}: put the file itself there")
        if found.st_size > max_bytes:
            raise _too_large(max_bytes)
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise _too_large(max_bytes)
    return data


def decoded(data: bytes) -> str:
    """The text of a file as Dagster gets it: UTF-8, every line end a line feed.

    Raises:
        Refused: it is not UTF-8.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(data[: error.start].count(b"\n") + 1, 1, "not UTF-8 text") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _opened(handle: int, path: Path) -> Path:
    # What the handle leads to, where the system tells: the name may lead elsewhere by now.
    try:
        return Path(os.readlink(f"/proc/self/fd/{handle}"))  # noqa: PTH115 (no name of a file)
    except OSError:
        return Path(os.path.realpath(path))


def _too_large(max_bytes: int) -> Refused:
    return Refused(1, 1, f"is larger than {max_bytes:,} bytes: no component file is")
