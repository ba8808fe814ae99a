"""Compute sizes: how much of a machine one run may use, by name."""

from __future__ import annotations

from dataclasses import dataclass

from dagbook.errors import DagbookError, did_you_mean

GIB = 1024**3
HOUR = 3600.0


@dataclass(frozen=True)
class Size:
    """What one run may use. Memory in bytes, times in seconds."""

    name: str
    cpus: int
    memory_bytes: int
    max_runtime_seconds: float
    gpus: int = 0
    grace_seconds: float = 10.0

    @property
    def label(self) -> str:
        """The size as a reader sees it: ``medium (4 CPU, 16 GiB, 4 h)``."""
        gpu = f", {self.gpus} GPU" if self.gpus else ""
        memory = self.memory_bytes / GIB
        hours = self.max_runtime_seconds / HOUR
        return f"{self.name} ({self.cpus} CPU{gpu}, {memory:g} GiB, {hours:g} h)"


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


def find_size(name: str) -> Size:
    """Look a size up by name.

    Raises:
        DagbookError: no such size; the text lists the sizes there are, nearest first.
    """
    try:
        return BUILT_IN_SIZES[name]
    except KeyError:
        raise DagbookError(
            f"compute size {name!r} does not exist. {did_you_mean(name, BUILT_IN_SIZES)}"
        ) from None
