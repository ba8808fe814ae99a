"""The measured runs as a page of Markdown: medians, and ratios against papermill."""

from __future__ import annotations

import datetime
import math
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from contestants import Contestant
from subjects import Subject

BASELINE = "papermill"
#: Reads messages as papermill does, and does nothing else.
LINE_BASELINE = "nbclient"
MEGABYTE = 1_000_000

Run = dict[str, Any]


def page(
    runs: Sequence[Run], contestants: Sequence[Contestant], subjects: Sequence[Subject]
) -> str:
    """The whole page."""
    rounds = max((_count(runs, c, s) for c in contestants for s in subjects), default=0)
    parts = [
        "# Benchmarks",
        f"Written by `make bench` on {datetime.date.today()}: {_machine()}. Medians of {rounds} "
        "interleaved round(s) after one that warms the disk's cache; every run is cold, in a process "
        "of its own, as at a terminal or under cron. In brackets: the ratio to papermill. The "
        "outputs of every run were there in full, unless it is said otherwise.",
        "Wall is the time until the command ended. CPU is user and system time of it and all its "
        "descendants, kernel included. Written is what they handed to the disk, and *final* the "
        "size of what was left there. Memory is from a run of its own, in which it was sampled 20 "
        "times a second: *own* is the peak of the command's process without the kernel's, *tree* "
        "the peak of all processes, shared pages counted once.",
    ]
    for subject in subjects:
        rows = [_row(runs, c, subject) for c in contestants if _count(runs, c, subject)]
        heads = ["", "wall", "CPU", "written", "final", "own memory", "tree memory"]
        parts += [f"## {_capital(subject.title)}", _table(heads, rows)]
    for subject in subjects:
        if subject.lines and (rows := _line_rows(runs, contestants, subject)):
            heads = ["", "own CPU", "each line", "ratio to nbclient", "lines kept"]
            parts += [
                f"## What each of {subject.lines:,} flushed lines costs the process that runs the "
                "notebook",
                "CPU time of the command's own process, without the kernel's, beyond an empty "
                "notebook's. A kernel drops what its client does not take in time: *lines kept* "
                "is the least of all runs, and the cost is that of a line kept.",
                _table(heads, rows),
            ]
    growth = _growth(runs, contestants)
    if growth:
        parts += ["## Growth with the number of cells", *growth]
    parts += ["## Versions", _versions(contestants)]
    return "\n\n".join(parts) + "\n"


def _row(runs: Sequence[Run], contestant: Contestant, subject: Subject) -> list[str]:
    def cell(key: str, show: Callable[[float], str]) -> str:
        value = _median(runs, contestant.name, subject.name, key)
        if value is None:
            return "–"
        base = _median(runs, BASELINE, subject.name, key)
        if not base or key == "final":
            return show(value)
        return f"{show(value)} ({value / base:.2f})"

    return [
        contestant.title,
        cell("wall", _seconds),
        cell("cpu", _seconds),
        cell("written", _megabytes),
        cell("final", _megabytes),
        cell("runner", _megabytes),
        cell("tree", _megabytes),
    ]


def _line_rows(
    runs: Sequence[Run], contestants: Sequence[Contestant], subject: Subject
) -> list[list[str]]:
    each: dict[str, float] = {}
    for contestant in contestants:
        own = _median(runs, contestant.name, subject.name, "own")
        idle = _median(runs, contestant.name, "empty", "own")
        kept = _median(runs, contestant.name, subject.name, "kept")
        if contestant.executed is not None and None not in (own, idle, kept):
            each[contestant.name] = (own - idle) / (subject.lines * kept)
    rows = []
    for contestant in contestants:
        if contestant.name not in each:
            continue
        base = each.get(LINE_BASELINE)
        ratio = f"{each[contestant.name] / base:.2f}" if base else "–"
        kept = min(_values(runs, contestant.name, subject.name, "kept"))
        own = _median(runs, contestant.name, subject.name, "own")
        rows.append(
            [
                contestant.title,
                _seconds(own),
                f"{each[contestant.name] * 1e6:.0f} µs",
                ratio,
                f"{kept:.1%}",
            ]
        )
    return rows


def _growth(runs: Sequence[Run], contestants: Sequence[Contestant]) -> list[str]:
    sizes = [n for n in (100, 200, 400) if _median(runs, BASELINE, f"cells{n}", "cpu")]
    if len(sizes) < 2 or not _median(runs, BASELINE, "empty", "cpu"):
        return []
    rows = []
    for contestant in contestants:
        if contestant.executed is None:
            continue  # a script has no cells
        used = [_median(runs, contestant.name, f"cells{n}", "cpu") or math.nan for n in sizes]
        # The start-up is taken off: it is there with no cell at all.
        idle = _median(runs, contestant.name, "empty", "cpu") or math.nan
        growth = (used[-1] - idle) / (used[0] - idle)
        exponent = math.log(growth, sizes[-1] / sizes[0]) if growth > 0 else math.nan
        each = (used[-1] - used[0]) / (sizes[-1] - sizes[0]) * 1000
        shown = [_seconds(seconds) for seconds in used]
        rows.append([contestant.title, *shown, f"{each:.1f} ms", f"{exponent:.2f}"])
    heads = ["CPU", *(f"{n} cells" for n in sizes), "each further cell", "exponent"]
    return [
        f"The exponent is that of the CPU time beyond an empty notebook's, from {sizes[0]} to "
        f"{sizes[-1]} cells: 1 is linear, 2 quadratic.",
        _table(heads, rows),
    ]


def _versions(contestants: Sequence[Contestant]) -> str:
    lines = [f"- Python {platform.python_version()}"]
    for contestant in contestants:
        if contestant.packages:
            found = contestant.environment.versions(contestant.packages)
            named = ", ".join(f"{name} {version}" for name, version in found.items())
            lines.append(f"- {contestant.title}: {named}")
    return "\n".join(lines)


def _machine() -> str:
    model = platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass
    return f"{platform.system()}, {os.cpu_count()} cores, {model}"


def _count(runs: Sequence[Run], contestant: Contestant, subject: Subject) -> int:
    return len(_values(runs, contestant.name, subject.name, "wall"))


def _median(runs: Sequence[Run], contestant: str, subject: str, key: str) -> float | None:
    values = _values(runs, contestant, subject, key)
    return statistics.median(values) if values else None


def _values(runs: Sequence[Run], contestant: str, subject: str, key: str) -> list[float]:
    kind = "memory" if key in ("runner", "tree") else "time"
    return [
        run[key]
        for run in runs
        if (run["contestant"], run["subject"], run["kind"]) == (contestant, subject, kind)
    ]


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, rule, *rows))


def _seconds(value: float) -> str:
    return f"{value:.2f} s"


def _megabytes(value: float) -> str:
    megabytes = value / MEGABYTE
    return f"{megabytes:.0f} MB" if megabytes >= 10 else f"{megabytes:.2f} MB"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
