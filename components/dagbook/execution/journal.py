"""The journal of a running execution: what has happened so far, safe on disk.

A folder beside the notebook to be written, ``.<name>.running``, holds ``journal.jsonl`` and
what the run reports. Lines are appended as things happen: when a cell ends all of it is
written, and while one runs what it puts out is written every second. So a run that is killed
with everything around it loses at most the last second of the cell that ran. The final notebook
is written once and put in its place by a rename; the folder is then removed. A folder whose
owner is gone is turned into a notebook by `dagbook.execution.recovery`.

A journal that cannot be written, because the disk is full say, does not end the run: what
happened is in memory too, and a run of hours is worth more than the copy that protects it. It is
tried again every few seconds, nothing is lost in between, and the result says so.

What a cell shows may change all the time, and a cell may run for hours. When most of what was
written of it is out of date, the journal is written anew without that: its size follows what is
kept, not how long it took.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict
from itertools import groupby
from pathlib import Path
from typing import Any

from dagbook.execution.journal_rewrite import OUTPUT_EVENTS, rewrite, write_all
from dagbook.execution.outputs import CellOutputs, Output, output_size
from dagbook.execution.result import ExecutionResult, json_safe
from dagbook.execution.run_folder import RunFolder

FLUSH_SECONDS = 1.0
FLUSH_BYTES = 1_000_000
WRITE_BYTES = 256_000
EARLY_BYTES = 64_000
#: How soon what was written is on its way to the disk itself.
START_SECONDS = 5.0
#: How soon a journal that could not be written is tried again.
RETRY_SECONDS = 5.0
#: How much of a journal may be out of date while a cell runs, and once it has ended. In bytes,
#: or as that part of all that stood there before, whichever is more.
STALE_WHILE_RUNNING = (16_000_000, 0.5)
STALE_AT_END = (2_000_000, 0.25)
JOURNAL_NAME = "journal.jsonl"


class Journal:
    """Appends events to a running execution's folder; `discard` removes the folder.

    Attributes:
        trouble: why it could last not be written; None as long as it always could.
    """

    def __init__(self, folder: Path) -> None:
        """Take the folder for this execution.

        Raises:
            FileExistsError: another execution holds it, or left it behind.
            OSError: it cannot be made.
        """
        self.folder = folder
        self.trouble: OSError | None = None
        self._owned = RunFolder.take(folder)
        try:
            self._file = os.open(
                folder / JOURNAL_NAME, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o600
            )
        except BaseException:
            self._owned.remove()
            raise
        self._written = 0
        self._started_bytes = 0
        self._started_at = time.monotonic()
        self._is_torn = False
        self._retry_at = 0.0
        self._pending: list[list[Any]] = []
        self._pending_bytes = 0
        self._crowded: dict[int, CellOutputs] = {}
        self._cell: tuple[int, CellOutputs] | None = None
        self._cell_from = self._cell_needs = 0
        self._last_flush = time.monotonic()

    def begin_cell(self, cell: int, outputs: CellOutputs) -> None:
        """Note that a cell begins: what was before is written, and so is that."""
        self.event("cell", cell, "running", time.time(), None)
        self.flush()
        self._cell = (cell, outputs)
        self._cell_from, self._cell_needs = self._written, 0

    def end_cell(
        self, cell: int, status: str, seconds: float | None, error: Any, count: int | None
    ) -> None:
        """Note how a cell ended. Nothing that follows can lose it any more."""
        self.event("cell", cell, status, seconds, error, count)
        self.flush()
        self._tidy(STALE_AT_END)
        self._cell = None

    def end_run(self, result: ExecutionResult, stopped_at: int | None) -> None:
        """Note how the run ended; what is left is to put its notebook in place."""
        self.event(
            "end",
            {
                "status": str(result.status),
                "reason": result.reason,
                "duration_seconds": result.duration_seconds,
                "notes": result.notes,
                "resources": asdict(result.resources),
                "stopped_at": stopped_at,
            },
        )
        self.flush()

    def event(self, *fields: Any) -> None:
        """Note that something happened; it reaches the disk with the next flush."""
        self._pending.append(list(fields))

    def stream(self, cell: int, name: str, text: str, as_json: memoryview | None = None) -> None:
        """Note text a cell printed; consecutive pieces become one line.

        Args:
            as_json: the text in JSON, without the quotes, where that is known.
        """
        piece = text if as_json is None else as_json
        last = self._pending[-1] if self._pending else None
        if last is not None and last[0] == "stream" and last[1] == cell and last[2] == name:
            last[3].append(piece)
        else:
            self._pending.append(["stream", cell, name, [piece]])
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
        self._pending = [p for p in self._pending if p[0] not in OUTPUT_EVENTS or p[1] != cell]
        self._pending.append(["clear", cell, wait])
        self._pending_bytes = 0

    def crowded(self, cell: int, outputs: CellOutputs) -> None:
        """Note that a cell puts out more than is kept: what is kept is written now and then.

        A cell that prints a gigabyte keeps a megabyte; the journal need not hold the rest.
        """
        if cell not in self._crowded:
            self._pending = [p for p in self._pending if p[0] not in OUTPUT_EVENTS or p[1] != cell]
            self._pending_bytes = 0
            self._crowded[cell] = outputs

    @property
    def has_much(self) -> bool:
        """Whether so much is pending that it is worth writing when there is nothing else to do."""
        return self._pending_bytes >= EARLY_BYTES and time.monotonic() >= self._retry_at

    @property
    def due(self) -> bool:
        """Whether enough has come together, or enough time passed, to write."""
        if self._pending_bytes >= FLUSH_BYTES:
            return time.monotonic() >= self._retry_at
        since = time.monotonic() - self._last_flush
        if self._pending or self._crowded:
            return since >= FLUSH_SECONDS
        return self._started_bytes < self._written and since >= START_SECONDS

    def flush(self, *, durable: bool = False) -> None:
        """Write what is pending; with `durable`, wait until it is on the disk.

        What cannot be written stays pending, and `trouble` says why.
        """
        self._last_flush = time.monotonic()
        if self._last_flush < self._retry_at and not durable:
            return
        self._pending += [_snapshot(*crowded) for crowded in self._crowded.items()]
        self._crowded.clear()
        try:
            self._write_pending()
            if durable:
                os.fsync(self._file)
        except OSError as error:
            self.trouble = error
            self._retry_at = self._last_flush + RETRY_SECONDS
        else:
            self._tidy(STALE_WHILE_RUNNING)
            self._start_writing()

    def _start_writing(self) -> None:
        """Have the system bring what was written to the disk, every few seconds, unwaited for.

        By itself it begins only half a minute later, which a machine that stops would lose.
        """
        now = time.monotonic()
        if self._started_bytes < self._written and now - self._started_at >= START_SECONDS:
            self._started_bytes, self._started_at = self._written, now
            with suppress(OSError):
                os.posix_fadvise(self._file, 0, 0, os.POSIX_FADV_DONTNEED)

    def _write_pending(self) -> None:
        waiting: list[bytes | memoryview] = []
        size = done = 0
        try:
            for number, fields in enumerate(self._pending, start=1):
                line = _line(fields)
                waiting += line
                size += sum(map(len, line))
                if size >= WRITE_BYTES or number == len(self._pending):
                    self._write(waiting)
                    waiting, size, done = [], 0, number
        finally:
            del self._pending[:done]
        self._pending_bytes = 0

    def _write(self, pieces: list[bytes | memoryview]) -> None:
        if self._is_torn:
            pieces = [b"\n", *pieces]
        written = 0
        try:
            # A long piece is written from where it is; short ones are put together before.
            for is_long, group in groupby(pieces, key=lambda piece: len(piece) >= WRITE_BYTES):
                for data in group if is_long else [b"".join(group)]:
                    written += write_all(self._file, data)
        except OSError:
            self._take_back()
            raise
        self._written += written
        self._is_torn = False

    def _take_back(self) -> None:
        """Remove the part of a line that a full disk took, so that the next one is whole."""
        try:
            os.ftruncate(self._file, self._written)
        except OSError:
            self._is_torn = True

    def _tidy(self, allowed: tuple[int, float]) -> None:
        """Write the journal anew when more than `allowed` of it is out of date."""
        if self._cell is None or self._pending:
            return
        cell, outputs = self._cell
        stale = self._written - self._cell_from - outputs.size - self._cell_needs
        if stale <= max(allowed[0], self._cell_from * allowed[1]):
            return
        fresh = self.folder / f"{JOURNAL_NAME}.new"
        last = [_snapshot(cell, outputs)]
        if outputs.is_clear_pending:
            last.append(["clear", cell, True])
        try:
            then = [b"".join(_line(fields)) for fields in last]
            file, size = rewrite(self._file, fresh, upto=self._cell_from, without=cell, then=then)
            fresh.replace(self.folder / JOURNAL_NAME)
        except OSError:
            self._cell = None  # it is good as it is, only long: not again for this cell
            with suppress(OSError):
                fresh.unlink()
            return
        os.close(self._file)
        self._file, self._written, self._started_bytes = file, size, 0
        # What is not the cell's output, or takes more as JSON, is no less needed next time.
        self._cell_needs = max(0, size - self._cell_from - outputs.size)

    def release(self) -> None:
        """Let go of the folder but leave it: what is in it is still to become a notebook."""
        if self._file >= 0:
            self.flush(durable=True)
            self._close()
            self._owned.release()

    def discard(self) -> None:
        """Remove the folder: the notebook that tells the same is in its place."""
        if self._file >= 0:
            self._close()
            self._owned.remove()

    def _close(self) -> None:
        os.close(self._file)
        self._file = -1


def _snapshot(cell: int, outputs: CellOutputs) -> list[Any]:
    shown = outputs.finished()
    return ["snapshot", cell, shown, outputs.display_ids(shown)]


def _line(fields: list[Any]) -> list[bytes | memoryview]:
    """An event as a line, in pieces."""
    if fields[0] != "stream":
        return [to_json(fields) + b"\n"]
    *before, pieces = fields
    line: list[bytes | memoryview] = [to_json(before)[:-1] + b',"']
    for kind, group in groupby(pieces, key=type):
        run = list(group)
        # Of short pieces the text is made first.
        line += [to_json("".join(run))[1:-1]] if kind is str else run
    return [*line, b'"]\n']


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
