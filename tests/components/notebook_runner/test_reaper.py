"""Runs whose worker has vanished: who ends them, with which words, and who leaves them alone."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import nbformat
import pytest

from dagbook.notebook_runner import reaper
from dagbook.notebook_runner.heartbeat import Beat, read_beat
from dagbook.notebook_runner.reaper import Reaper, reaper_sensor
from dagbook.run_tags import HEARTBEAT_TAG, NOTEBOOK_TAG, VANISHED_TAG, read_tag
from dagbook.worker import worker_of

if TYPE_CHECKING:
    from conftest import Workbench

WAITING = "import os, time\nopen('kernel.pid', 'w').write(str(os.getpid()))\ntime.sleep(600)"

#: A run in somebody's terminal: a process of its own that is its own worker.
WORKER = """
import os, sys, dagster as dg
from dagbook.location import load_project
from dagbook.notebook_runner import heartbeat
from dagbook.project import require_project
heartbeat.BEAT_SECONDS, heartbeat.SILENT_SECONDS = 0.5, 2.0
job = load_project(require_project(sys.argv[1])).resolve_implicit_global_asset_job_def()
with dg.DagsterInstance.local_temp(sys.argv[2]) as instance:
    job.execute_in_process(
        instance=instance, asset_selection=[dg.AssetKey(sys.argv[3])], raise_on_error=False
    )
