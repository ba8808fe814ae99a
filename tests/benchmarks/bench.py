"""Measure dagbook beside papermill, nbclient, dagstermill and a plain script.

Every run is cold, in a process of its own, as at a terminal or under cron. Rounds are interleaved,
so that a machine that grows slower is slower for all. What a contestant left behind is checked
after each run: nobody wins by leaving outputs out.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from contestants import CONTESTANTS, HERE, Contestant
from subjects import SUBJECTS, Subject
from tables import page

MEASURE = Path(__file__).with_name("measure.py")

Runs = list[dict[str, Any]]


def run_once(
    contestant: Contestant,
    subject: Subject,
    folder: Path,
    *,
    memory: bool,
    keep: Path | None = None,
) -> dict[str, Any]:
    """Execute a subject once; returns what measure.py measured and the size of what came out."""
    out = folder / "out"
    out.mkdir()
    try:
        notebook, script = subject.write(folder)
        command = contestant.command_for(notebook, script, out, subject.parameters)
        log = out / "log.txt"
        options = ["--memory"] if memory else []
        measuring = [sys.executable, MEASURE, *options, log, "--", *command]
        done = subprocess.run(
            measuring, check=True, capture_output=True, text=True, env=environment(folder)
        )
        measured: dict[str, Any] = json.loads(done.stdout)
        executed = log if contestant.executed is None else out / contestant.executed
        missing = None if contestant.executed is None else subject.missing(executed)
        may_lose = subject.lines > 0 and contestant.name != "dagbook"
        if measured["exit"] != 0 or (missing and not may_lose):
            tail = log.read_text(encoding="utf-8", errors="replace")[-2000:]
            raise SystemExit(
                f"{contestant.name} on {subject.name}: exit {measured['exit']}, "
                f"{missing or 'all outputs there'}\n{tail}"
            )
        if keep is not None:
            shutil.copy(executed, keep / f"{subject.name}-{contestant.name}{executed.suffix}")
        kept = 1.0 if contestant.executed is None else subject.kept(executed)
        return measured | {"final": executed.stat().st_size, "kept": kept}
    finally:
        shutil.rmtree(out)


def environment(folder: Path) -> dict[str, str]:
    """The variables every contestant runs with: an empty home, one thread for BLAS."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
    return kept | {"HOME": str(folder), "TMPDIR": str(folder), "OMP_NUM_THREADS": "1"}


def bench(
    contestants: list[Contestant], subjects: list[Subject], rounds: int, keep: Path | None
) -> Runs:
    """Measure all on all: one round to warm the disk, `rounds` that count, one for memory."""
    runs: Runs = []
    with tempfile.TemporaryDirectory(prefix="dagbook-bench-") as temporary:
        for number in range(rounds + 2):
            kind = "warm-up" if number == 0 else "memory" if number > rounds else "time"
            for subject in subjects:
                for contestant in contestants:
                    if subject.name in contestant.leaves_out:
                        continue
                    measured = run_once(
                        contestant, subject, Path(temporary), memory=kind == "memory", keep=keep
                    )
                    runs.append(
                        {"contestant": contestant.name, "subject": subject.name, "kind": kind}
                        | measured
                    )
                    print(
                        f"{kind} {number}: {subject.name} {contestant.name} "
                        f"{measured['wall']:.2f} s",
                        file=sys.stderr,
                    )
    return runs


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of this command."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5, help="rounds that count (default 5)")
    parser.add_argument("--subjects", default=",".join(SUBJECTS), metavar="NAME,…")
    parser.add_argument("--contestants", default=",".join(CONTESTANTS), metavar="NAME,…")
    parser.add_argument("--set-up", action="store_true", help="make the environments first")
    parser.add_argument("--here", action="store_true", help="all in this environment: no figures")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep the executed notebooks here")
    parser.add_argument("--json", type=Path, metavar="PATH", help="keep the single runs here")
    parser.add_argument("--write", type=Path, metavar="PATH", help="write the page of tables here")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    """Measure what is asked for; print the tables or write them."""
    asked = parse(arguments)
    contestants = [CONTESTANTS[name] for name in asked.contestants.split(",")]
    subjects = [SUBJECTS[name] for name in asked.subjects.split(",")]
    if asked.here:
        contestants = [replace(each, environment=HERE) for each in contestants]
    if asked.set_up:
        for each in {contestant.environment for contestant in contestants}:
            each.set_up()
    runs = bench(contestants, subjects, asked.rounds, asked.keep)
    if asked.json:
        asked.json.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
    text = page(runs, contestants, subjects)
    if asked.write:
        asked.write.parent.mkdir(parents=True, exist_ok=True)
        asked.write.write_text(text, encoding="utf-8")
    else:
        print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
