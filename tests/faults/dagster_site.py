"""A project and its Dagster, for trials that need the real daemon, code server and workers."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import psutil
from harness import LASTING, WITHOUT_VARIABLE
from notebooks import write_notebook

from dagbook.project import create_project
from dagbook.services import instance_home, prepare_instance, start_services, stop_services
from dagbook.services.processes import find_family

ENDED = frozenset({"SUCCESS", "FAILURE", "CANCELED"})
IN_PROCESS = {"execution": {"config": {"in_process": {}}}}

#: Says which processes are its own, then waits to be ended.
SLOW = (
    "print('begun')",
    "import os, pathlib, subprocess, time, dagbook\n"
    "child = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
    "place = pathlib.Path('pids', dagbook.context.run_id)\n"
    "place.parent.mkdir(exist_ok=True)\n"
    "place.with_suffix('.part').write_text(f'{os.getpid()} {child.pid}')\n"
    "place.with_suffix('.part').rename(place)\n"
    "print('waiting', flush=True)\n"
    "time.sleep(600)",
    "print('never')",
)
QUICK = ("import time\nprint('begun')\ntime.sleep(SECONDS)", "print('done')")

#: Counts how often the end of a run is told.
ALARM = """\
import os
import dagster as dg

def tell(context, name):
    with open(os.path.join({root!r}, name), "a") as told:
        told.write(context.dagster_run.run_id + "\\n")

@dg.run_failure_sensor(default_status=dg.DefaultSensorStatus.RUNNING, minimum_interval_seconds=1)
def alarm(context):
    tell(context, "failures")

@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.CANCELED,
    default_status=dg.DefaultSensorStatus.RUNNING,
    minimum_interval_seconds=1,
)
def cancelled(context):
    tell(context, "cancels")
"""

LAUNCH = """
mutation ($params: ExecutionParams!) { launchPipelineExecution(executionParams: $params) {
  __typename ... on LaunchRunSuccess { run { runId } } ... on PythonError { message } } }
"""
LOGS = """
query ($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
  __typename ... on MessageEvent { message eventType } } } } }
"""
TICKS = """
query ($sensor: SensorSelector!) { sensorOrError(sensorSelector: $sensor) { ... on Sensor {
  sensorState { ticks(limit: 1) { status } } } } }
"""
TERMINATE = """
mutation ($id: String!, $how: TerminateRunPolicy) {
  terminateRun(runId: $id, terminatePolicy: $how) { __typename } }
