"""The schedule of a notebook: each tick asks Dagster for a run of its asset."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import dagster as dg

from dagbook.notebook_runner.attributes import Schedule
from dagbook.notebook_runner.intervals import next_ticks
from dagbook.notebook_runner.partitions import first_partition_ends, last_complete_partition

#: The job Dagster makes of all assets. A shared job of ours could not span assets with
#: different partitions, and a job for each asset costs 32 KB of every load.
IMPLICIT_JOB = "__ASSET_JOB"

#: The tick a run belongs to, on the run, so that a run launched again keeps its interval.
TICK_TAG = "dagbook/tick"

# One notebook needs one process: the executor that starts a process for each step costs five
# CPU seconds more.
IN_PROCESS: Mapping[str, Any] = {"execution": {"config": {"in_process": {}}}}
_DEFAULT_EXECUTOR = "multi_or_in_process_executor"


def build_schedule(
    schedule: Schedule,
    *,
    name: str,
    key: dg.AssetKey,
    partitions: dg.PartitionsDefinition[str] | None,
    notebook: str,
    origin: Mapping[str, Any] | None = None,
) -> tuple[dg.ScheduleDefinition, list[Any]]:
    """Make a schedule and, where the YAML asks for one, the job it runs.

    It is running as soon as it is loaded: the YAML says when the notebook runs. Switched off
    in Dagster it stays off.

    Args:
        schedule: as the YAML has it.
        name: the name of the asset's op.
        key: the asset's.
        partitions: the asset's.
        notebook: as the YAML names it.
        origin: metadata that says where all this comes from.
    """
    job: Any = None
    if schedule.own_job:
        job = dg.define_asset_job(
            f"{name}_job", selection=dg.AssetSelection.assets(key), metadata=origin
        )

    def tick(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest | dg.SkipReason]:
        moment = context.scheduled_execution_time.astimezone(ZoneInfo(schedule.timezone))
        asked = requests_for_tick(
            moment,
            key=key,
            partitions=partitions,
            run_config=_run_config(context, job.name if job else IMPLICIT_JOB),
            select=job is None,
        )
        yield from [asked] if isinstance(asked, dg.SkipReason) else asked

    target: dict[str, Any] = {"job": job} if job else {"job_name": IMPLICIT_JOB}
    definition = dg.ScheduleDefinition(
        f"{name}_schedule",
        cron_schedule=schedule.cron,
        execution_timezone=schedule.timezone,
        execution_fn=tick,
        description=f"Runs {notebook}: {schedule.cron} ({schedule.timezone})",
        default_status=dg.DefaultScheduleStatus.RUNNING,
        metadata=origin,
        **target,
    )
    return definition, [job] if job else []


def requests_for_tick(
    tick: datetime,
    *,
    key: dg.AssetKey,
    partitions: dg.PartitionsDefinition[str] | None,
    run_config: Mapping[str, Any],
    select: bool = True,
) -> list[dg.RunRequest] | dg.SkipReason:
    """What one tick asks for: a run, the last complete partition, or each of a list of values."""
    keys: list[str | None] = [None]
    if isinstance(partitions, dg.TimeWindowPartitionsDefinition):
        last = last_complete_partition(partitions, tick)
        if last is None:
            ends = first_partition_ends(partitions)
            return dg.SkipReason(
                "No partition is complete yet."
                + (f" The first one ends at {ends.isoformat()}." if ends else "")
            )
        keys = [last]
    elif partitions is not None:
        keys = list(partitions.get_partition_keys())
    moment = tick.isoformat()
    return [
        dg.RunRequest(
            # Dagster wants a key as soon as one tick asks for several runs.
            run_key=f"{moment}/{partition}" if len(keys) > 1 else None,
            asset_selection=[key] if select else None,
            partition_key=partition,
            run_config=run_config,
            tags={TICK_TAG: moment},
        )
        for partition in keys
    ]


def describe_schedule(schedule: Schedule, now: datetime) -> dict[str, str]:
    """What a reader of the asset wants to know of its schedule, as metadata.

    Dagster shows schedules on the pages of jobs; the asset's own page shows this.
    """
    known = _described.get((schedule.cron, schedule.timezone))
    if known is None or not known.since <= now < known.until:
        known = _describe(schedule, now)
        if len(_described) >= _MOST_DESCRIBED:
            _described.clear()
        _described[schedule.cron, schedule.timezone] = known
    return dict(known.metadata)


class _Described(NamedTuple):
    """What is shown of a cron line, right from one moment until its next tick."""

    since: datetime
    until: datetime
    metadata: dict[str, str]


# Many notebooks of a project run at the same time of day.
_described: dict[tuple[str, str], _Described] = {}
_MOST_DESCRIBED = 1024


def _describe(schedule: Schedule, now: datetime) -> _Described:
    ticks = next_ticks(schedule.cron, schedule.timezone, now, 3)
    metadata = {
        "schedule": f"{schedule.cron} ({schedule.timezone})",
        "next_ticks": ", ".join(tick.strftime("%a %d %b %Y %H:%M %Z") for tick in ticks),
    }
    return _Described(now, ticks[0] if ticks else now, metadata)


def _run_config(context: dg.ScheduleEvaluationContext, job_name: str) -> Mapping[str, Any]:
    # A platform that chose another executor for its location keeps it.
    try:
        executor = context.repository_def.get_job(job_name).executor_def.name
    except Exception:
        executor = _DEFAULT_EXECUTOR
    return IN_PROCESS if executor == _DEFAULT_EXECUTOR else {}
