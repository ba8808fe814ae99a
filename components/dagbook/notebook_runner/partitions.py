"""The partitions of a notebook: hours, days, weeks, months, or a list of values."""

from __future__ import annotations

from datetime import datetime, time, timedelta

import dagster as dg

from dagbook.errors import DagbookError
from dagbook.notebook_runner.attributes import Schedule, StaticPartitions, TimePartitions
from dagbook.notebook_runner.intervals import check_timezone

_TIME_KINDS: dict[str, type[dg.TimeWindowPartitionsDefinition]] = {
    "hourly": dg.HourlyPartitionsDefinition,
    "daily": dg.DailyPartitionsDefinition,
    "weekly": dg.WeeklyPartitionsDefinition,
    "monthly": dg.MonthlyPartitionsDefinition,
}


def build_partitions(
    partitions: TimePartitions | StaticPartitions | None, schedule: Schedule | None
) -> dg.PartitionsDefinition[str] | None:
    """Make the partitions a notebook's YAML asks for.

    Days begin in the schedule's time zone unless the partitions name one, so that a run at
    01:00 in Berlin is about Berlin's yesterday.

    Raises:
        DagbookError: a date, the time zone or the list of values cannot be used.
    """
    if partitions is None:
        return None
    if isinstance(partitions, StaticPartitions):
        return _static(partitions.values)
    timezone = partitions.timezone or (schedule.timezone if schedule else "UTC")
    check_timezone(timezone)
    hourly = partitions.type == "hourly"
    start = _moment("start_date", partitions.start_date, hourly)
    end = _moment("end_date", partitions.end_date, hourly) if partitions.end_date else None
    if end is not None and end <= start:
        raise DagbookError(
            f"end_date {partitions.end_date} is not after start_date {partitions.start_date}"
        )
    kind = _TIME_KINDS[partitions.type]
    return kind(start_date=start, end_date=end, timezone=timezone)  # type: ignore[call-arg]


def last_complete_partition(
    partitions: dg.TimeWindowPartitionsDefinition, at: datetime
) -> str | None:
    """The last partition whose window has ended at a moment, if one has."""
    window = partitions.get_prev_partition_window(at, respect_bounds=False)
    if partitions.end is not None and at >= partitions.end:
        window = partitions.get_prev_partition_window(partitions.end, respect_bounds=False)
    if window is None or window.start < partitions.start:
        return None
    return next(iter(partitions.get_partition_keys_in_time_window(window)), None)


def first_partition_ends(partitions: dg.TimeWindowPartitionsDefinition) -> datetime | None:
    """When the first partition is complete."""
    moment = partitions.start - timedelta(microseconds=1)
    window = partitions.get_next_partition_window(moment, respect_bounds=False)
    return window.end if window else None


def _static(values: list[str]) -> dg.PartitionsDefinition[str]:
    repeated = sorted({value for value in values if values.count(value) > 1})
    if repeated:
        raise DagbookError(f"values names {repeated[0]!r} more than once")
    if "" in values:
        raise DagbookError("values holds an empty text: a partition needs a name")
    try:
        return dg.StaticPartitionsDefinition(values)
    except Exception as error:
        raise DagbookError(f"values cannot be partitions: {error}") from None


def _moment(key: str, text: str, hourly: bool) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        form = "YYYY-MM-DD or YYYY-MM-DDTHH:MM" if hourly else "YYYY-MM-DD"
        raise DagbookError(f"{key} {text!r} is no date: write {form}") from None
    if moment.tzinfo is not None:
        raise DagbookError(f"{key} {text!r} carries a time zone: give it as `timezone` instead")
    if not hourly and moment.time() != time.min:
        raise DagbookError(f"{key} {text!r} has a time of day: only hourly partitions have one")
    if moment.time() != time(moment.hour):
        raise DagbookError(f"{key} {text!r}: hourly partitions begin on the full hour")
    return moment
