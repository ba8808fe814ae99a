"""Rule: what a notebook puts out is not more than a run keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dagbook.preflight.finding import NightFinding, Severity
from dagbook.preflight.reading import Reading
from dagbook.preflight.situation import Situation

OUTPUT = "output-over-limit"


def output_findings(reading: Reading, situation: Situation) -> Iterator[NightFinding]:
    """Find cells whose stored output is larger than what a run keeps of a cell."""
    limit = situation.bytes_per_cell
    for code in reading.at_night:
        size = sum(_size(output) for output in code.stored.get("outputs", []))
        if size > limit:
            text = (
                f"put out {_megabytes(size)} when it was last run, and a run keeps "
                f"{_megabytes(limit)} of a cell, its beginning and end: print less, or write a file"
            )
            yield code.finding(OUTPUT, Severity.MAY_SURPRISE, 1, text)


def _size(value: Any) -> int:
    """About how many bytes of text a value is."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_size, value.values()))
    if isinstance(value, list):
        return sum(map(_size, value))
    return 8


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"
