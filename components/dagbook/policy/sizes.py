"""Compute sizes: how much of a machine one run may use, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dagbook.errors import DagbookError, did_you_mean

GIB = 1024**3
HOUR = 3600.0


@dataclass(frozen=True)
class Size:
    """What one run may use. Memory in bytes, times in seconds, money in the platform's currency."""

    name: str
    cpus: int
    memory_bytes: int
    max_runtime_seconds: float
    gpus: int = 0
    grace_seconds: float = 10.0
    price_per_hour: float | None = None
    """None: nobody says what it costs, and no cost is shown anywhere"""
    description: str = ""
    teams: frozenset[str] | None = None
    """The teams that may use it; None: everybody"""

    @property
    def label(self) -> str:
        """The size as a reader sees it: ``medium (4 CPU, 16 GiB, 4 h)``."""
        gpu = f", {self.gpus} GPU" if self.gpus else ""
        memory = self.memory_bytes / GIB
        seconds = self.max_runtime_seconds
        time = f"{seconds:g} s"
        if seconds >= 60:
            time = f"{seconds / 60:g} min" if seconds < HOUR else f"{seconds / HOUR:g} h"
        return f"{self.name} ({self.cpus} CPU{gpu}, {memory:g} GiB, {time})"


BUILT_IN_SIZES: dict[str, Size] = {
    size.name: size
    for size in (
        Size("small", cpus=2, memory_bytes=4 * GIB, max_runtime_seconds=1 * HOUR),
        Size("medium", cpus=4, memory_bytes=16 * GIB, max_runtime_seconds=4 * HOUR),
        Size("large", cpus=16, memory_bytes=64 * GIB, max_runtime_seconds=12 * HOUR),
        Size("gpu_medium", cpus=8, memory_bytes=32 * GIB, max_runtime_seconds=8 * HOUR, gpus=1),
        Size("gpu_large", cpus=16, memory_bytes=128 * GIB, max_runtime_seconds=24 * HOUR, gpus=4),
    )
}
DEFAULT_SIZE = "small"


def find_size(name: str, sizes: Mapping[str, Size] = BUILT_IN_SIZES) -> Size:
    """Look a size up by name.

    Args:
        name: the size's name.
        sizes: the sizes there are; `Platform.sizes` where there is a platform file.

    Raises:
        DagbookError: no such size; the text lists the sizes there are, nearest first.
    """
    try:
        return sizes[name]
    except KeyError:
        raise DagbookError(
            f"compute size {name!r} does not exist. {did_you_mean(name, sizes)}"
        ) from None
