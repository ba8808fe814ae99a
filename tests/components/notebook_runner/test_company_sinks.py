"""The sinks of a company's component: told of a run, and never in its way."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest

from dagbook.execution.result import ExecutionResult, MetricPoint, RunStatus
from dagbook.notebook_runner import NotebookRunnerComponent, company_sinks
from dagbook.notebook_runner.asset import NotebookAsset
from dagbook.notebook_runner.company_sinks import CompanySinks
from dagbook.notebook_runner.run_values import RunValues
from dagbook.policy.sizes import BUILT_IN_SIZES
from dagbook.sinks import Sink, SinkRun

if TYPE_CHECKING:
    from conftest import Workbench

VALUES = RunValues("r1", None, None, None, "2026-01-01T00:00:00+00:00", "dev", 1)
POINT = MetricPoint("loss", 0.5, 1, 1.0)


class Notes:
    """A sink that remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def start(self, run: SinkRun) -> None:
        self.told.append(run)

    def log(self, points: Sequence[MetricPoint]) -> None:
        self.told.append(list(points))

    def finish(self, result: ExecutionResult) -> None:
        self.told.append(result.status)


def sinks_of(make: Any, caplog: pytest.LogCaptureFixture) -> CompanySinks:
    class Company(NotebookRunnerComponent):
        def sinks(self) -> Sequence[Sink]:
            return make()  # type: ignore[no-any-return]

    asset = NotebookAsset(
        component=Company(notebook="n.ipynb"),
        key=dg.AssetKey(["models", "n"]),
        project_root=Path("/nowhere"),
        component_file=None,
        partitions=None,
        size=BUILT_IN_SIZES["small"],
    )
    caplog.set_level(logging.WARNING, "sinks")
    return CompanySinks(logging.getLogger("sinks"), asset)


def run_through(sinks: CompanySinks) -> None:
    sinks.start(replace(VALUES, partition_key="2026-01-01"))
    sinks.log([POINT])
    sinks.finish(ExecutionResult(RunStatus.FAILED))


def test_a_sink_is_told_the_start_the_measurements_and_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    notes = Notes()
    run_through(sinks_of(lambda: [notes], caplog))
    assert notes.told == [
        SinkRun("r1", "models/n", "n.ipynb", "2026-01-01", "dev", 1),
        [POINT],
        RunStatus.FAILED,
    ]
    assert caplog.messages == []


def test_sinks_that_cannot_be_made_are_a_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    run_through(sinks_of(lambda: 1 / 0, caplog))
    assert caplog.messages == [
        "the sinks of Company cannot be made: ZeroDivisionError: division by zero"
    ]


@pytest.mark.parametrize("method", ["start", "log", "finish"])
def test_a_sink_that_fails_is_a_line_in_the_log_and_its_neighbour_goes_on(
    method: str, caplog: pytest.LogCaptureFixture
) -> None:
    class Fails(Notes):
        pass

    def fail(self: Notes, _: Any) -> None:
        raise SystemExit("no\nnetwork")

    setattr(Fails, method, fail)
    notes = Notes()
    run_through(sinks_of(lambda: [Fails(), notes], caplog))
    assert caplog.messages == [
        "the sink Fails failed: SystemExit: no network; the run goes on without it"
    ]
    assert len(notes.told) == 3


def test_a_sink_that_hangs_is_not_waited_for(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()

    class Hangs(Notes):
        def start(self, run: SinkRun) -> None:
            release.wait(60)

    monkeypatch.setattr(company_sinks, "FINISH_SECONDS", 0.05)
    monkeypatch.setattr(company_sinks, "_MOST_WAITING", 3)
    sinks = sinks_of(lambda: [Hangs()], caplog)
    sinks.start(VALUES)
    for _ in range(10):
        sinks.log([POINT])
    sinks.finish(ExecutionResult(RunStatus.SUCCEEDED))
    release.set()
    slow, unfinished = caplog.messages
    assert slow.startswith("the sink Hangs was too slow: ")
    assert unfinished == (
        "the sink Hangs did not finish in time, and may not have all of the run; the run goes on "
        "without it"
    )


def test_a_real_run_tells_a_sink_what_the_notebook_measured(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()
    monkeypatch.setattr(NotebookRunnerComponent, "sinks", lambda self: [notes])
    bench.notebook("n.ipynb", ["import dagbook\ndagbook.log_metric('loss', 0.5)"])
    bench.component("n", "notebook: n.ipynb")

    assert bench.run("n").success

    first, *points, last = notes.told
    assert (first.asset, first.notebook, first.attempt) == ("n", "n.ipynb", 1)
    assert [(p.name, p.value) for group in points for p in group if p.name == "loss"] == [
        ("loss", 0.5)
    ]
    assert last is RunStatus.SUCCEEDED


def test_a_run_that_was_refused_tells_no_sink_that_it_began(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes = Notes()
    monkeypatch.setattr(NotebookRunnerComponent, "sinks", lambda self: [notes])
    bench.notebook("n.ipynb", [("days: int", ["parameters"])])
    bench.component("n", "notebook: n.ipynb")

    assert not bench.run("n").success

    assert notes.told == []
