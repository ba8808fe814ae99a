"""The runs that a project's services have started and that have not ended."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from dagbook.run_tags import HEARTBEAT_TAG, read_tag
from dagbook.services.sockets import SOCKET_NAME

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun

#: Where Dagster keeps the address of the code server that runs a run. It has no public name; a
#: test that cancels a real run fails when it moves. A `dg launch` in somebody's terminal writes
#: to the same instance, has no such tag, and is none of our business.
SERVER_TAG = ".dagster/grpc_info"

_POLL_SECONDS = 0.2


def runs_under_way(instance: DagsterInstance) -> list[DagsterRun]:
    """The runs that started and did not end, of this project's services only."""
    from dagster import DagsterRunStatus, RunsFilter

    statuses = [
        DagsterRunStatus.STARTING,
        DagsterRunStatus.STARTED,
        DagsterRunStatus.CANCELING,
    ]
    runs = instance.get_runs(RunsFilter(statuses=statuses))
    return [run for run in runs if _is_ours(run)]


def wait_for_end(instance: DagsterInstance, *, seconds: float | None = None) -> bool:
    """Wait until no run is under way; False if that took longer than `seconds`."""
    deadline = None if seconds is None else time.monotonic() + seconds
    while runs_under_way(instance):
        if deadline is not None and time.monotonic() > deadline:
            return False
        time.sleep(_POLL_SECONDS)
    return True


def cancel_runs(instance: DagsterInstance) -> tuple[list[DagsterRun], bool]:
    """Ask every run under way to end, as the button in Dagster does.

    Returns:
        The runs, and whether any could be asked: their code server may be gone.
    """
    runs = runs_under_way(instance)
    reached = False
    for run in runs:
        try:
            reached = instance.run_coordinator.cancel_run(run.run_id) or reached
        except Exception:
            # Whatever it is: the run's process is ended all the same, a little later.
            continue
    return runs, reached


def settle_runs(
    instance: DagsterInstance, state: Literal["failed", "canceled"], message: str
) -> list[DagsterRun]:
    """Write down that runs ended whose processes are gone: nobody else would."""
    return _settle(instance, runs_under_way(instance), state, message)


def settle_unheard_runs(instance: DagsterInstance) -> list[DagsterRun]:
    """Write down that runs ended whose processes are gone and never beat.

    Those that did are left to the sensor that looks after them: it knows when they were last
    heard of, and saves what they had done.
    """
    runs = [
        run
        for run in runs_under_way(instance)
        if read_tag(run.tags, HEARTBEAT_TAG, run.run_id) is None
    ]
    return _settle(instance, runs, "failed", "its worker vanished before a notebook began")


def _settle(
    instance: DagsterInstance,
    runs: list[DagsterRun],
    state: Literal["failed", "canceled"],
    message: str,
) -> list[DagsterRun]:
    for run in runs:
        if state == "failed":
            instance.report_run_failed(run, message)
        else:
            instance.report_run_canceled(run, message)
    return runs


def _is_ours(run: DagsterRun) -> bool:
    try:
        return Path(json.loads(run.tags[SERVER_TAG])["socket"]).name == SOCKET_NAME
    except (KeyError, ValueError, TypeError):
        return False
