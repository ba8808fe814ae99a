"""F16: Dagster's SQLite files are locked, or slow, while ten runs go on at once."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from dagster_site import ENDED, QUICK, Refused, Site
from harness import Fault, Means, Outcome, Trial, Variant, held_or

RUNS = 10

#: Holds a lock that nobody else can write under, again and again, until its stdin ends.
LOCKER = """
import select, sqlite3, sys, time
held, free, *files = sys.argv[1:]
def is_over(seconds):
    return bool(select.select([sys.stdin], [], [], seconds)[0])
while True:
    for file in files:
        connection = sqlite3.connect(file, isolation_level=None, timeout=60)
        connection.execute("BEGIN EXCLUSIVE")
        over = is_over(float(held))
        connection.execute("ROLLBACK")
        connection.close()
        if over or is_over(float(free)):
            sys.exit()
"""


def by_locks(trial: Trial) -> Outcome:
    """Each database in turn is locked for longer than Dagster waits for it."""
    return _ten_runs(trial, held=8.0, free=3.0)


def by_slow_disk(trial: Trial) -> Outcome:
    """Every write waits: many short locks, one after the other."""
    return _ten_runs(trial, held=0.3, free=0.05)


def _ten_runs(trial: Trial, *, held: float, free: float) -> Outcome:
    site = Site(trial.folder / "shop")
    try:
        site.notebook("quick", QUICK[0].replace("SECONDS", "10"), QUICK[1])
        site.home.mkdir(parents=True)
        (site.home / "dagster.yaml").write_text(
            "telemetry: {enabled: false}\nnux: {enabled: false}\n"
            f"run_queue: {{max_concurrent_runs: {RUNS}, dequeue_interval_seconds: 1}}\n"
        )
        site.start()
        with _locked(site, held, free), ThreadPoolExecutor(RUNS) as pool:
            launched = list(pool.map(lambda _: _launch(site), range(RUNS)))
            # Until the runs end, if they do while it goes on.
            for run_id in _all_runs(site):
                site.wait_for_end(run_id, 20)
        run_ids = [run_id for run_id, _ in launched if run_id]
        refused = [reason for _, reasons in launched for reason in reasons]
        began = time.monotonic()
        states = {run_id: site.wait_for_end(run_id, 600) for run_id in _all_runs(site)}
        seconds = time.monotonic() - began
        lost = [run_id for run_id in run_ids if states.get(run_id) not in ENDED]
        failed = [run_id for run_id, state in states.items() if state == "FAILURE"]
        unsaid = [r for r in failed if not any(site.messages(r, "RunFailureEvent"))]
        false = [run_id for run_id in failed if site.messages(run_id, "MaterializationEvent")]
        good = [run_id for run_id, state in states.items() if state == "SUCCESS"]
        made = len([path for path in site.executed("quick") if "-succeeded" in path.name])
        empty = [r for r in good if len(site.messages(r, "MaterializationEvent")) != 1]
        return held_or(
            f"{RUNS - len(run_ids)} could not be launched" if len(run_ids) < RUNS else "",
            f"{len(lost)} runs never ended: {[states.get(r) for r in lost]}" if lost else "",
            f"{len(unsaid)} failed without a word" if unsaid else "",
            f"{len(false)} succeeded and are told as failed" if false else "",
            "" if made >= len(good) else f"{made} notebooks of {len(good)} runs",
            f"{len(empty)} succeeded and made nothing" if empty else "",
            # Dagster's page answers a launch whose database stays locked with a plain 500.
            ""
            if all("locked" in reason or "500" in reason for reason in refused)
            else f"refused: {set(refused)}",
            seconds=seconds,
        )
    finally:
        site.stop()


def _launch(site: Site) -> tuple[str | None, list[str]]:
    """Launch a run, again where that was refused, as somebody at the page does."""
    refused: list[str] = []
    while len(refused) < 20:
        try:
            return site.launch("quick"), refused
        except (Refused, OSError) as error:
            refused.append(str(error))
        time.sleep(1)
    return None, refused


def _all_runs(site: Site) -> list[str]:
    """Every run there is, also of a launch that was refused half way."""
    found = site.ask("{ runsOrError { ... on Runs { results { runId } } } }")
    return [run["runId"] for run in found["runsOrError"]["results"]]


@contextmanager
def _locked(site: Site, held: float, free: float) -> Iterator[None]:
    history = site.home / "history"
    files = [
        history / "runs.db",
        history / "runs" / "index.db",
        site.home / "schedules/schedules.db",
    ]
    assert all(file.exists() for file in files), files
    command = [sys.executable, "-c", LOCKER, str(held), str(free), *map(str, files)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as locker:
        try:
            yield
        finally:
            assert locker.stdin is not None
            locker.stdin.close()
            locker.wait(30)


FAULT = Fault(
    "F16",
    "SQLite locked or slow under ten runs at once",
    "runs wait or fail with a word that says why; none is lost: every one ends, and its notebook "
    "is there",
    (
        Variant("locked for 8 s again and again", 20, by_locks, sample=0, means=(Means.BEST,)),
        Variant("a slow disk", 20, by_slow_disk, sample=0, means=(Means.BEST,)),
    ),
)
