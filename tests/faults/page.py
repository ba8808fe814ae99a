"""The page that tells what held and what did not, beside others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness import Fault, Means, Variant

HEAD = """\
# What a run survives

Every row is provoked for real: kernels are killed, disks are full, servers are down. `held` counts
the trials in which everything the row promises was so, with the best means of the machine
(cgroups, a PID namespace) and on the floor that an ordinary user has anywhere. Others were given
the same and judged by the same. `make faults` makes this page, of the trials that were made: a row
that was not tried is not listed. A small sample of each runs with
`make test`. What is promised, and what cannot be, is told in [promises.md](promises.md).
"""

Results = dict[str, dict[str, Any]]


def write_page(path: Path, faults: list[Fault], results: Results) -> None:
    """Write the tables of all results there are."""
    parts = [HEAD]
    for fault in faults:
        rows = [_row(fault, variant, results) for variant in fault.variants]
        rows = [row for row in rows if any(cell for cell in row[1:])]
        if not rows:
            continue
        parts.append(f"## {fault.number}: {fault.title}\n\nMust hold: {fault.promise}\n")
        header = ["", "dagbook, best", "dagbook, floor", "papermill", "dagstermill"]
        lines = [header, ["---"] * len(header), *rows]
        parts.append("\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n")
    path.write_text("\n".join(parts), "utf-8")


def _row(fault: Fault, variant: Variant, results: Results) -> list[str]:
    key = f"{fault.number}/{variant.name}"
    cells = [
        _cell(results.get(f"{key}/dagbook/{Means.BEST}")),
        _cell(results.get(f"{key}/dagbook/{Means.FLOOR}")),
        _cell(results.get(f"{key}/papermill"), reasons=True),
        _cell(results.get(f"{key}/dagstermill"), reasons=True),
    ]
    within = "" if variant.within is None else f" (within {variant.within:g} s)"
    return [variant.name + within, *cells]


def _cell(entry: dict[str, Any] | None, *, reasons: bool = False) -> str:
    if entry is None:
        return ""
    text = f"{entry['held']}/{entry['trials']}"
    if entry["slowest"] is not None:
        text += f", slowest {entry['slowest']:.2f} s"
    if reasons and entry["notes"]:
        text += f": {next(iter(entry['notes']))}".replace("|", "\\|")
    return text
