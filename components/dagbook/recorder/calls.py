"""What a notebook told MLflow, on disk before it hears that it was taken.

In the folder of a run's spool:

====================  ============================================================================
``calls.jsonl``       one call to a line, in the order in which they were acknowledged
``artifacts/``        the files that were uploaded, each in a folder of its own, under its own name
``ids.jsonl``         what the server calls what was given a name of ours, written by who delivers
====================  ============================================================================

Nobody but the owner may read any of it (0600, in a folder with 0700).
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

CALLS_FILE, IDS_FILE, ARTIFACTS_FOLDER = "calls.jsonl", "ids.jsonl", "artifacts"

_READ_BYTES = 1024 * 1024
_TELLING_LENGTH = 20
# Names of ours, see `names`: an address of artifacts, a run, a model, an experiment.
_OURS = re.compile(
    r"mlflow-artifacts:/dagbook/(?:run|model)/([0-9a-z-]+)/artifacts|(?:m-)?[0-9a-f]{32}|[0-9]{18}"
)

#: One thing the notebook asked for; ``call`` says which.
Call = dict[str, Any]


class CallLog:
    """The calls of one run, for the one process that takes them."""

    def __init__(self, folder: Path) -> None:
        """Open it, where it is new or after a restart.

        Raises:
            OSError: it cannot be written.
        """
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        self._descriptor = os.open(folder / CALLS_FILE, flags, 0o600)
        # Of a process that was killed while it wrote, half a line may stand at the end.
        self._length = _whole_length(self._descriptor)
        os.ftruncate(self._descriptor, self._length)

    @property
    def length(self) -> int:
        """How much of it there is, in bytes."""
        return self._length

    def append(self, call: Mapping[str, Any]) -> None:
        """Keep a call; it is on disk once this returns.

        Raises:
            OSError: it cannot be written; then nothing of it is there.
        """
        line = json.dumps(call, separators=(",", ":")).encode() + b"\n"
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
            os.fdatasync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self._length)
            raise
        self._length += len(line)

    def close(self) -> None:
        """Take no more."""
        os.close(self._descriptor)


def has_calls(folder: Path) -> bool:
    """Whether a run has a record of calls."""
    return (folder / CALLS_FILE).exists()


def length_of(folder: Path) -> int:
    """How much there is of a run's calls by now, in bytes."""
    try:
        return (folder / CALLS_FILE).stat().st_size
    except FileNotFoundError:
        return 0


def read_calls(folder: Path, offset: int = 0) -> Iterator[tuple[Call, int]]:
    """The calls after an offset, each with the offset after it."""
    try:
        file = (folder / CALLS_FILE).open("rb")
    except FileNotFoundError:
        return
    with file:
        file.seek(offset)
        rest = b""
        while data := file.read(_READ_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                offset += len(line) + 1
                yield json.loads(line), offset


class Ids:
    """What the server calls what the notebook knows under a name of ours.

    Names of ours are long and random, so they are found wherever they stand in a text.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / IDS_FILE
        self._offset = 0
        self._known: dict[str, str] = {}

    def refresh(self) -> None:
        """Learn what was written since."""
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return
        whole = data[: data.rfind(b"\n") + 1]
        self._offset += len(whole)
        for line in whole.splitlines():
            self._known.update(json.loads(line))

    def add(self, names: Mapping[str, str]) -> None:
        """Keep what the server calls some of them.

        Raises:
            OSError: it cannot be written.
        """
        self._known.update(names)
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self._path, flags, 0o600)
        try:
            os.write(descriptor, json.dumps(dict(names)).encode() + b"\n")
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def __contains__(self, name: str) -> bool:
        return name in self._known

    def of(self, name: str) -> str:
        """The server's name; the same where it is not one of ours, or not there yet."""
        return self._known.get(name, name)

    def translate(self, text: str) -> str:
        """A text as the server understands it."""
        return _OURS.sub(self._translated, text) if self._known else text

    def _translated(self, found: re.Match[str]) -> str:
        whole = self._known.get(found[0])
        if whole is None and found[1]:
            # The address of artifacts that are not there yet holds a name that may be.
            return found[0].replace(found[1], self.of(found[1]))
        return found[0] if whole is None else whole

    def translate_back(self, text: str) -> str:
        """A text of the server's as the notebook understands it."""
        for ours in sorted(self._known, key=lambda o: len(self._known[o]), reverse=True):
            # An experiment is "7" to the server, which may stand anywhere and mean something else.
            if len(self._known[ours]) >= _TELLING_LENGTH:
                text = text.replace(self._known[ours], ours)
        return text


def _whole_length(descriptor: int) -> int:
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _READ_BYTES)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
