"""How far a run has come: one line that changes at a terminal, nothing elsewhere."""

from __future__ import annotations

import shutil
import time
from typing import TextIO

from dagbook.execution import CellFinished, CellStarted, ExecutionEvent, Warned

BAR_WIDTH = 20


class ProgressBar:
    """Draws ``▓▓▓▓░░ cell 12 of 34 · 0:18``; redirected to a file it stays silent."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._shown = stream.isatty()
        self._began = time.monotonic()

    def __call__(self, event: ExecutionEvent) -> None:
        """Take in one event of the execution."""
        if self._shown and isinstance(event, CellStarted | CellFinished):
            done = event.number if isinstance(event, CellFinished) else event.number - 1
            filled = round(BAR_WIDTH * done / max(event.of, 1))
            minutes, seconds = divmod(int(time.monotonic() - self._began), 60)
            bar = "▓" * filled + "░" * (BAR_WIDTH - filled)
            line = f"{bar} cell {event.number} of {event.of} · {minutes}:{seconds:02d}"
            self._write(line[: shutil.get_terminal_size().columns - 1])
        elif isinstance(event, Warned):
            self.close()
            print(event.text, file=self._stream, flush=True)

    def close(self) -> None:
        """Take the line away."""
        if self._shown:
            self._write("")

    def _write(self, line: str) -> None:
        self._stream.write(f"\r\x1b[K{line}")
        self._stream.flush()
