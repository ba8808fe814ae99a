"""Cells' outputs as they are stored, made ready while something else is waited for."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence

from dagbook.execution.journal import to_json
from dagbook.execution.outputs import CellOutputs, Output


class StoredOutputs:
    """The outputs of ended cells as JSON, so that at the end they are only written.

    Args:
        outputs: of all cells, by position. One that changes after it was made ready is made
            anew when it is asked for.
    """

    def __init__(self, outputs: Mapping[int, CellOutputs]) -> None:
        self._outputs = outputs
        self._ended: deque[int] = deque()
        self._ready: dict[int, tuple[int, bytes]] = {}

    def end(self, position: int) -> None:
        """Note that a cell has ended."""
        self._ended.append(position)

    def prepare_one(self) -> bool:
        """Make one cell ready; False when there is none left."""
        if not self._ended:
            return False
        self.of(self._ended.popleft())
        return True

    def of(self, position: int) -> bytes:
        """The outputs of the cell at `position`, as in its notebook."""
        outputs = self._outputs[position]
        ready = self._ready.get(position)
        if ready is None or ready[0] != outputs.version:
            ready = outputs.version, outputs_json(outputs.finished())
            self._ready[position] = ready
        return ready[1]


def outputs_json(outputs: Sequence[Output]) -> bytes:
    """A cell's outputs as they stand in a stored notebook.

    Texts are whole: the format allows it, it takes a tenth of the time, and executed notebooks
    are not compared line by line.
    """
    return json_lines(outputs, indent=4)


def json_lines(values: Sequence[object], *, indent: int) -> bytes:
    """A list with a line for each value."""
    if not values:
        return b"[]"
    between = b"\n" + b" " * indent
    parts = [b"["]
    for value in values:
        parts += [between, to_json(value), b","]
    # Joined once: each further step would copy all of it.
    return b"".join([*parts[:-1], between[:-1], b"]"])
