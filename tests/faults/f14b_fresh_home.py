"""F14b: ten processes open a fresh home of Dagster at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from dagster_site import Site, is_alive
from harness import DAGSTERMILL_PYTHON, Fault, Means, Outcome, Trial, Variant, held_or

PROCESSES = 10

#: Each makes a run and reads it, as whatever launches one does.
MAKE_A_RUN = """
import dagster as dg
with opened() as instance:
    job = dg.Definitions(jobs=[dg.job(name="j")(lambda: None)]).get_job_def("j")
    run = instance.create_run_for_job(job)
    instance.report_run_failed(run, "a word")
    instance.add_run_tags(run.run_id, {"a": "b"})
    assert instance.get_run_by_id(run.run_id).is_failure
    instance.all_instigator_state()
print("usable")
"""
OURS = """
import sys
import dagster
from dagbook.project import require_project
from dagbook.services import open_instance, prepare_instance
project = require_project(sys.argv[1])
print("ready", flush=True)
sys.stdin.read()
prepare_instance(project)
opened = lambda: open_instance(project)
"""
BARE = """
import os, sys
import dagster as dg
os.environ["DAGSTER_HOME"] = sys.argv[1]
print("ready", flush=True)
sys.stdin.read()
opened = dg.DagsterInstance.get
"""


def by_dagbook(trial: Trial) -> Outcome:
    """Ten processes prepare the home of a fresh project and use it."""
    from dagbook.project import create_project

    root = create_project(trial.folder / "shop", name="shop").root
    return _all_usable(trial, sys.executable, OURS + MAKE_A_RUN, root)


def by_dagster(trial: Trial) -> Outcome:
    """The same with what dagstermill has: Dagster's instance as it is."""
    home = trial.folder / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    return _all_usable(trial, str(DAGSTERMILL_PYTHON), BARE + MAKE_A_RUN, home)


def by_up(trial: Trial) -> Outcome:
    """Ten `dagbook up` in a fresh project; afterwards a run can be launched and read."""
    site = Site(trial.folder / "shop")
    try:
        said = _at_once([sys.executable, "-m", "dagbook", "up", "--json"], site.root, site.root)
        site.start()
        run_id = site.launch("slow")
        pids = site.pids(run_id)
        site.terminate(run_id)
        status = site.wait_for_end(run_id)
        failed = [err for code, _, err in said if code != 0]
        return held_or(
            f"{len(failed)} of {PROCESSES}: {failed[0][-200:]}" if failed else "",
            "" if status == "CANCELED" else f"the run is {status}",
            "" if not any(map(is_alive, pids)) else "its processes live",
        )
    finally:
        site.stop()


def _all_usable(trial: Trial, python: str, code: str, place: Path) -> Outcome:
    said = _at_once([python, "-c", code, str(place)], trial.folder, place, say_ready=True)
    failed = [err for _, out, err in said if out.split() != ["usable"]]
    last = failed[0].strip().splitlines()[-1][:150] if failed else ""
    return held_or(f"{len(failed)} of {PROCESSES} failed: {last}" if failed else "")


def _at_once(
    command: list[str], folder: Path, place: Path, *, say_ready: bool = False
) -> list[tuple[int, str, str]]:
    """Run a command ten times, all let go at the same moment; exit status, output, errors."""
    processes = [
        subprocess.Popen(
            command, cwd=folder, env={**os.environ, "DAGBOOK_PROJECT": str(place)}, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(PROCESSES)
    ]  # fmt: skip
    for process in processes if say_ready else []:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.close()
        process.stdin = None
    told = [process.communicate() for process in processes]
    return [
        (process.returncode, out, err) for process, (out, err) in zip(processes, told, strict=True)
    ]


FAULT = Fault(
    "F14b",
    "ten processes open a fresh home at once",
    "every one of them can use it, and what was made is whole",
    (
        Variant(
            "the instance", 20, by_dagbook, dagstermill=by_dagster, sample=0, means=(Means.BEST,)
        ),
        Variant("dagbook up", 20, by_up, sample=0, means=(Means.BEST,)),
    ),
)