"""


class Refused(Exception):
    """Dagster did not take a launch, and said so."""


class Site:
    """A project with notebooks, and the services that run them: ours, or Dagster's own way."""

    def __init__(self, root: Path, *, plain: bool = False) -> None:
        self.project = create_project(root, name="shop")
        self.root = root
        self.plain = plain
        self.home = instance_home(self.project)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.port = 0
        self.notebook("slow", *SLOW)
        alarm = self.project.defs_folder / "alarm.py"
        alarm.write_text(ALARM.format(root=str(root)))

    def notebook(self, name: str, *cells: str) -> None:
        """Add a notebook and its component."""
        write_notebook(self.root / f"{name}.ipynb", *cells)
        folder = self.project.defs_folder / name
        folder.mkdir()
        (folder / "defs.yaml").write_text(
            "type: dagbook.NotebookRunnerComponent\n"
            f"attributes:\n  notebook: {name}.ipynb\n  monitoring: {{track_metrics: [runtime]}}\n"
        )

    def start(self) -> None:
        """Have Dagster run, and wait until its page shows the project."""
        if not self.plain:
            self.port = start_services(self.project).services.port
            return
        prepare_instance(self.project)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        target = ["-m", "dagbook.location", "-d", str(self.root)]
        scripts = Path(sys.executable).parent
        for command in (
            [scripts / "dagster-webserver", "-h", "127.0.0.1", "-p", self.port, *target],
            [scripts / "dagster-daemon", "run", *target],
        ):
            with (self.root / "dagster.log").open("ab") as log:
                self.processes.append(
                    subprocess.Popen(
                        [str(word) for word in command], cwd=self.root, env=self._environment,
                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                    )
                )  # fmt: skip
        eventually(self._answers)

    def family(self) -> list[psutil.Process]:
        """Every process of the services, and all that they started."""
        if not self.plain:
            return find_family(self.home)
        found: dict[int, psutil.Process] = {}
        for process in psutil.process_iter():
            try:
                if process.environ().get("DAGSTER_HOME") == str(self.home):
                    for member in (process, *process.children(recursive=True)):
                        found[member.pid] = member
            except (psutil.Error, OSError):
                continue
        return [p for p in found.values() if p.pid != os.getpid() and is_alive(p.pid)]

    def kill(self) -> None:
        """Kill every process at once, as a machine that is switched off does."""
        while family := self.family():
            for process in family:
                try:
                    process.kill()
                except psutil.Error:
                    pass
            for started in self.processes:
                started.poll()
            time.sleep(0.05)
        self.processes.clear()

    def stop(self) -> None:
        """End everything, whatever state it is in."""
        if not self.plain:
            stop_services(self.project)
        self.kill()

    def ask(self, query: str, **variables: Any) -> Any:
        """Ask Dagster's page."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as reply:
            answer = json.load(reply)
        if "errors" in answer:
            raise Refused(answer["errors"][0]["message"].strip().splitlines()[0])
        return answer["data"]

    def launch(self, asset: str, config: dict[str, Any] | None = None) -> str:
        """Start a run as the button in the page does; returns its id.

        Raises:
            Refused: Dagster said that it cannot.
        """
        repository = self._repository()
        made = self.ask(
            LAUNCH,
            params={
                "selector": {
                    **repository,
                    "pipelineName": "__ASSET_JOB",
                    "assetSelection": [{"path": [asset]}],
                },
                "runConfigData": config or IN_PROCESS,
            },
        )["launchPipelineExecution"]
        if made["__typename"] != "LaunchRunSuccess":
            raise Refused(str(made.get("message", made)).strip().splitlines()[0])
        return str(made["run"]["runId"])

    def status(self, run_id: str) -> str:
        """A run's status, in Dagster's words."""
        query = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
        return str(self.ask(query, id=run_id)["runOrError"].get("status"))

    def events(self, run_id: str) -> list[dict[str, Any]]:
        """A run's events, each its kind and its message."""
        return list(self.ask(LOGS, id=run_id)["logsForRun"]["events"])

    def messages(self, run_id: str, kind: str) -> list[str]:
        """What a run's events of one kind say."""
        return [e["message"] for e in self.events(run_id) if e["__typename"] == kind]

    def terminate(self, run_id: str, how: str = "SAFE_TERMINATE") -> None:
        """Cancel a run as the button in the page does."""
        self.ask(TERMINATE, id=run_id, how=how)

    def pids(self, run_id: str) -> list[int]:
        """The processes of a slow run's notebook, once it has begun."""
        place = self.root / "pids" / run_id
        return [int(pid) for pid in eventually(lambda: _text(place)).split()]

    def worker(self, run_id: str) -> int:
        """The process that runs a run."""
        said = self.messages(run_id, "RunStartEvent") and self.messages(run_id, "EngineEvent")
        return next(int(s.split("pid: ")[1].split(")")[0]) for s in said if "pid: " in s)

    def wait_for_end(self, run_id: str, patience: float = 120.0) -> str:
        """A run's status once it has ended, or what it is when patience is."""
        deadline = time.monotonic() + patience
        while (status := self.status(run_id)) not in ENDED and time.monotonic() < deadline:
            time.sleep(0.25)
        return status

    def told(self, run_id: str, name: str = "failures") -> int:
        """How often a run's end was told."""
        return _text(self.root / name).splitlines().count(run_id)

    def is_watched(self) -> bool:
        """Whether the sensor that counts failures has looked: it tells what comes after that."""
        repository = self._repository()
        found = self.ask(TICKS, sensor={**repository, "sensorName": "alarm"})["sensorOrError"]
        return bool(found["sensorState"]["ticks"])

    def killed_in_log(self, run_id: str) -> Path | None:
        """The notebook that the log of a run whose worker vanished names, if it is there."""
        mark = "The notebook so far: "
        for event in self.events(run_id):
            _, found, path = (event.get("message") or "").partition(mark)
            if found and Path(path).is_file():
                return Path(path)
        return None

    def executed(self, asset: str) -> list[Path]:
        """The executed notebooks of an asset."""
        return sorted((self.root / "runs" / asset).glob("*.ipynb"))

    @property
    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "DAGSTER_HOME": str(self.home),
            "DAGSTER_DISABLE_TELEMETRY": "1",
            "DAGBOOK_PROJECT": str(self.root),
        }

    def _repository(self) -> dict[str, str]:
        data = self.ask(
            "{ repositoriesOrError { ... on RepositoryConnection { nodes { name location { name "
            "} } } } }"
        )
        (node,) = data["repositoriesOrError"]["nodes"]
        location = node["location"]["name"]
        return {"repositoryName": node["name"], "repositoryLocationName": location}

    def _answers(self) -> bool:
        try:
            return bool(self._repository())
        except (OSError, ValueError):
            return False


_shared: dict[str, Site] = {}
_lock = threading.Lock()


def shared_site() -> Site:
    """One site for many trials, for each means; ended and removed with this process."""
    key = os.environ.get(WITHOUT_VARIABLE, "")
    with _lock:
        if key not in _shared:
            folder = tempfile.mkdtemp(prefix="fault-site-")
            LASTING.callback(shutil.rmtree, folder, ignore_errors=True)
            site = Site(Path(folder) / "shop")
            LASTING.callback(site.stop)
            site.start()
            eventually(site.is_watched)
            _shared[key] = site
        return _shared[key]


def eventually(condition: Callable[[], Any], patience: float = 180.0) -> Any:
    """What a condition gives, once it gives anything."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise TimeoutError(f"nothing came within {patience:g} s")


def is_alive(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def send(pid: int, number: signal.Signals) -> None:
    """Send a signal to a process of ours."""
    os.kill(pid, number)


def status_in(path: Path) -> str:
    """How an executed notebook says that it ended."""
    return str(nbformat.read(path, as_version=4).metadata["dagbook"]["status"])


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
