"""Measure how long the definitions of many notebooks take to load, and to be checked.

Each contestant loads the same notebooks, screened or not, in a process of its own; what is compared
is CPU time, less that of a project with no notebook in it.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MEASURE = Path(__file__).with_name("measure.py")

OURS = """\
import dagster as dg
from dagbook.location import load_project
from dagbook.project import require_project

defs = load_project(require_project("."))
"""
STOCK = """\
import sys
from pathlib import Path

import dagster as dg

sys.path.insert(0, ".")
defs = dg.load_from_defs_folder(path_within_project=Path.cwd())
"""
# Nothing is left for later: jobs and the asset graph are made.
COUNT = """
dg.Definitions.validate_loadable(defs)
print(len(list(defs.resolve_all_asset_keys())))
"""


@dataclass(frozen=True)
class Contestant:
    """Somebody who loads or checks a project. `own_job` gives each schedule a job of its own."""

    name: str
    title: str
    command: tuple[str, ...]
    own_job: bool = False


CONTESTANTS = [
    Contestant("location", "`dagbook.location`", ("-c", OURS + COUNT)),
    Contestant("stock", "Dagster's own loader", ("-c", STOCK + COUNT)),
    Contestant("stock-jobs", "Dagster's own loader, a job each", ("-c", STOCK + COUNT), True),
    Contestant("validate", "`dagbook validate`", ("-m", "dagbook", "validate")),
]
BASELINE = "stock-jobs"

Runs = dict[tuple[str, int], list[float]]


def make_project(root: Path, notebooks: int, *, own_job: bool) -> None:
    """A project of so many scheduled notebooks, each in a file and with a component of its own."""
    from dagbook.project import create_project

    project = create_project(root, name="shop")
    cell: dict[str, Any] = {"cell_type": "code", "metadata": {"tags": ["parameters"]}}
    cell |= {"id": "a", "source": "day: str = ''", "outputs": [], "execution_count": None}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}}
    text = json.dumps(document | {"cells": [cell]})
    own = ", own_job: true" if own_job else ""
    for number in range(notebooks):
        (root / f"n{number}.ipynb").write_text(text, encoding="utf-8")
        folder = project.defs_folder / f"team{number % 10}" / f"n{number}"
        folder.mkdir(parents=True)
        (folder / "defs.yaml").write_text(
            "type: dagbook.NotebookRunnerComponent\n"
            "attributes:\n"
            f"  notebook: n{number}.ipynb\n"
            f'  schedule: {{cron: "0 6 * * *"{own}}}\n'
            '  parameters: {day: "{{ run_date }}"}\n'
            "  owners: [team:growth]\n",
            encoding="utf-8",
        )


def run_once(contestant: Contestant, root: Path, notebooks: int) -> float:
    """CPU seconds of one load; what it found is checked."""
    with tempfile.TemporaryDirectory() as home:
        log = Path(home) / "log.txt"
        command = [sys.executable, MEASURE, log, "--", sys.executable, *contestant.command]
        done = subprocess.run(
            command,
            cwd=root,
            env={**os.environ, "DAGSTER_HOME": "", "DAGSTER_DISABLE_TELEMETRY": "1"},
            check=True,
            capture_output=True,
            text=True,
        )
        measured: dict[str, float] = json.loads(done.stdout)
        output = log.read_text(encoding="utf-8", errors="replace")
    lines = output.splitlines()
    found = sum(line.startswith("✓") for line in lines)
    if contestant.name != "validate":
        found = int(lines[-1])
    if measured["exit"] != 0 or found != notebooks:
        raise SystemExit(f"{contestant.name} on {notebooks} notebooks:\n{output[-2000:]}")
    return measured["cpu"]


def bench(sizes: list[int], rounds: int) -> Runs:
    """Measure all on all, the rounds interleaved, after one that fills the disk's cache."""
    runs: Runs = {}
    with tempfile.TemporaryDirectory(prefix="dagbook-bench-") as temporary:
        for size in sizes:
            for own_job in (False, True):
                make_project(Path(temporary) / f"{size}-{own_job}", size, own_job=own_job)
        for number in range(rounds + 1):
            for size in sizes:
                for each in CONTESTANTS:
                    if size == 0 and each.name.startswith("stock"):
                        continue  # Dagster's own loader refuses an empty project
                    cpu = run_once(each, Path(temporary) / f"{size}-{each.own_job}", size)
                    if number:
                        runs.setdefault((each.name, size), []).append(cpu)
                    print(f"round {number}: {each.name} {size} {cpu:.2f} s", file=sys.stderr)
    return runs


def page(runs: Runs, sizes: list[int], rounds: int) -> str:
    """The measured runs as a page of Markdown."""
    median = {key: statistics.median(values) for key, values in runs.items()}
    idle = median["location", 0]
    loaded = [size for size in sizes if size]
    first, last = loaded[0], loaded[-1]
    lines = [
        "# Loading many notebooks",
        "",
        f"Written by `make bench`: CPU seconds, user and system, of a process that loads the "
        f"definitions of so many scheduled notebooks and resolves them, or checks them; medians of "
        f"{rounds} interleaved round(s). *Less start-up* takes off what a project without notebooks "
        f"costs ({idle:.2f} s), nearly all of it importing Dagster. The exponent is that of the time "
        f"less start-up from {first} to {last} notebooks: 1 is linear. The ratio compares with "
        f"Dagster's own loader with a job each, at {last} notebooks, less start-up.",
        "",
        "| | " + " | ".join(f"{size} notebooks" for size in loaded)
        + f" | less start-up, {last} | exponent | ratio |",
        "| --- |" + " ---: |" * (len(loaded) + 3),
    ]  # fmt: skip
    for each in CONTESTANTS:
        own = [max(median[each.name, size] - idle, 0.001) for size in loaded]
        exponent = math.log(own[-1] / own[0], last / first) if last > first else math.nan
        ratio = own[-1] / max(median[BASELINE, last] - idle, 0.001)
        cells = [f"{median[each.name, size]:.2f} s" for size in loaded]
        cells += [f"{own[-1]:.2f} s", f"{exponent:.2f}", f"{ratio:.2f}"]
        lines.append(f"| {each.title} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for; print the page or write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="0,250,500,1000", metavar="N,…")
    parser.add_argument("--rounds", type=int, default=3, help="rounds that count (default 3)")
    parser.add_argument("--write", type=Path, metavar="PATH", help="write the page here")
    asked = parser.parse_args(arguments)
    sizes = sorted({0, *map(int, asked.sizes.split(","))})
    text = page(bench(sizes, asked.rounds), sizes, asked.rounds)
    if asked.write:
        asked.write.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
