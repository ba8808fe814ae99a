"""F14: the worker of a run vanishes, with or without all that could have noticed, or comes back."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from dagster_site import (
    ENDED,
    Site,
    eventually,
    is_alive,
    send,
    shared_site,
    status_in,
)
from harness import DAGSTERMILL_PYTHON, Fault, Means, Outcome, Trial, Variant, held_or
from notebooks import read_cells, text_of, write_notebook

#: How long the end of a run may be told after it has ended: sensors look every few seconds.
TOLD_SECONDS = 30.0


def by_worker_killed(trial: Trial) -> Outcome:
    """Kill only the worker, while its code server lives."""
    site = shared_site()
    run_id = site.launch("slow")
    pids = _under_way(site, run_id)
    began = time.monotonic()
    send(site.worker(run_id), signal.SIGKILL)
    status = site.wait_for_end(run_id)
    seconds = time.monotonic() - began
    # The code server tells the end; the reaper saves what there is.
    eventually(lambda: site.killed_in_log(run_id), 60)
    return held_or(*_problems(site, run_id, status, pids), seconds=seconds)


def by_all_killed(trial: Trial, *, plain: bool) -> Outcome:
    """Kill the worker and everything that could notice, and start that again."""
    site = Site(trial.folder / "shop", plain=plain)
    try:
        site.start()
        eventually(site.is_watched)
        run_id = site.launch("slow")
        pids = _under_way(site, run_id)
        site.kill()
        began = time.monotonic()
        site.start()
        status = site.wait_for_end(run_id)
        seconds = time.monotonic() - began
        problems = _problems(site, run_id, status, pids)
        said = " ".join(site.messages(run_id, "RunFailureEvent"))
        return held_or(
            *problems,
            "" if "its worker vanished: last heard of at 2" in said else f"reason: {said}",
            "" if "in cell 2. The notebook so far: " in said else "it does not name the cell",
            seconds=seconds,
        )
    finally:
        site.stop()


def by_all_killed_with_ours(trial: Trial) -> Outcome:
    """The same with `dagbook up`."""
    return by_all_killed(trial, plain=False)


def by_all_killed_with_plain(trial: Trial) -> Outcome:
    """The same with Dagster's own commands."""
    return by_all_killed(trial, plain=True)


def by_never_beaten(trial: Trial) -> Outcome:
    """Kill everything while the worker is still coming up."""
    site = Site(trial.folder / "shop", plain=trial.number % 2 == 1)
    try:
        site.start()
        eventually(site.is_watched)
        run_id = site.launch("slow")
        eventually(lambda: site.status(run_id) in ("STARTING", "STARTED"))
        # Somewhere between its launch and the notebook's first cell.
        time.sleep(0.1 * (trial.number % 20))
        site.kill()
        began = time.monotonic()
        site.start()
        status = site.wait_for_end(run_id)
        seconds = time.monotonic() - began
        said = " ".join(site.messages(run_id, "RunFailureEvent"))
        return held_or(
            "" if status == "FAILURE" else f"the run is {status}",
            "" if "worker" in said else f"reason: {said}",
            "" if _told_once(site, run_id) else f"told {site.told(run_id)} times",
            seconds=seconds,
        )
    finally:
        site.stop()


def by_late_worker(trial: Trial) -> Outcome:
    """Stop a worker until it counts as dead, then let it go on."""
    site = shared_site()
    before = set(site.executed("slow"))
    run_id = site.launch("slow")
    pids = _under_way(site, run_id)
    worker = site.worker(run_id)
    send(worker, signal.SIGSTOP)
    try:
        began = time.monotonic()
        status = site.wait_for_end(run_id)
        seconds = time.monotonic() - began
    finally:
        send(worker, signal.SIGCONT)
    eventually(lambda: not any(map(is_alive, [*pids, worker])), 60)
    once = _told_once(site, run_id)
    made = [path for path in site.executed("slow") if path not in before]
    said = " ".join(site.messages(run_id, "RunFailureEvent"))
    return held_or(
        "" if status == "FAILURE" else f"the run is {status}",
        "" if site.status(run_id) == "FAILURE" else f"it became {site.status(run_id)}",
        "" if said.startswith("its worker fell silent: last heard of at 2") else f"reason: {said}",
        "" if len(site.messages(run_id, "RunFailureEvent")) == 1 else "it failed twice",
        "" if once else f"told {site.told(run_id)} times",
        "" if not site.messages(run_id, "MaterializationEvent") else "it was materialised",
        "" if not site.messages(run_id, "RunSuccessEvent") else "it succeeded after all",
        "" if [status_in(path) for path in made] == ["cancelled"] else f"notebooks: {made}",
        seconds=seconds,
    )


def _under_way(site: Site, run_id: str) -> list[int]:
    """Wait until a run is in its second cell, and has said so on disk."""
    pids = site.pids(run_id)
    # What came in the last two seconds may be lost.
    time.sleep(2.5)
    return pids


