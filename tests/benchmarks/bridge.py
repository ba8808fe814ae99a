"""How quickly the bridge answers in a project of 200 notebooks, and what memory it takes.

``python tests/benchmarks/bridge.py [--notebooks 200] [--rounds 5]`` prints, for each verb, the
time of its first answer, the median of the later ones, and the CPU time of both processes for one
answer. Nothing is asserted: figures of a busy machine are noise.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from dagbook.bridge_client import Bridge
from dagbook.project import Project, create_project

PLATFORM = """\
currency: EUR
compute_sizes:
  small: {cpus: 2, memory: 4 GiB, max_run_time: 1 h, price_per_hour: 0.10, default: true}
  medium: {cpus: 4, memory: 16 GiB, max_run_time: 4 h, price_per_hour: 0.35}
  large: {cpus: 16, memory: 64 GiB, max_run_time: 12 h, price_per_hour: 3, teams: [nlp]}
teams:
  - {folder: team_0/**, team: growth}
  - {folder: team_1/**, team: nlp}
"""


def make_project(root: Path, count: int, *, cells: int = 20) -> Project:
    """A project of `count` notebooks, each with its component, in folders of twenty."""
    project = create_project(root, name="shop")
    for number in range(count):
        name = f"team_{number // 20}/report_{number:03}"
        path = root / f"{name}.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(notebook(number, cells)))
        folder = project.defs_folder / name
        folder.mkdir(parents=True)
        (folder / "defs.yaml").write_text(
            "type: dagbook.NotebookRunnerComponent\n"
            "attributes:\n"
            f"  notebook: {name}.ipynb\n"
            f'  schedule: {{cron: "{number % 60} 6 * * *", timezone: Europe/Berlin}}\n'
            f"  parameters: {{days: {number}}}  # as agreed\n"
            f"  owners: [team:growth]\n"
        )
    return project


def notebook(number: int, cells: int) -> dict[str, Any]:
    """A notebook with parameters and some work."""

    def cell(index: int, source: str, *tags: str) -> dict[str, Any]:
        return {
            "cell_type": "code",
            "id": f"cell-{index}",
            "metadata": {"tags": list(tags)},
            "source": source,
            "outputs": [{"output_type": "stream", "name": "stdout", "text": "row\n" * 50}],
            "execution_count": index,
        }

    body = [cell(0, f"days: int = {number}\nregion: str = 'DE'  # country", "parameters")]
    body += [cell(i, f"x{i} = [n * {i} for n in range(days)]\nlen(x{i})") for i in range(1, cells)]
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": body, "metadata": {"kernelspec": spec}, "nbformat": 4, "nbformat_minor": 5}


def questions(count: int) -> dict[str, Callable[[int], dict[str, Any]]]:
    """What is asked of each verb in each round; later rounds ask of other notebooks."""

    def name(turn: int) -> str:
        number = (turn * 37) % count
        return f"team_{number // 20}/report_{number:03}.ipynb"

    def attributes(turn: int) -> dict[str, Any]:
        return {
            "notebook": name(turn),
            "schedule": {"cron": f"{turn % 60} 7 * * *", "timezone": "Europe/Berlin"},
            "compute_size": "medium",
            "parameters": {"days": turn},
            "owners": ["team:growth"],
        }

    def form(turn: int) -> dict[str, Any]:
        return {"notebook": name(turn), "attributes": attributes(turn)}

    def one(turn: int) -> dict[str, Any]:
        return {"notebook": name(turn)}

    return {
        "parameters": one,
        "findings": one,
        "next_ticks": lambda turn: {"schedule": "weekdays 07:30", "timezone": "Europe/Berlin"},
        "catalogue": lambda turn: {},
        "form_schema": one,
        "options": one,
        "settings": one,
        "validate": form,
        "preview": form,
        "diff": form,
        "write": form,
        "cost": one,
        "runs": one,
        "state": one,
    }


def used(pid: int) -> tuple[float, int]:
    """CPU seconds and resident bytes of a process and its descendants."""
    processes = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    times = [process.cpu_times() for process in processes]
    memory = sum(process.memory_info().rss for process in processes)
    return sum(t.user + t.system for t in times), memory


def measure(root: Path, count: int, rounds: int) -> list[dict[str, Any]]:
    """Ask everything `rounds` times."""
    rows = []
    with Bridge.open(root) as bridge:
        began = time.perf_counter()
        bridge.ask("catalogue")
        rows.append({"verb": "(start, first answer)", "first": time.perf_counter() - began})
        for verb, arguments in questions(count).items():
            took = []
            for turn in range(rounds + 1):
                given = arguments(turn)
                began = time.perf_counter()
                bridge.ask(verb, **given)
                took.append(time.perf_counter() - began)
                if turn == 0:
                    before = used(bridge.pid or 0)[0]
            spent = used(bridge.pid or 0)[0] - before
            rows.append(
                {
                    "verb": verb,
                    "first": took[0],
                    "median": statistics.median(took[1:]),
                    "most": max(took[1:]),
                    "cpu": spent / rounds,
                }
            )
        rows.append({"verb": "(memory)", "bytes": used(bridge.pid or 0)[1]})
    return rows


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--notebooks", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dagbook-bridge-") as folder:
        os.environ["XDG_CONFIG_HOME"] = f"{folder}/config"
        project = make_project(Path(folder) / "shop", args.notebooks)
        (project.root / "dagbook-platform.yaml").write_text(PLATFORM)
        rows = measure(project.root, args.notebooks, args.rounds)
    print(f"{args.notebooks} notebooks, {args.rounds} rounds; milliseconds")
    print(f"{'verb':<24}{'first':>8}{'median':>8}{'most':>8}{'CPU':>8}")
    for row in rows:
        if "bytes" in row:
            print(f"{row['verb']:<24}{row['bytes'] / 2**20:>8.0f} MiB, both processes")
            continue
        figures = [row.get(name) for name in ("first", "median", "most", "cpu")]
        print(
            f"{row['verb']:<24}"
            + "".join(f"{'' if f is None else f'{f * 1000:.1f}':>8}" for f in figures)
        )


if __name__ == "__main__":
    main()
