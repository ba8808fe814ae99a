"""Ends runs whose worker has vanished: a sensor of the location, on wherever a notebook is.

Dagster's own launcher does not look after its workers once the code server that started them is
gone: such a run stays started for ever. This sensor looks at the runs under way of its own
location every few seconds. It touches only runs that consist of our notebooks, and, of others in
which a notebook of ours took part, those whose process it can see to be dead.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property

import dagster as dg

from dagbook.execution.vanished import Recovered
from dagbook.ledger.database import LedgerError
from dagbook.notebook_runner.asset import RESULTS_TAG
from dagbook.notebook_runner.heartbeat import BETWEEN_SECONDS, Beat, read_beat
from dagbook.notebook_runner.patience import is_locked
from dagbook.notebook_runner.run_facts import (
    consists_of_notebooks,
    find_launch,
    recover_notebooks,
    results_by_step,
    settle_from_log,
)
from dagbook.notebook_runner.shared_sensor import SharedSensor
from dagbook.notebook_runner.unsettled import settle_unsettled
from dagbook.run_tags import NOTEBOOK_TAG, VANISHED_TAG, read_tag, told_of
from dagbook.worker import Life

#: How often the sensor looks, in seconds. Dagster's scheduler looks at its sensors every five.
LOOK_SECONDS = 10
#: How long whoever saw a process die may take to report it first, in seconds.
MOMENT_SECONDS = 2.0
#: How long nothing may be heard of a worker that this machine shows to be alive, in seconds: one
#: that waits for a locked database, say.
ALIVE_SECONDS = 300.0
#: For how long after the end of a run what its worker had left is looked for, in seconds.
AFTERWARDS_SECONDS = 900.0

_UNDER_WAY = [
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
_ENDED_BADLY = [dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]

IsOwn = Callable[[dg.DagsterRun], bool]


@dataclass
class Reaper:
    """What one location's sensor has seen so far.

    Silence is measured by this process's own clock, from when a beat was first seen: clocks of
    other machines may be wrong, and a machine that was asleep had no time to beat.
    """

    _seen: dict[str, tuple[Beat, float]] = field(default_factory=dict)
    _settled: set[str] = field(default_factory=set)

    def look(self, instance: dg.DagsterInstance, is_own: IsOwn) -> list[str]:
        """End the runs whose worker has vanished; returns a line for each."""
        records = instance.get_run_records(dg.RunsFilter(statuses=_UNDER_WAY))
        ids = {record.dagster_run.run_id for record in records}
        self._seen = {run_id: seen for run_id, seen in self._seen.items() if run_id in ids}
        suspects = [
            record.dagster_run.run_id
            for record in records
            if is_own(record.dagster_run) and self._why_dead(instance, record)
        ]
        if suspects:
            # The code server that started a worker sees its end too, and tells it in its way.
            time.sleep(MOMENT_SECONDS)
        done = []
        for run_id in suspects:
            # Read anew: it may have ended after all, or been heard of.
            record = _under_way(instance, run_id)
            reason = record and self._why_dead(instance, record)
            if record is not None and reason:
                done += _end(instance, record.dagster_run, reason)
        return done

    def look_back(self, instance: dg.DagsterInstance, is_own: IsOwn) -> list[str]:
        """Keep what workers had left whose end others have told, as their code server does."""
        since = datetime.fromtimestamp(time.time() - AFTERWARDS_SECONDS, UTC)
        runs = instance.get_runs(dg.RunsFilter(statuses=_ENDED_BADLY, updated_after=since))
        self._settled &= {run.run_id for run in runs}
        done = []
        for run in runs:
            if run.run_id in self._settled or not is_own(run):
                continue
            beat = read_beat(run)
            is_told = read_tag(run.tags, VANISHED_TAG, run.run_id) is not None
            if beat is not None and not beat.is_over and not is_told:
                if beat.worker is not None and beat.worker.life is not Life.GONE:
                    continue  # a worker that lives stores its notebook itself
                notebooks = recover_notebooks(instance, run)
                if notebooks:
                    text = _vanished(beat) + _where(notebooks)
                    instance.add_run_tags(run.run_id, _tags(run.run_id, text, notebooks))
                    instance.report_engine_event(text, run)
                    done.append(f"{run.run_id[:8]}: {text}")
            self._settled.add(run.run_id)
        return done

    def _why_dead(self, instance: dg.DagsterInstance, record: dg.RunRecord) -> str | None:
        """Why a run's worker counts as dead; None while it does not."""
        run = record.dagster_run
        beat = read_beat(run)
        if beat is None:
            return _why_never_heard_of(instance, record)
        life = beat.worker.life if beat.worker is not None else Life.UNKNOWN
        if life is Life.GONE:
            return _vanished(beat)
        allowed = max(beat.within, ALIVE_SECONDS) if life is Life.ALIVE else beat.within
        # Of other assets in the same run we hear nothing, however well they do.
        if self._silence(run.run_id, beat) > allowed and consists_of_notebooks(instance, run):
            return f"its worker fell silent: last heard of at {_moment(beat.at)}{_process(beat)}"
        return None

    def _silence(self, run_id: str, beat: Beat) -> float:
        now = time.monotonic()
        before, since = self._seen.get(run_id, (None, now))
        if before != beat:
            since = now
        self._seen[run_id] = (beat, since)
        return now - since