def _problems(site: Site, run_id: str, status: str, pids: list[int]) -> list[str]:
    """What is not as it must be after a killed worker."""
    made = site.killed_in_log(run_id)
    cells = read_cells(made) if made else []
    return [
        "" if status == "FAILURE" else f"the run is {status}",
        "" if made else "its notebook is not named",
        "" if cells and text_of(cells[0]) == "begun\n" else "outputs are missing",
        "" if _told_once(site, run_id) else f"told {site.told(run_id)} times",
        "" if not site.messages(run_id, "MaterializationEvent") else "it was materialised",
        "" if not any(map(is_alive, pids)) else "its processes live",
    ]


def _told_once(site: Site, run_id: str) -> bool:
    """Whether a sensor was told once, and not again while one waits for it."""
    eventually(lambda: site.told(run_id), TOLD_SECONDS)
    time.sleep(8)
    return site.told(run_id) == 1


DAGSTERMILL_ASSET = """\
import dagster as dg
from dagstermill import ConfigurableLocalOutputNotebookIOManager, define_dagstermill_asset
slow = define_dagstermill_asset("slow", notebook_path={notebook!r})
defs = dg.Definitions(
    [slow], resources={{"output_notebook_io_manager": ConfigurableLocalOutputNotebookIOManager()}}
)
"""


def by_dagstermill(trial: Trial) -> Outcome:
    """A dagstermill asset under Dagster's own launcher; everything is killed and restarted."""
    folder = trial.folder
    home = folder / "home"
    home.mkdir()
    (home / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    begun = folder / "begun"
    cell = f"import time\nopen({str(begun)!r}, 'w').close()\ntime.sleep(600)"
    notebook = write_notebook(folder / "slow.ipynb", "print('begun')", cell)
    (folder / "own.py").write_text(DAGSTERMILL_ASSET.format(notebook=str(notebook)))
    environment = {**os.environ, "DAGSTER_HOME": str(home)}
    scripts = DAGSTERMILL_PYTHON.parent
    started: list[subprocess.Popen[bytes]] = []

    def start(*words: str) -> subprocess.Popen[bytes]:
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                [str(scripts / words[0]), *words[1:]], cwd=folder, env=environment,
                stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        started.append(process)
        return process

    def status() -> str:
        code = (
            "import dagster as dg\nwith dg.DagsterInstance.get() as i:\n"
            "    print([r.status.value for r in i.get_runs()] + ['none'])"
        )
        done = subprocess.run(
            [DAGSTERMILL_PYTHON, "-c", code], env=environment, capture_output=True, text=True
        )
        found: list[str] = json.loads(done.stdout.strip().replace("'", '"') or '["none"]')
        return found[0]

    def kill() -> None:
        for process in started:
            with_session = [
                int(entry.name)
                for entry in Path("/proc").iterdir()
                if entry.name.isdigit() and _belongs(entry, str(home))
            ]
            for pid in with_session:
                if pid != os.getpid():
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except OSError:
                        pass
            process.wait()
        started.clear()

    try:
        server = ["code-server", "start", "--socket", str(folder / "s"), "-f", "own.py"]
        (folder / "workspace.yaml").write_text(
            json.dumps({"load_from": [{"grpc_server": {"socket": str(folder / "s")}}]})
        )
        start("dagster", *server)
        eventually(lambda: (folder / "s").exists(), 60)
        start("dagster-daemon", "run", "-w", "workspace.yaml")
        launch = ("job", "launch", "-w", "workspace.yaml", "-j", "__ASSET_JOB")
        eventually(lambda: start("dagster", *launch).wait() == 0, 60)
        eventually(begun.exists, 120)
        kill()
        (folder / "s").unlink(missing_ok=True)
        began = time.monotonic()
        start("dagster", *server)
        eventually(lambda: (folder / "s").exists(), 60)
        start("dagster-daemon", "run", "-w", "workspace.yaml")
        while (found := status()) not in ENDED and time.monotonic() - began < 75:
            time.sleep(2)
        return held_or(
            "" if found == "FAILURE" else f"75 s after the restart the run is {found}",
            seconds=time.monotonic() - began,
        )
    finally:
        kill()
        shutil.rmtree(home, ignore_errors=True)


def _belongs(entry: Path, home: str) -> bool:
    try:
        return f"DAGSTER_HOME={home}\0".encode() in (entry / "environ").read_bytes()
    except OSError:
        return False


# The means of the machine hold a notebook; who looks after its worker does not depend on them.
def _variant(
    name: str, attempt: Callable[[Trial], Outcome], *, others: Callable[[Trial], Outcome] | None
) -> Variant:
    return Variant(name, 20, attempt, dagstermill=others, within=60, sample=0, means=(Means.BEST,))


FAULT = Fault(
    "F14",
    "the worker of a run vanishes",
    "the run is over at most 60 s after the restart, with the reason, the cell and the notebook "
    "so far; a worker that comes back late stops itself and materialises nothing; told once",
    (
        _variant("worker killed", by_worker_killed, others=None),
        _variant(
            "everything killed and restarted with dagbook up",
            by_all_killed_with_ours,
            others=by_dagstermill,
        ),
        _variant(
            "everything killed and restarted with Dagster's commands",
            by_all_killed_with_plain,
            others=None,
        ),
        _variant("everything killed before the first cell", by_never_beaten, others=None),
        _variant("a worker that comes back late", by_late_worker, others=None),
    ),
)
