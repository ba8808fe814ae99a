"""What Dagster's instance knows of a run, for whoever has to decide whether it still lives."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import psutil

from dagbook.execution.vanished import Recovered, recover_run
from dagbook.notebook_runner.asset import RESULTS_TAG, folder_of_partition
from dagbook.worker import Life, worker_of

_PARTITION_TAG = "dagster/partition"
#: How far a process's start, which the system computes from the clock, may be off, in seconds.
_START_TOLERANCE = 5.0
#: How long a process may take from its start to its first word, in seconds.
COMING_UP_SECONDS = 30.0
_ENDS = {
    dg.DagsterEventType.RUN_SUCCESS,
    dg.DagsterEventType.RUN_FAILURE,
    dg.DagsterEventType.RUN_CANCELED,
}


def results_by_step(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Mapping[str, str | None]:
    """The steps of a run, each with where its notebook's results go; None for a step not ours.

    As the run was planned: the project may have changed since.
    """
    if run.execution_plan_snapshot_id is None:
        return {}
    plan = instance.get_execution_plan_snapshot(run.execution_plan_snapshot_id)
    return {
        step.key: (step.tags or {}).get(RESULTS_TAG)
        for step in plan.steps
        if step.key in plan.step_keys_to_execute
    }


def consists_of_notebooks(instance: dg.DagsterInstance, run: dg.DagsterRun) -> bool:
    """Whether all that a run does is run notebooks of ours."""
    results = results_by_step(instance, run)
    return bool(results) and None not in results.values()


def recover_notebooks(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[Recovered]:
    """Make notebooks of what a run's worker had left, where this process can see it."""
    partition = run.tags.get(_PARTITION_TAG)
    folders = [Path(text) for text in results_by_step(instance, run).values() if text is not None]
    found = [recover_run(folder_of_partition(f, partition), run.run_id) for f in folders]
    return [notebook for notebook in found if notebook is not None]


def settle_from_log(instance: dg.DagsterInstance, run: dg.DagsterRun) -> str | None:
    """Write down how a run ended that has told so, but whose end was not written down.

    Dagster writes first the event and then the run's state, into two databases; the second may
    have been locked.
    """
    for entry in reversed(instance.all_logs(run.run_id, of_type=_ENDS)):
        event = entry.dagster_event
        if event is not None:
            instance.handle_run_event(
                run.run_id, event, datetime.fromtimestamp(entry.timestamp, UTC)
            )
            return str(event.event_type_value)
    return None


@dataclass(frozen=True)
class Launch:
    """What is known of the process of a run that never beat. `at` is Unix time."""

    at: float
    pid: int | None
    life: Life

    @property
    def age(self) -> float:
        """How long ago that was, in seconds."""
        return time.time() - self.at


def find_launch(instance: dg.DagsterInstance, record: dg.RunRecord) -> Launch:
    """When a run began, and what became of its process, if that must be one of this machine.

    Workers that Dagster's default launcher starts run where the code server runs, which is where
    sensors are evaluated.
    """
    run = record.dagster_run
    began = record.start_time or record.update_timestamp.replace(tzinfo=UTC).timestamp()
    is_here = isinstance(instance.run_launcher, dg.DefaultRunLauncher) and run.remote_job_origin
    kinds = {dg.DagsterEventType.RUN_START, dg.DagsterEventType.ENGINE_EVENT}
    for entry in reversed(instance.all_logs(run.run_id, of_type=kinds) if is_here else []):
        pid = _pid_in(entry.dagster_event)
        if pid is not None:
            return Launch(began, pid, _life(pid, entry.timestamp))
    # The code server was to start a process and has been started itself since.
    is_lost = is_here and began < psutil.Process().create_time()
    is_late = time.time() - began > COMING_UP_SECONDS
    return Launch(began, None, Life.GONE if is_lost and is_late else Life.UNKNOWN)


def _pid_in(event: dg.DagsterEvent | None) -> int | None:
    if event is None:
        return None
    if event.event_type is dg.DagsterEventType.RUN_START:
        return event.pid
    data: Any = event.event_specific_data
    pid = (getattr(data, "metadata", None) or {}).get("pid")
    text = str(getattr(pid, "value", ""))
    return int(text) if text.isdigit() else None


def _life(pid: int, seen_at: float) -> Life:
    life = worker_of(pid).life
    if life in (Life.ALIVE, Life.STOPPED):
        try:
            if psutil.Process(pid).create_time() > seen_at + _START_TOLERANCE:
                return Life.GONE  # its number is another's now
        except psutil.Error:
            pass
    return life
