"""When a run has had its time, and what it has after that."""

from __future__ import annotations

import time

import pytest

from dagbook.execution.clock import Clock
from dagbook.execution.result import Cause


def clock(**changed) -> Clock:
    settings = {
        "began": time.monotonic(), "run_seconds": 60.0, "cell_seconds": None,
        "grace_seconds": 10.0, "run_label": "the limit of this run",
    }  # fmt: skip
    return Clock(**{**settings, **changed})


def test_a_run_has_what_is_left_of_its_time():
    assert 0 < clock().seconds_left() <= 60
    assert clock(began=time.monotonic() - 61).seconds_left() == 0
    assert clock(run_seconds=None).seconds_left() == float("inf")


def test_a_run_that_ends_in_time_may_take_its_time_to_exit():
    assert clock().exit_seconds(5) == 5


@pytest.mark.parametrize(("grace", "most"), [(10.0, 5.0), (2.0, 1.0), (0.0, 0.0)])
def test_a_run_over_its_time_exits_within_half_of_its_grace(grace, most):
    late = clock(began=time.monotonic() - 61, grace_seconds=grace)
    assert late.over() == "ended after 60 s, the limit of this run"
    assert late.kill_at() <= time.monotonic() + grace / 2
    assert late.exit_seconds(5) <= most


@pytest.mark.parametrize("cause", [Cause.TIME, Cause.BUDGET])
def test_the_cause_of_a_run_over_its_time_is_that_of_the_limit(cause):
    assert clock(began=time.monotonic() - 61, run_cause=cause).cause is cause


def test_the_cause_of_a_cell_over_its_time_is_the_time():
    of_a_cell = clock(cell_seconds=0.0, run_cause=Cause.BUDGET)
    of_a_cell.start_cell(3)
    assert of_a_cell.over() == "cell 3 ended after 0 s, the limit per cell"
    assert of_a_cell.cause is Cause.TIME