"""


def own(_: dg.DagsterRun) -> bool:
    return True


@pytest.fixture(autouse=True)
def no_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaper, "MOMENT_SECONDS", 0.0)


@pytest.fixture
def worker(bench: Workbench) -> Iterator[subprocess.Popen[bytes]]:
    """A worker in the second cell of its notebook."""
    bench.notebook("n.ipynb", ["print('begun')", WAITING, "print('never')"])
    bench.component("n", "notebook: n.ipynb")
    home = bench.instance.root_directory
    with subprocess.Popen(
        [sys.executable, "-c", WORKER, bench.root, home, "n"], stderr=subprocess.DEVNULL
    ) as process:
        try:
            eventually(lambda: _text(bench.root / "kernel.pid"))
            journal = next((bench.root / "runs" / "n").glob(".*.running")) / "journal.jsonl"
            eventually(lambda: '["cell",1,"running"' in _text(journal))
            yield process
        finally:
            process.send_signal(signal.SIGCONT)
            process.kill()


def eventually(condition: Any) -> Any:
    deadline = time.monotonic() + 120
    while not (found := condition()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return found


def only_run(instance: dg.DagsterInstance) -> dg.DagsterRun:
    (run,) = instance.get_runs()
    return run


def ends_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> list[tuple[str, str]]:
    """Each end that was told of a run, with its words."""
    kinds = {
        dg.DagsterEventType.RUN_SUCCESS,
        dg.DagsterEventType.RUN_FAILURE,
        dg.DagsterEventType.RUN_CANCELED,
    }
    entries = instance.all_logs(run.run_id, of_type=kinds)
    return [(e.dagster_event.event_type_value, e.message) for e in entries if e.dagster_event]


def test_a_killed_workers_run_fails_once_with_reason_cell_and_notebook(
    bench: Workbench, worker: subprocess.Popen[bytes]
) -> None:
    looks = Reaper()
    assert looks.look(bench.instance, own) == []
    worker.kill()
    worker.wait()
    (line,) = looks.look(bench.instance, own)

    run = only_run(bench.instance)
    assert run.status is dg.DagsterRunStatus.FAILURE
    ((kind, said),) = ends_of(bench.instance, run)
    notebook = read_tag(run.tags, NOTEBOOK_TAG, run.run_id)
    assert notebook is not None
    assert kind == "PIPELINE_FAILURE"
    assert re.fullmatch(
        r"its worker vanished: last heard of at \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC "
        rf"\(process {worker.pid} on \S+\), in cell 2\. "
        rf"The notebook so far: {re.escape(notebook)}",
        said,
    )
    assert read_tag(run.tags, VANISHED_TAG, run.run_id) == said
    assert line == f"{run.run_id[:8]}: {said}"
    cells = nbformat.read(notebook, as_version=4).cells
    assert any(o.get("text") == "begun\n" for c in cells for o in c.get("outputs", []))

    assert looks.look(bench.instance, own) == []
    assert Reaper().look_back(bench.instance, own) == []
    assert len(ends_of(bench.instance, run)) == 1


def test_a_cancelled_run_whose_worker_vanished_is_cancelled(
    bench: Workbench, worker: subprocess.Popen[bytes]
) -> None:
    bench.instance.report_run_canceling(only_run(bench.instance))
    worker.kill()
    worker.wait()
    Reaper().look(bench.instance, own)
    run = only_run(bench.instance)
    assert run.status is dg.DagsterRunStatus.CANCELED
    assert [kind for kind, _ in ends_of(bench.instance, run)] == ["PIPELINE_CANCELED"]


def test_a_silent_worker_counts_as_dead_and_stops_itself_when_it_comes_back(
    bench: Workbench, worker: subprocess.Popen[bytes]
) -> None:
    kernel = int(_text(bench.root / "kernel.pid"))
    worker.send_signal(signal.SIGSTOP)
    looks = Reaper()
    assert looks.look(bench.instance, own) == []
    eventually(lambda: looks.look(bench.instance, own))
    run = only_run(bench.instance)
    assert run.status is dg.DagsterRunStatus.FAILURE
    worker.send_signal(signal.SIGCONT)
    worker.wait(60)

    ((_, said),) = ends_of(bench.instance, run)
    assert re.fullmatch(
        r"its worker fell silent: last heard of at .* UTC \(process \d+ on \S+\)", said
    )
    assert only_run(bench.instance).status is dg.DagsterRunStatus.FAILURE
    kinds = {e.dagster_event_type for e in bench.instance.all_logs(run.run_id)}
    assert dg.DagsterEventType.ASSET_MATERIALIZATION not in kinds
    (notebook,) = (bench.root / "runs" / "n").glob("*.ipynb")
    assert notebook.name.endswith("-cancelled.ipynb")
    with pytest.raises(ProcessLookupError):
        os.kill(kernel, 0)


def test_what_a_worker_left_whose_end_was_told_by_others_is_kept(
    bench: Workbench, worker: subprocess.Popen[bytes]
) -> None:
    looks = Reaper()
    run = only_run(bench.instance)
    worker.kill()
    worker.wait()
    # As the code server does that had started it.
    bench.instance.report_run_failed(run)
    assert looks.look(bench.instance, own) == []
    (line,) = looks.look_back(bench.instance, own)
    run = only_run(bench.instance)
    notebook = read_tag(run.tags, NOTEBOOK_TAG, run.run_id)
    assert notebook is not None
    assert Path(notebook).is_file()
    assert line.endswith(f", in cell 2. The notebook so far: {notebook}")
    assert len(ends_of(bench.instance, run)) == 1
    (told,) = [
        e.message
        for e in bench.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.ENGINE_EVENT)
        if "vanished" in e.message
    ]
    assert line == f"{run.run_id[:8]}: {told}"
    assert looks.look_back(bench.instance, own) == []
    assert Reaper().look_back(bench.instance, own) == []


# Runs that are made to look like something, without waiting for it


@pytest.fixture
def ended(bench: Workbench) -> dg.DagsterRun:
    """A run of a notebook that succeeded, set back to being under way."""
    bench.notebook("n.ipynb", ["1"])
    bench.component("n", "notebook: n.ipynb")
    assert bench.run("n").success
    return set_back(bench.instance)


def set_back(instance: dg.DagsterInstance) -> dg.DagsterRun:
    run = only_run(instance)
    (start,) = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_START)
    assert start.dagster_event is not None
    instance.handle_run_event(run.run_id, start.dagster_event)
    run = only_run(instance)
    assert run.status is dg.DagsterRunStatus.STARTED
    return run


def a_dead_worker() -> Any:
    with subprocess.Popen(["true"]) as process:
        worker = worker_of(process.pid)
    return worker


def beat_as(instance: dg.DagsterInstance, run: dg.DagsterRun, beat: Beat) -> None:
    instance.add_run_tags(run.run_id, {HEARTBEAT_TAG: beat.to_text(run.run_id)})


def test_an_end_that_was_told_but_not_written_down_is_not_told_again(
    bench: Workbench, ended: dg.DagsterRun
) -> None:
    beat_as(bench.instance, ended, Beat(time.time(), 30.0, True, a_dead_worker()))
    (line,) = Reaper().look(bench.instance, own)
    assert line == (
        f"{ended.run_id[:8]}: its end had been told (PIPELINE_SUCCESS), and is written down now"
    )
    assert only_run(bench.instance).status is dg.DagsterRunStatus.SUCCESS
    assert [kind for kind, _ in ends_of(bench.instance, ended)] == ["PIPELINE_SUCCESS"]


def test_a_run_of_another_location_is_left_to_its_own_sensor(
    bench: Workbench, ended: dg.DagsterRun
) -> None:
    beat_as(bench.instance, ended, Beat(time.time(), 30.0, False, a_dead_worker()))
    assert Reaper().look(bench.instance, lambda run: False) == []
    assert Reaper().look_back(bench.instance, lambda run: False) == []


def test_a_machine_whose_clock_is_wrong_is_not_taken_for_dead(
    bench: Workbench, ended: dg.DagsterRun
) -> None:
    elsewhere = replace(worker_of(os.getpid()), machine="another boot/pid:[1]")
    looks = Reaper()
    for hours in (-1, 0, 1):
        beat_as(bench.instance, ended, Beat(time.time() + hours * 3600, 30.0, False, elsewhere))
        assert looks.look(bench.instance, own) == []


def test_a_worker_that_is_seen_to_live_may_be_silent_for_longer(
    bench: Workbench, ended: dg.DagsterRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = worker_of(os.getpid())
    looks = Reaper()
    beat_as(bench.instance, ended, Beat(time.time(), 0.0, False, here))
    assert looks.look(bench.instance, own) == []
    time.sleep(0.05)
    assert looks.look(bench.instance, own) == []
    monkeypatch.setattr(reaper, "ALIVE_SECONDS", 0.0)
    assert len(looks.look(bench.instance, own)) == 1


def test_a_run_that_never_beat_counts_as_dead_after_a_fair_time(
    bench: Workbench, ended: dg.DagsterRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.instance.add_run_tags(ended.run_id, {HEARTBEAT_TAG: "gone"})
    assert read_beat(only_run(bench.instance)) is None
    assert Reaper().look(bench.instance, own) == []
    monkeypatch.setattr(reaper, "BETWEEN_SECONDS", 0.0)
    assert len(Reaper().look(bench.instance, own)) == 1


def test_runs_of_other_assets_are_never_touched(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reaper, "BETWEEN_SECONDS", 0.0)

    @dg.asset
    def other() -> None: ...

    dg.materialize([other], instance=bench.instance)
    set_back(bench.instance)
    time.sleep(0.05)
    assert Reaper().look(bench.instance, own) == []


def test_a_run_with_other_assets_ends_only_with_its_process(bench: Workbench) -> None:
    bench.notebook("n.ipynb", ["1"])
    bench.component("n", "notebook: n.ipynb")

    @dg.asset(deps=["n"])
    def other() -> None: ...

    both = dg.Definitions.merge(bench.load(), dg.Definitions(assets=[other]))
    job = both.resolve_implicit_global_asset_job_def()
    assert job.execute_in_process(instance=bench.instance).success
    run = set_back(bench.instance)
    elsewhere = replace(worker_of(os.getpid()), machine="another boot/pid:[1]")
    looks = Reaper()
    beat_as(bench.instance, run, Beat(time.time(), 0.0, True, elsewhere))
    looks.look(bench.instance, own)
    time.sleep(0.05)
    assert looks.look(bench.instance, own) == []
    beat_as(bench.instance, run, Beat(time.time(), 0.0, True, a_dead_worker()))
    assert len(looks.look(bench.instance, own)) == 1


# The sensor


def test_all_components_have_one_sensor_however_they_are_loaded(bench: Workbench) -> None:
    for name in ("a", "b"):
        bench.notebook(f"{name}.ipynb", ["1"])
        bench.component(name, f"notebook: {name}.ipynb")
    sys.path.insert(0, str(bench.root))
    for defs in (bench.load(), dg.load_from_defs_folder(path_within_project=bench.root)):
        dg.Definitions.validate_loadable(defs)
        repository = defs.get_repository_def()
        names = sorted(sensor.name for sensor in repository.sensor_defs)
        assert names == ["dagbook_delivery", "dagbook_reaper"]
        assert repository.get_sensor_def("dagbook_reaper") is reaper_sensor
    assert reaper_sensor.default_status is dg.DefaultSensorStatus.RUNNING


def test_the_sensor_ends_runs_of_its_own_notebooks(
    bench: Workbench, ended: dg.DagsterRun, tmp_path: Path
) -> None:
    beat_as(bench.instance, ended, Beat(time.time(), 30.0, False, a_dead_worker()))

    @dg.asset
    def other() -> None: ...

    foreign = dg.Definitions(assets=[other], sensors=[reaper_sensor]).get_repository_def()
    context = dg.build_sensor_context(bench.instance, repository_def=foreign)
    assert reaper_sensor(context) == dg.SkipReason("No worker has vanished.")
    context = dg.build_sensor_context(
        bench.instance, repository_def=bench.load().get_repository_def()
    )
    said = reaper_sensor(context)
    assert isinstance(said, dg.SkipReason)
    assert str(said.skip_message).endswith("(PIPELINE_SUCCESS), and is written down now")
    assert reaper_sensor(context) == dg.SkipReason("No worker has vanished.")


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
