"""What one run is about: its interval, its partition, its try; what names in braces stand for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import dagster as dg

from dagbook.context import DEFAULT_ENVIRONMENT, ENVIRONMENT_VARIABLE
from dagbook.errors import DagbookError
from dagbook.notebook import Notebook, resolve_parameters
from dagbook.notebook_runner.attributes import Schedule
from dagbook.notebook_runner.intervals import last_interval
from dagbook.notebook_runner.patience import patiently
from dagbook.notebook_runner.run_time_names import fill_in, names_in
from dagbook.notebook_runner.schedule import TICK_TAG


@dataclass(frozen=True)
class RunValues:
    """What one run is about. Times are in the schedule's zone, else the partitions', else UTC."""

    run_id: str
    partition_key: str | None
    data_interval_start: str | None
    data_interval_end: str | None
    run_date: str
    environment: str
    attempt: int

    def lookup(self, experiment_id: Callable[[], str]) -> Callable[[str], Any]:
        """A function that gives the value of a name in braces.

        Args:
            experiment_id: finds it; asked only if the name is used.

        Raises:
            DagbookError: (the function) the run has no such value.
        """

        def value_of(name: str) -> Any:
            value = experiment_id() if name == "experiment_id" else getattr(self, name)
            if value is None:
                needs = "partitions" if name == "partition_key" else "a schedule or partitions"
                raise DagbookError(f"`{{{{ {name} }}}}` has no value in a run without {needs}")
            return value

        return value_of

    def as_context(self, **more: Any) -> dict[str, Any]:
        """What `dagbook.context` says in the notebook."""
        return {**vars(self), **more}


def read_run_values(
    context: dg.AssetExecutionContext,
    schedule: Schedule | None,
    partitions: dg.PartitionsDefinition[str] | None,
) -> RunValues:
    """Find out what a run is about.

    The interval is the partition's window; without one, it reaches from the tick before to the
    tick that started the run; a run started by hand takes the last complete interval.

    Raises:
        DagbookError: the run spans several partitions.
    """
    launched = _launched_at(context)
    tick = context.run.tags.get(TICK_TAG)
    at = datetime.fromisoformat(tick) if tick else launched
    zone = _zone(schedule, partitions)
    window: dg.TimeWindow | None = None
    partition = _partition(context)
    if partition is not None and isinstance(partitions, dg.TimeWindowPartitionsDefinition):
        window = partitions.time_window_for_partition_key(partition)
    elif schedule is not None:
        window = last_interval(schedule.cron, schedule.timezone, at)
    return RunValues(
        run_id=context.run.run_id,
        partition_key=partition,
        data_interval_start=window and window.start.astimezone(zone).isoformat(),
        data_interval_end=window and window.end.astimezone(zone).isoformat(),
        run_date=at.astimezone(zone).date().isoformat(),
        environment=os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_ENVIRONMENT,
        attempt=context.retry_number + 1,
    )


def fill_in_parameters(
    notebook: Notebook, given: Mapping[str, Any], lookup: Callable[[str], Any]
) -> dict[str, Any]:
    """Fill names in braces in, and bring all values to the types the notebook declares.

    Text that came out of braces is read by the parameter's type, as on a command line: a
    partition named `3` is a number to a notebook that wants one.

    Raises:
        DagbookError: a value the notebook cannot take.
    """
    resolved: dict[str, Any] = {}
    for name, value in given.items():
        from_braces = isinstance(value, str) and next(names_in(value), None) is not None
        filled = fill_in(value, lookup)
        resolved |= resolve_parameters(
            notebook, {name: filled}, from_text=from_braces, complete=False
        )
    return resolve_parameters(notebook, resolved)


def _launched_at(context: dg.AssetExecutionContext) -> datetime:
    # The run's own time, not the clock's: a second try is about the same interval as the first.
    record = patiently(lambda: context.instance.get_run_record_by_id(context.run.run_id))
    if record is None:
        return datetime.now(UTC)
    created: datetime = record.create_timestamp
    return created if created.tzinfo is not None else created.replace(tzinfo=UTC)


def _partition(context: dg.AssetExecutionContext) -> str | None:
    if not context.has_partition_key:
        if context.has_partition_key_range:
            raise DagbookError(
                "a run of this notebook is about one partition: launch a backfill, which makes "
                "a run for each"
            )
        return None
    key: str = context.partition_key
    return key


def _zone(schedule: Schedule | None, partitions: dg.PartitionsDefinition[str] | None) -> ZoneInfo:
    if schedule is not None:
        return ZoneInfo(schedule.timezone)
    if isinstance(partitions, dg.TimeWindowPartitionsDefinition):
        return ZoneInfo(partitions.timezone)
    return ZoneInfo("UTC")