_reaper = Reaper()


def look_once(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """What the sensor does at each of its ticks."""
    location = _Location(context)
    try:
        done = _reaper.look(context.instance, location.has)
        done += _reaper.look_back(context.instance, location.has)
        done += _settle(context)
    except Exception as error:
        if not is_locked(error):
            raise
        return dg.SkipReason("Dagster's database is locked: the next look is in a moment.")
    for line in done:
        context.log.warning(line)
    return dg.SkipReason("; ".join(done) or "No worker has vanished.")


def _settle(context: dg.SensorEvaluationContext) -> list[str]:
    try:
        return settle_unsettled(context.instance)
    except LedgerError as error:
        # Runs that have vanished are ended all the same.
        context.log.warning(str(error))
        return []


reaper_sensor = SharedSensor(
    name="dagbook_reaper",
    evaluation_fn=look_once,
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Ends the runs of notebooks whose worker has vanished, and says so.",
)


@dataclass
class _Location:
    """The code location a sensor belongs to. Each has its own: two would tell an end twice."""

    context: dg.SensorEvaluationContext

    def has(self, run: dg.DagsterRun) -> bool:
        """Whether a run is this location's to look after."""
        launched = run.remote_job_origin
        if launched is not None:
            here = self.context.code_location_origin
            return here is None or (
                launched.location_name == here.location_name
                and launched.repository_origin.repository_name == self.context.repository_name
            )
        # Started in somebody's terminal, past every location: known by where its results go.
        results = results_by_step(self.context.instance, run).values()
        return any(folder in self._results for folder in results if folder is not None)

    @cached_property
    def _results(self) -> set[str]:
        repository = self.context.repository_def
        assets = repository.assets_defs_by_key.values() if repository is not None else []
        tags = (asset.op.tags for asset in assets if asset.is_executable)
        return {tag[RESULTS_TAG] for tag in tags if RESULTS_TAG in tag}


def _under_way(instance: dg.DagsterInstance, run_id: str) -> dg.RunRecord | None:
    record = instance.get_run_record_by_id(run_id)
    return record if record is not None and record.dagster_run.status in _UNDER_WAY else None


def _why_never_heard_of(instance: dg.DagsterInstance, record: dg.RunRecord) -> str | None:
    if not consists_of_notebooks(instance, record.dagster_run):
        return None
    launch = find_launch(instance, record)
    if launch.life is Life.GONE:
        return (
            "its worker vanished before the notebook began: launched at "
            f"{_moment(launch.at)}" + (f" (process {launch.pid})" if launch.pid else "")
        )
    if launch.life is Life.UNKNOWN and launch.age > BETWEEN_SECONDS:
        return f"its worker was never heard of: launched at {_moment(launch.at)}"
    return None


def _end(instance: dg.DagsterInstance, run: dg.DagsterRun, reason: str) -> list[str]:
    """Tell a run's end, unless somebody has; returns the line that says so."""
    name = run.run_id[:8]
    told = settle_from_log(instance, run)
    if told is not None:
        return [f"{name}: its end had been told ({told}), and is written down now"]
    notebooks = recover_notebooks(instance, run)
    text = reason + _where(notebooks)
    record = _under_way(instance, run.run_id)
    if record is None:
        return []
    # Before the end is told: whoever is alerted by that finds the notebook.
    instance.add_run_tags(run.run_id, _tags(run.run_id, text, notebooks))
    if record.dagster_run.status is dg.DagsterRunStatus.CANCELING:
        instance.report_run_canceled(record.dagster_run, text)
    else:
        instance.report_run_failed(record.dagster_run, text)
    return [f"{name}: {text}"]


def _vanished(beat: Beat) -> str:
    return f"its worker vanished: last heard of at {_moment(beat.at)}{_process(beat)}"


def _moment(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _process(beat: Beat) -> str:
    return "" if beat.worker is None else f" (process {beat.worker.pid} on {beat.worker.host})"


def _where(notebooks: list[Recovered]) -> str:
    """In which cell it was, and where the notebook lies."""
    return "".join(
        (f", in cell {found.cell}" if found.cell else "")
        + f". The notebook so far: {found.notebook}"
        for found in notebooks
    )


def _tags(run_id: str, text: str, notebooks: list[Recovered]) -> dict[str, str]:
    tags = {VANISHED_TAG: told_of(run_id, text)}
    if notebooks:
        tags[NOTEBOOK_TAG] = told_of(run_id, str(notebooks[-1].notebook))
    return tags
