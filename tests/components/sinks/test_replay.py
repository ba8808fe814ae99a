"""What waits is sent when MLflow is back, by whoever comes by."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dagbook.execution.result import MetricPoint
from dagbook.sinks.replay import describe_spools, replay_spools

if TYPE_CHECKING:
    from conftest import Bench

Points = Callable[..., list[MetricPoint]]


@pytest.fixture
def bench(bench: Bench, tmp_path: Path) -> Bench:
    bench.state_folder = tmp_path / "project" / ".dagbook"
    return bench


def _root(bench: Bench) -> Path:
    return bench.state_folder.parent


def test_what_waits_is_sent_and_the_rest_waits_on(
    bench: Bench, make_points: Points, server: str, nowhere: str
) -> None:
    down = bench.spool("down", tracking_uri=nowhere)
    down.close(bench.end())
    also_down = bench.spool("also-down", tracking_uri=nowhere)
    also_down.close(bench.end())
    well = bench.spool("well", tracking_uri=server)
    well.add(make_points(range(3)))
    well.close(bench.end())
    running = bench.spool("running", tracking_uri=server)

    first, second = replay_spools(_root(bench))

    assert first.startswith(f"{down.folder.name}: waits for MLflow: API request to {nowhere}")
    assert second == f"{well.folder.name}: recorded"
    assert [step for step, _ in bench.history(well, "loss", server)] == [0, 1, 2]
    # One that has just failed is not asked again for the next one.
    assert not also_down.state
    assert running.folder.exists()
    (line,) = describe_spools(bench.state_folder)
    assert line.startswith("2 runs are not in MLflow yet, sent when it answers: API request to")


def test_what_failed_a_moment_ago_is_left_alone(bench: Bench, nowhere: str) -> None:
    spool = bench.spool(tracking_uri=nowhere)
    spool.close(bench.end())
    replay_spools(_root(bench))
    assert spool.state["retry_after"] > time.time() - 60
    spool.save({**spool.state, "retry_after": time.time() + 60})

    assert replay_spools(_root(bench)) == []
    assert len(replay_spools(_root(bench), at_once=True)) == 1


def test_where_nothing_waits_nothing_is_started(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dagbook.sinks.replay.subprocess", None)

    assert replay_spools(_root(bench)) == []
    assert describe_spools(bench.state_folder) == []
    running = bench.spool()
    assert replay_spools(_root(bench)) == []
    assert describe_spools(bench.state_folder) == []
    assert running.is_owned


def test_what_was_refused_is_told_with_where_it_lies(bench: Bench) -> None:
    spool = bench.spool()
    spool.set_aside({"notes": ["the end was not recorded: no"]})

    assert describe_spools(bench.state_folder) == [
        "1 run is not recorded completely: the end was not recorded: no. See and remove "
        f"{spool.folder.parent / 'aside'}"
    ]


def test_a_login_of_the_yaml_is_handed_in(bench: Bench, server: str) -> None:
    spool = bench.spool(tracking_uri=server)
    spool.close(bench.end())

    (line,) = replay_spools(_root(bench), uris=[server.replace("//", "//me:sesame@")])

    assert line == f"{spool.folder.name}: recorded"
