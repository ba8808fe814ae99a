"""Provoke every fault as often as the list says, beside papermill and dagstermill.

Results are kept in a JSON file, one entry for each fault, variant, means and contestant, so that
long runs can be made piece by piece; the page shows everything that is in it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import statistics
import sys
import tempfile
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from harness import (
    DAGSTERMILL_PYTHON,
    ROOT,
    Attempt,
    Fault,
    Means,
    Outcome,
    Trial,
    Variant,
    all_faults,
)
from page import write_page

CONTESTANTS = ("dagbook", "papermill", "dagstermill")
#: What others do is the same every time; it need not be seen a hundred times.
TRIALS_OF_OTHERS = 5

Results = dict[str, dict[str, Any]]


def main() -> int:
    """Try what was asked for; the exit status is 1 when dagbook did not hold a row."""
    # A shell has its background jobs ignore it, and what they start.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    options = _options()
    results: Results = (
        json.loads(options.results.read_text("utf-8")) if options.results.exists() else {}
    )
    wanted = options.fault and {name.upper() for name in options.fault.split(",")}
    failed = False
    for fault in all_faults():
        if wanted and fault.number.upper() not in wanted:
            continue
        for variant in fault.variants:
            if options.variant and options.variant not in variant.name:
                continue
            for contestant in options.contestants.split(","):
                failed |= not _try(fault, variant, contestant, options, results)
    if options.write is not None:
        write_page(options.write, all_faults(), results)
    return int(failed)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fault", help="only these, such as F2,F5")
    parser.add_argument("--variant", help="only variants whose name has this in it")
    parser.add_argument("--means", default="best,floor")
    parser.add_argument("--contestants", default=",".join(CONTESTANTS))
    parser.add_argument("--trials", type=int, help="at most that many of each")
    parser.add_argument("--jobs", type=int, default=1, help="trials side by side")
    parser.add_argument("--results", type=Path, default=ROOT / "build" / "faults.json")
    parser.add_argument("--write", type=Path, help="the page to write")
    return parser.parse_args()


def _try(
    fault: Fault,
    variant: Variant,
    contestant: str,
    options: argparse.Namespace,
    results: Results,
) -> bool:
    attempt = variant.attempt(contestant)
    if attempt is None or (contestant == "dagstermill" and not DAGSTERMILL_PYTHON.exists()):
        return True
    held_all = True
    ours = contestant == "dagbook"
    for means in variant.means if ours else (Means.FLOOR,):
        if ours and means not in options.means.split(","):
            continue
        trials = min(
            variant.trials if ours else TRIALS_OF_OTHERS,
            variant.trials,
            options.trials or variant.trials,
        )
        began = time.monotonic()
        with means.applied():
            outcomes = run_trials(attempt, trials, jobs=options.jobs)
        entry = summary(outcomes, variant.within)
        key = f"{fault.number}/{variant.name}/{contestant}" + (f"/{means}" if ours else "")
        results[key] = entry
        options.results.parent.mkdir(parents=True, exist_ok=True)
        options.results.write_text(json.dumps(results, indent=1, sort_keys=True), "utf-8")
        took = time.monotonic() - began
        print(f"{key}: {entry['held']}/{entry['trials']}{_slowest(entry)}  [{took:.0f} s]")
        for note, count in entry["notes"].items():
            print(f"    {count} x {note}")
        sys.stdout.flush()
        held_all &= not ours or entry["held"] == entry["trials"]
    return held_all


def _slowest(entry: dict[str, Any]) -> str:
    return f", slowest {entry['slowest']:.2f} s" if entry["slowest"] is not None else ""


def run_trials(attempt: Attempt, trials: int, *, jobs: int = 1) -> list[Outcome]:
    """Try it `trials` times, each in a folder of its own."""

    def one(number: int) -> Outcome:
        folder = Path(tempfile.mkdtemp(prefix="fault-"))
        try:
            return attempt(Trial(number, folder))
        except Exception as error:
            traceback.print_exc()
            return Outcome(False, f"{type(error).__name__}: {error}"[:200])
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    with ThreadPoolExecutor(jobs) as pool:
        return list(pool.map(one, range(trials)))


def summary(outcomes: list[Outcome], within: float | None) -> dict[str, Any]:
    """What trials came to, with the time judged by what the row allows."""
    seconds = [o.seconds for o in outcomes if o.seconds is not None]
    notes: dict[str, int] = {}
    held = 0
    for outcome in outcomes:
        late = within is not None and outcome.seconds is not None and outcome.seconds > within
        note = f"took longer than {within:g} s" if outcome.held and late else outcome.note
        if outcome.held and not late:
            held += 1
        else:
            notes[note] = notes.get(note, 0) + 1
    return {
        "held": held,
        "trials": len(outcomes),
        "median": statistics.median(seconds) if seconds else None,
        "slowest": max(seconds) if seconds else None,
        "notes": notes,
    }


if __name__ == "__main__":
    sys.exit(main())
