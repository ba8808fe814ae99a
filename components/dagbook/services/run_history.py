"""The runs of a project, as its Dagster instance remembers them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.errors import DagbookError
from dagbook.project import Project
from dagbook.run_tags import NOTEBOOK_TAG, VANISHED_TAG, read_tag
from dagbook.services.instance import open_instance

if TYPE_CHECKING:
    from dagster import DagsterInstance, DagsterRun, EventLogEntry, RunRecord

#: Dagster's word -> the word of `dagbook run` and the executed notebook.
STATES = {
    "QUEUED": "queued",
    "NOT_STARTED": "queued",
    "MANAGED": "queued",
    "STARTING": "starting",
    "STARTED": "running",
    "CANCELING": "cancelling",
    "SUCCESS": "succeeded",
    "FAILURE": "failed",
    "CANCELED": "cancelled",
}

#: How the component names what it tells about a run.
NOTEBOOK_KEY = "executed_notebook"
PAGE_KEY = "executed_html"
STATUS_KEY = "status"

_PARTITION_TAG = "dagster/partition"
#: What Dagster calls the job of all assets. Without a selection a run of it makes every one.
_ALL_ASSETS_JOB = "__ASSET_JOB"
#: How many runs are looked at together when only some of them are wanted.
_BATCH = 100
_SHORTEST_ID = 4


@dataclass(frozen=True)
class Run:
    """One run. Times are Unix times and durations, in seconds; None while there are none."""

    id: str
    state: str
    created_at: float
    started_at: float | None
    duration_seconds: float | None
    assets: tuple[str, ...]
    partition: str | None
    reason: str | None
    executed_notebook: Path | None
    executed_html: Path | None
    told: Mapping[str, Any] = field(default_factory=dict)
    """All it told Dagster of itself, by name: metrics, what it used and cost, its checks"""


def list_runs(
    project: Project, *, limit: int | None = None, assets: Collection[str] | None = None
) -> list[Run]:
    """The last runs of a project, the newest first.

    Args:
        project: the project.
        limit: how many at most.
        assets: only runs of these, keys with slashes.

    Raises:
        DagbookError: Dagster is not installed, or its instance cannot be opened.
    """
    with open_instance(project) as instance:
        return [] if instance is None else runs_in(instance, limit=limit, assets=assets)


def runs_in(
    instance: DagsterInstance,
    *,
    limit: int | None = None,
    assets: Collection[str] | None = None,
    known: MutableMapping[str, Run] | None = None,
) -> list[Run]:
    """The same of an instance that is open.

    Args:
        instance: where to look.
        limit: how many at most.
        assets: only runs of these, keys with slashes.
        known: runs that ended and were looked at before; those found now are added.
    """
    found: list[Run] = []
    for record in _records(instance):
        if limit is not None and len(found) >= limit:
            break
        if assets is None or not set(_assets(record)).isdisjoint(assets):
            found.append(_known_run(instance, record, {} if known is None else known))
    return found


def _known_run(
    instance: DagsterInstance, record: RunRecord, known: MutableMapping[str, Run]
) -> Run:
    """A run; what one that ended had to say does not change any more, but for its tags."""
    run = record.dagster_run
    key = f"{run.run_id} {record.update_timestamp} {sorted(run.tags.items())}"
    if key in known:
        return known[key]
    found = _run(instance, record)
    if run.is_finished:
        known[key] = found
    return found


def find_run(project: Project, run_id: str | None) -> Run:
    """The run that an id or the beginning of one means; the last run without one.

    Raises:
        DagbookError: there is no such run, or several.
    """
    with open_instance(project) as instance:
        records = [] if instance is None else list(_matching(instance, run_id))
        if instance is None or not records:
            if run_id is None:
                raise DagbookError(
                    "this project has no runs yet: `dagbook up` shows where to start one"
                )
            raise DagbookError(f"there is no run {run_id}: `dagbook runs list` shows them")
        if len(records) > 1:
            ids = ", ".join(record.dagster_run.run_id for record in records[:4])
            raise DagbookError(f"{run_id} is the beginning of several runs: {ids}")
        return _run(instance, records[0])


def _matching(instance: DagsterInstance, run_id: str | None) -> Iterator[RunRecord]:
    if run_id is None:
        yield from instance.get_run_records(limit=1)
        return
    exact = instance.get_run_record_by_id(run_id)
    if exact is not None:
        yield exact
        return
    if len(run_id) < _SHORTEST_ID:
        raise DagbookError(
            f"{run_id} is too short to name a run: give at least {_SHORTEST_ID} characters"
        )
    for record in _records(instance):
        if record.dagster_run.run_id.startswith(run_id):
            yield record


def _records(instance: DagsterInstance) -> Iterator[RunRecord]:
    cursor = None
    while records := instance.get_run_records(limit=_BATCH, cursor=cursor):
        yield from records
        cursor = records[-1].dagster_run.run_id


def _run(instance: DagsterInstance, record: RunRecord) -> Run:
    run = record.dagster_run
    vanished = _told_of_vanished(run)
    told = {**_told_by(instance, run.run_id), **vanished}
    state = STATES.get(run.status.value, run.status.value.lower())
    if state == "failed" and told.get(STATUS_KEY) and not vanished:
        # Dagster knows one way to fail; the runner says whether it was killed or timed out.
        state = str(told[STATUS_KEY])
    created = record.create_timestamp
    return Run(
        id=run.run_id,
        state=state,
        created_at=_as_utc(created).timestamp(),
        started_at=record.start_time,
        duration_seconds=_duration(record),
        assets=_assets(record),
        partition=run.tags.get(_PARTITION_TAG),
        reason=told.get("reason"),
        executed_notebook=_path(told.get(NOTEBOOK_KEY)),
        executed_html=_path(told.get(PAGE_KEY)),
        told=told,
    )


def _duration(record: RunRecord) -> float | None:
    if record.start_time is None:
        return None
    end = record.end_time or datetime.now(UTC).timestamp()
    return max(0.0, end - record.start_time)


def _assets(record: RunRecord) -> tuple[str, ...]:
    selection = record.dagster_run.asset_selection
    if selection:
        return tuple(sorted("/".join(key.path) for key in selection))
    job = record.dagster_run.job_name
    return ("all",) if job == _ALL_ASSETS_JOB else (job,)


def _told_by(instance: DagsterInstance, run_id: str) -> dict[str, Any]:
    """What the steps of a run said about it, the last word for each name."""
    from dagster import DagsterEventType

    kinds = {
        DagsterEventType.ASSET_MATERIALIZATION,
        DagsterEventType.ASSET_OBSERVATION,
        DagsterEventType.STEP_FAILURE,
        DagsterEventType.STEP_UP_FOR_RETRY,
    }
    told: dict[str, Any] = {}
    for record in instance.get_records_for_run(run_id, of_type=kinds).records:
        metadata = _metadata(record.event_log_entry)
        told.update({name: getattr(value, "value", value) for name, value in metadata.items()})
    return told


def _told_of_vanished(run: DagsterRun) -> dict[str, Any]:
    """What was found out about a run whose worker had vanished."""
    found = {"reason": VANISHED_TAG, NOTEBOOK_KEY: NOTEBOOK_TAG}
    told = {name: read_tag(run.tags, tag, run.run_id) for name, tag in found.items()}
    return {name: value for name, value in told.items() if value is not None}


def _metadata(entry: EventLogEntry) -> Mapping[str, Any]:
    event = entry.asset_materialization or entry.asset_observation
    if event is not None:
        return event.metadata
    step_event = entry.dagster_event
    data: Any = step_event.event_specific_data if step_event else None
    failure = getattr(data, "user_failure_data", None)
    return failure.metadata if failure is not None else {}


def _path(value: Any) -> Path | None:
    return Path(value) if isinstance(value, str) and value else None


def _as_utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
