"""What is to be recorded, on disk: private, in order, and in bounds."""

from __future__ import annotations

import errno
import math
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from dagbook.execution.result import MetricPoint
from dagbook.sinks.spool import SPOOL_FOLDER, Spool, spools_aside, spools_in

if TYPE_CHECKING:
    from conftest import Bench

NOW = 4_000_000_000.0  # far away: what is old is set aside


@pytest.fixture
def bench(bench: Bench, tmp_path: Path) -> Bench:
    bench.state_folder = tmp_path / ".dagbook"
    return bench


def test_nobody_else_may_look_into_it(bench: Bench) -> None:
    spool = bench.spool()
    spool.add([MetricPoint("loss", 1.0, 0, NOW)])
    spool.save({"run_id": "r"})
    spool.close(bench.end())

    assert stat.S_IMODE(spool.folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in spool.folder.iterdir()}
    assert modes == dict.fromkeys(
        ["head.json", "points.jsonl", "state.json", "end.json", "owner"], 0o600
    )


def test_points_come_back_as_they_were(bench: Bench) -> None:
    spool = bench.spool()
    points = [
        MetricPoint("loss", 0.1, 3, NOW),
        MetricPoint("größe", math.inf, None, NOW),
        MetricPoint("loss", -math.inf, -1, NOW + 0.000001),
    ]
    spool.add(points)

    found, offset = spool.points(0)

    assert found == points
    assert spool.points(offset) == ([], offset)


def test_a_disk_that_was_full_costs_no_line_but_its_own(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool = bench.spool()
    point = MetricPoint("loss", 1.0, 0, NOW)
    spool.add([point])
    with (spool.folder / "points.jsonl").open("a") as file:
        file.write('["loss", "2.')
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdopen", _raise_full)
        with pytest.raises(OSError, match="No space"):
            spool.add([point])

    spool.add([MetricPoint("loss", 3.0, 2, NOW)])

    assert [p.value for p in spool.points(0)[0]] == [1.0, 3.0]


def _raise_full(descriptor: int, _mode: str) -> None:
    os.close(descriptor)
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_second_folder_of_the_same_name_is_another(bench: Bench) -> None:
    first, second = bench.spool(), bench.spool()

    assert second.folder.name == f"{first.folder.name}.2"
    assert [s.folder for s in spools_in(bench.state_folder)] == [first.folder, second.folder]


def test_the_owner_is_the_process_that_runs_it(bench: Bench) -> None:
    spool = bench.spool()
    assert spool.is_owned

    spool.close(bench.end())

    assert not spool.is_owned
    assert spool.end == bench.end()


def test_a_folder_that_came_to_nothing_is_removed_later(bench: Bench) -> None:
    folder = bench.state_folder / SPOOL_FOLDER / "stillborn"
    folder.mkdir(parents=True)
    bench.deliver(Spool(folder))
    assert folder.exists()

    old = time.time() - 100
    os.utime(folder, (old, old))
    bench.deliver(Spool(folder))

    assert not folder.exists()


def test_only_the_newest_are_kept_aside(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagbook.sinks.spool.MOST_ASIDE", 2)
    for name in "abc":
        bench.spool(name).set_aside({"notes": [name]})
        time.sleep(0.02)

    assert [s.state["notes"] for s in spools_aside(bench.state_folder)] == [["b"], ["c"]]
