"""F5: `terminateRun`, and a run that is marked as cancelled while nobody reaches its worker."""

from __future__ import annotations

import time

from dagster_site import Site, eventually, is_alive, shared_site, status_in
from harness import Fault, Outcome, Trial, Variant, held_or
from notebooks import read_cells, text_of


def _cancelled(site: Site, run_id: str, how: str) -> Outcome:
    """Cancel a run under way, and look at what is left of it."""
    before = set(site.executed("slow"))
    pids = site.pids(run_id)
    worker = site.worker(run_id)
    began = time.monotonic()
    site.terminate(run_id, how)
    status = site.wait_for_end(run_id)
    eventually(lambda: not any(map(is_alive, [*pids, worker])), 60)
    seconds = time.monotonic() - began
    made = [path for path in site.executed("slow") if path not in before]
    cells = read_cells(made[0]) if made else []
    return held_or(
        "" if status == "CANCELED" else f"the run is {status}",
        "" if len(made) == 1 else f"{len(made)} notebooks",
        "" if made and status_in(made[0]) == "cancelled" else "the notebook is not cancelled",
        "" if cells and text_of(cells[0]) == "begun\n" else "outputs are missing",
        "" if not site.messages(run_id, "MaterializationEvent") else "it was materialised",
        "" if not site.messages(run_id, "RunFailureEvent") else "it failed as well",
        seconds=seconds,
    )


def by_button(trial: Trial) -> Outcome:
    """Cancel it as the page does."""
    site = shared_site()
    run_id = site.launch("slow")
    site.pids(run_id)
    return _cancelled(site, run_id, "SAFE_TERMINATE")


def by_mark(trial: Trial) -> Outcome:
    """Mark it as cancelled at once; its worker may only learn of that."""
    site = shared_site()
    run_id = site.launch("slow")
    site.pids(run_id)
    return _cancelled(site, run_id, "MARK_AS_CANCELED_IMMEDIATELY")


FAULT = Fault(
    "F5b",
    "`terminateRun` on a running notebook",
    "the notebook is stored and cancelled, the run CANCELED, no process left, in 10 s; also when "
    "the run is marked as cancelled by force",
    (
        Variant("terminateRun", 100, by_button, within=10),
        Variant("terminateRun by force", 20, by_mark, within=10, sample=0),
    ),
)
