"""Writes a journal anew, without what is out of date of the cell that runs."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path

#: Events that say what a cell puts out; their second field is its position.
OUTPUT_EVENTS = frozenset({"stream", "output", "clear", "snapshot"})
_COPY_BYTES = 1_000_000


def rewrite(
    source: int, target: Path, *, upto: int, without: int, then: Iterable[bytes]
) -> tuple[int, int]:
    """Copy a journal; returns the copy's descriptor, to append to, and its size.

    Args:
        source: the journal, open for reading.
        upto: so many bytes are copied as they are: what was there before the cell began.
        without: the position of the cell whose outputs are left out of the rest.
        then: lines to end with.

    Raises:
        OSError: the copy cannot be written. The journal is as it was.
    """
    flags = os.O_CREAT | os.O_TRUNC | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
    with os.fdopen(os.dup(source), "rb") as lines:
        lines.seek(upto)
        kept = _still_needed(lines, without)
        file = os.open(target, flags, 0o600)
        try:
            lines.seek(0)
            left = upto
            while left and (data := lines.read(min(left, _COPY_BYTES))):
                left -= write_all(file, data)
            for line in (*kept, *then):
                write_all(file, line)
            return file, os.fstat(file).st_size
        except BaseException:
            os.close(file)
            raise


def write_all(file: int, data: bytes | memoryview) -> int:
    """Write all of `data`, however little the system takes at a time; returns its length."""
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
    return len(data)


def _still_needed(lines: Iterable[bytes], without: int) -> list[bytes]:
    """Lines that say something no later one says again, in their order.

    Of the changes to a display the last, of another cell (whose thread still prints) what came
    after its last snapshot.
    """
    others: list[tuple[int, bytes]] = []
    updates: dict[str, tuple[int, bytes]] = {}
    of_cells: dict[bytes, list[tuple[int, bytes]]] = {}
    for number, line in enumerate(lines):
        kind, _, rest = line.partition(b",")
        name = kind[2:-1].decode("ascii", "replace")
        if name == "update":
            updates[json.loads(line)[1]] = (number, line)
        elif name not in OUTPUT_EVENTS:
            others.append((number, line))
        elif (cell := rest.partition(b",")[0]) != b"%d" % without:
            if name == "snapshot":
                of_cells.pop(cell, None)
            of_cells.setdefault(cell, []).append((number, line))
    of_others = [entry for entries in of_cells.values() for entry in entries]
    return [line for _, line in sorted([*others, *updates.values(), *of_others])]
