"""The journal of a running execution: what has happened so far, safe on disk.

A folder beside the notebook to be written, ``.<name>.running``, holds ``journal.jsonl`` and
what the run reports. Lines are appended as things happen, so a run that is killed with
everything around it loses at most the last second. The final notebook is written once and
put in its place by a rename; the folder is then removed. A folder whose owner is gone is
turned into a notebook by `dagbook.execution.recovery`.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import rmtree
from typing import Any

from dagbook.execution.outputs import CellOutputs, Output, output_size
from dagbook.execution.result import json_safe

FLUSH_SECONDS = 1.0
FLUSH_BYTES = 1_000_000
WRITE_BYTES = 256_000
_OUTPUT_EVENTS = frozenset({"stream", "output", "clear", "snapshot"})
LOCK_NAME = "lock"
JOURNAL_NAME = "journal.jsonl"


class Journal:
    """Appends events to a running execution's folder; `discard` removes the folder."""

    def __init__(self, folder: Path) -> None:
        """Take the folder for this execution.

        Raises:
            FileExistsError: another execution holds it, or left it behind.
        """
        folder.mkdir(mode=0o700, parents=False)
        self.folder = folder
        self._lock = os.open(folder / LOCK_NAME, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._file = os.open(
            folder / JOURNAL_NAME, os.O_CREAT | os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC, 0o600
        )
        self._pending: list[list[Any]] = []
        self._pending_bytes = 0
        self._crowded: tuple[int, CellOutputs] | None = None
        self._last_flush = time.monotonic()

    def event(self, *fields: Any) -> None:
        """Note that something happened; it reaches the disk with the next flush."""
        self._pending.append(list(fields))

    def stream(self, cell: int, name: str, text: str) -> None:
        """Note text a cell printed; consecutive pieces become one line."""
        last = self._pending[-1] if self._pending else None
        if last is not None and last[0] == "stream" and last[1] == cell and last[2] == name:
            last[3].append(text)
        else:
            self._pending.append(["stream", cell, name, [text]])
        self._pending_bytes += len(text)

    def output(self, cell: int, output: Output, display_id: str | None) -> None:
        """Note an output of any other kind."""
        self._pending.append(["output", cell, output, display_id])
        self._pending_bytes += output_size(output)

    def update(self, display_id: str, output: Output) -> None:
        """Note that a display changed; only its last state of a flush is written."""
        for pending in reversed(self._pending):
            if pending[0] == "update" and pending[1] == display_id:
                pending[2] = output
                return
            if pending[0] == "output" and pending[3] == display_id:
                break
        self._pending.append(["update", display_id, output])

    def clear(self, cell: int, wait: bool) -> None:
        """Note that a cell's outputs were cleared; what was pending of them need not be written."""
        self._pending = [p for p in self._pending if p[0] not in _OUTPUT_EVENTS or p[1] != cell]
        self._pending.append(["clear", cell, wait])
        self._pending_bytes = 0

    def crowded(self, cell: int, outputs: CellOutputs) -> None:
        """Note that a cell puts out more than is kept: what is kept is written now and then.

        A cell that prints a gigabyte keeps a megabyte; the journal need not hold the rest.
        """
        if self._crowded is None:
            self._pending = [p for p in self._pending if p[0] not in _OUTPUT_EVENTS or p[1] != cell]
            self._pending_bytes = 0
        self._crowded = (cell, outputs)

    @property
    def due(self) -> bool:
        """Whether enough has come together, or enough time passed, to write."""
        if self._pending_bytes >= FLUSH_BYTES:
            return True
        waiting = bool(self._pending) or self._crowded is not None
        return waiting and time.monotonic() - self._last_flush >= FLUSH_SECONDS

    def flush(self, *, durable: bool = False) -> None:
        """Write what is pending; with `durable`, wait until it is on the disk."""
        if self._crowded is not None:
            cell, outputs = self._crowded
            self._pending.append(["snapshot", cell, outputs.finished()])
            self._crowded = None
        waiting: list[bytes] = []
        size = 0
        for fields in self._pending:
            waiting.append(_line(fields))
            size += len(waiting[-1])
            if size >= WRITE_BYTES:
                self._write(b"".join(waiting))
                waiting, size = [], 0
        self._write(b"".join(waiting))
        self._pending.clear()
        self._pending_bytes = 0
        self._last_flush = time.monotonic()
        if durable:
            os.fsync(self._file)

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[os.write(self._file, view) :]

    def release(self) -> None:
        """Let go of the folder but leave it: what is in it is still to become a notebook."""
        try:
            self.flush(durable=True)
        except OSError:
            pass  # a full disk is the likely reason to be here
        for descriptor in (self._file, self._lock):
            os.close(descriptor)

    def discard(self) -> None:
        """Remove the folder: the notebook that tells the same is in its place."""
        for descriptor in (self._file, self._lock):
            os.close(descriptor)
        rmtree(self.folder, ignore_errors=True)


def _line(fields: list[Any]) -> bytes:
    if fields[0] == "stream":
        fields = [*fields[:3], "".join(fields[3])]
    return to_json(fields) + b"\n"


def to_json(value: Any, *, indent: int | None = None) -> bytes:
    """Serialise to UTF-8 that every JSON reader takes.

    Half a surrogate pair, which UTF-8 cannot hold, is escaped; NaN and infinity, for which
    JSON has no numbers, become strings.
    """
    separators = (",", ":") if indent is None else None
    try:
        return json.dumps(
            value, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators,
            default=str,
        ).encode()  # fmt: skip
    except ValueError:  # UnicodeEncodeError is one
        return json.dumps(
            json_safe(value), indent=indent, separators=separators, default=str
        ).encode()


def read_journal(folder: Path) -> Iterator[list[Any]]:
    """The events an execution left, in order; a last line cut short is not one."""
    with (folder / JOURNAL_NAME).open("rb") as lines:
        for line in lines:
            if not line.endswith(b"\n"):
                return
            try:
                event = json.loads(line)
            except ValueError:
                continue
            if isinstance(event, list) and event:
                yield event


def is_abandoned(folder: Path) -> bool:
    """Whether the execution that owned this folder is gone."""
    try:
        lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        # Taken this very moment, or a crash between two system calls: old means a crash.
        try:
            return time.time() - folder.stat().st_mtime > 60
        except FileNotFoundError:
            return False
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(lock)
    return True
