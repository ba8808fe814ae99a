"""What a tick asks for, and what interval a run is about."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from dagbook.errors import DagbookError
from dagbook.notebook_runner.intervals import last_interval, next_ticks
from dagbook.notebook_runner.partitions import last_complete_partition

if TYPE_CHECKING:
    from conftest import Workbench

BERLIN = ZoneInfo("Europe/Berlin")
INTERVAL = """
import dagbook
print(dagbook.context.data_interval_start, dagbook.context.data_interval_end)
start, end, day = (dagbook.context.data_interval_start, dagbook.context.data_interval_end,
                   dagbook.context.run_date)
assert [start, end, day] == expected, [start, end, day]
"""


def test_a_tick_asks_for_one_run_in_this_process_that_knows_its_tick(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component("n", "notebook: n.ipynb\nschedule: 0 6 * * *")

    (request,) = _tick(bench, "n_schedule", datetime(2026, 7, 2, 6, tzinfo=UTC))

    assert request.asset_selection == [dg.AssetKey("n")]
    assert request.partition_key is None
    assert request.run_config == {"execution": {"config": {"in_process": {}}}}
    assert request.tags["dagbook/tick"] == "2026-07-02T06:00:00+00:00"


def test_a_location_with_an_executor_of_its_own_keeps_it(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component("n", "notebook: n.ipynb\nschedule: 0 6 * * *")
    own = dg.Definitions.merge(bench.load(), dg.Definitions(executor=dg.in_process_executor))

    (request,) = _tick(bench, "n_schedule", datetime(2026, 7, 2, 6, tzinfo=UTC), own)

    assert request.run_config == {}


def test_a_tick_asks_for_the_last_complete_partition(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component(
        "n",
        """
        notebook: n.ipynb
        schedule: {cron: 30 * * * *, timezone: Europe/Berlin}
        partitions: {type: hourly, start_date: 2026-01-01, timezone: UTC}
        """,
    )

    (request,) = _tick(bench, "n_schedule", datetime(2026, 7, 2, 6, 30, tzinfo=UTC))

    assert request.partition_key == "2026-07-02-05:00"


def test_a_tick_before_the_first_partition_is_complete_says_when_it_will_be(
    bench: Workbench,
) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component(
        "n",
        "notebook: n.ipynb\nschedule: 0 6 * * *\n"
        "partitions: {type: monthly, start_date: 2026-07-01}",
    )
    defs = bench.load()
    context = _context(bench, datetime(2026, 7, 2, 6, tzinfo=UTC), defs)

    data = defs.resolve_schedule_def("n_schedule").evaluate_tick(context)

    assert data.run_requests == []
    assert data.skip_message == (
        "No partition is complete yet. The first one ends at 2026-08-01T00:00:00+00:00."
    )


def test_a_tick_asks_for_every_value_of_a_list(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component(
        "n",
        "notebook: n.ipynb\nschedule: 0 6 * * *\npartitions: {type: static, values: [DE, FR]}",
    )

    requests = _tick(bench, "n_schedule", datetime(2026, 7, 2, 6, tzinfo=UTC))

    assert [(r.partition_key, r.run_key) for r in requests] == [
        ("DE", "2026-07-02T06:00:00+00:00/DE"),
        ("FR", "2026-07-02T06:00:00+00:00/FR"),
    ]


def test_a_scheduled_run_is_about_the_time_since_the_tick_before(bench: Workbench) -> None:
    # The hour that summer takes away in Berlin lies in this interval.
    _notebook_that_expects(
        bench, "2026-03-28T06:00:00+01:00", "2026-03-29T06:00:00+02:00", "2026-03-29"
    )
    bench.component("n", "notebook: n.ipynb\nschedule: {cron: 0 6 * * *, timezone: Europe/Berlin}")
    (request,) = _tick(bench, "n_schedule", datetime(2026, 3, 29, 4, tzinfo=UTC))

    assert bench.run("n", tags=request.tags).success


def test_a_run_by_hand_is_about_the_last_complete_interval(bench: Workbench) -> None:
    year = datetime.now(BERLIN).year
    start, end = f"{year - 1}-01-01T00:00:00+01:00", f"{year}-01-01T00:00:00+01:00"
    _notebook_that_expects(bench, start, end, datetime.now(BERLIN).date().isoformat())
    bench.component("n", "notebook: n.ipynb\nschedule: {cron: 0 0 1 1 *, timezone: Europe/Berlin}")

    assert bench.run("n").success


def test_a_run_of_a_partition_is_about_its_window_in_the_schedules_zone(bench: Workbench) -> None:
    _notebook_that_expects(
        bench, "2026-07-01T02:00:00+02:00", "2026-07-02T02:00:00+02:00", "2026-07-10"
    )
    bench.component(
        "n",
        """
        notebook: n.ipynb
        schedule: {cron: 0 6 * * *, timezone: Europe/Berlin}
        partitions: {type: daily, start_date: 2026-01-01, timezone: UTC}
        """,
    )

    tags = {"dagbook/tick": "2026-07-10T06:00:00+02:00"}
    assert bench.run("n", partition="2026-07-01", tags=tags).success


@pytest.mark.parametrize(
    ("cron", "at", "start", "end"),
    [
        ("0 6 * * *", "2026-07-02T06:00", "2026-07-01T06:00", "2026-07-02T06:00"),
        ("0 6 * * *", "2026-07-02T05:59", "2026-06-30T06:00", "2026-07-01T06:00"),
        ("0 9 * * 1-5", "2026-07-06T09:00", "2026-07-03T09:00", "2026-07-06T09:00"),
        ("*/15 * * * *", "2026-07-02T06:07", "2026-07-02T05:45", "2026-07-02T06:00"),
        ("0 0 1 1 *", "2026-07-02T00:00", "2025-01-01T00:00", "2026-01-01T00:00"),
        ("@monthly", "2026-07-02T00:00", "2026-06-01T00:00", "2026-07-01T00:00"),
    ],
)
def test_the_last_interval_lies_between_two_ticks(cron: str, at: str, start: str, end: str) -> None:
    window = last_interval(cron, "UTC", datetime.fromisoformat(at).replace(tzinfo=UTC))

    assert window.start.isoformat() == f"{start}:00+00:00"
    assert window.end.isoformat() == f"{end}:00+00:00"


def test_next_ticks_are_in_the_schedules_zone_and_mind_the_clock_change() -> None:
    ticks = next_ticks("30 2 * * *", "Europe/Berlin", datetime(2026, 3, 27, 12, tzinfo=UTC), 3)

    # There is no 02:30 on the 29th; Dagster's scheduler ticks at 03:00 then.
    assert [tick.strftime("%d %H:%M %Z") for tick in ticks] == [
        "28 02:30 CET",
        "29 03:00 CEST",
        "30 02:30 CEST",
    ]


def test_partitions_that_have_ended_keep_their_last_one() -> None:
    partitions = dg.DailyPartitionsDefinition("2026-01-01", end_date="2026-01-04")

    def last(day: str) -> str | None:
        return last_complete_partition(partitions, datetime.fromisoformat(f"{day}T00:00:00+00:00"))

    assert [last(day) for day in ("2026-01-01", "2026-01-02", "2026-01-04", "2026-09-09")] == [
        None,
        "2026-01-01",
        "2026-01-03",
        "2026-01-03",
    ]


def test_an_unknown_time_zone_is_refused() -> None:
    with pytest.raises(DagbookError) as error:
        next_ticks("0 6 * * *", "../etc/localtime", datetime.now(UTC), 1)
    assert str(error.value) == (
        "time zone '../etc/localtime' does not exist: use an IANA name such as Europe/Berlin or UTC"
    )


def _notebook_that_expects(bench: Workbench, *expected: str) -> None:
    bench.notebook("n.ipynb", [f"expected = {list(expected)}\n{INTERVAL}"])


def _context(bench: Workbench, at: datetime, defs: dg.Definitions) -> Any:
    return dg.build_schedule_context(
        instance=bench.instance,
        scheduled_execution_time=at,
        repository_def=defs.get_repository_def(),
    )


def _tick(
    bench: Workbench, name: str, at: datetime, defs: dg.Definitions | None = None
) -> list[dg.RunRequest]:
    defs = defs or bench.load()
    data = defs.resolve_schedule_def(name).evaluate_tick(_context(bench, at, defs))
    return list(data.run_requests or [])
