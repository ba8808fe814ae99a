"""F15: MLflow is down in every way, and the worker is killed on top of it."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from harness import Attempt, Fault, Means, Outcome, Trial, Variant, held_or
from notebooks import processes_with, write_notebook
from tracking_server import WAYS, Proxy, mlflow_server

POINTS = 500
#: How long a call may block until a trial calls it blocked for good, in seconds.
LONG = 20.0

# What `log` returned for is noted in a file of its own, by a system call: acknowledged is what
# stands in there. Its slowest call too.
LOOP = """
import os, time
{prepare}
acknowledged = os.open({acknowledged!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
slowest = 0.0
for step in range({points}):
    began = time.monotonic()
    {log}
    slowest = max(slowest, time.monotonic() - began)
    os.write(acknowledged, b"%d %f\\n" % (step, slowest))
    {pace}
"""
OURS = {"prepare": "import dagbook", "log": "dagbook.log_metric('loss', 1 / (step + 1), step=step)"}
MLFLOWS = {
    "prepare": "import mlflow\nmlflow.start_run()",
    "log": "mlflow.log_metric('loss', 1 / (step + 1), step=step)",
}
MLFLOWS_LATER = {**MLFLOWS, "log": MLFLOWS["log"][:-1] + ", synchronous=False)"}

YAML = """\
type: dagbook.NotebookRunnerComponent
attributes:
  notebook: n.ipynb
  experiment: {{name: "{experiment}", tracking_uri: "{uri}"}}
"""
# One run as a run worker of Dagster makes it.
WORKER = """
import sys
from pathlib import Path
import dagster as dg
from dagbook.location import load_project
from dagbook.project import require_project
job = load_project(require_project(Path(sys.argv[1]))).resolve_implicit_global_asset_job_def()
with dg.DagsterInstance.local_temp(sys.argv[2]) as instance:
    result = job.execute_in_process(
        instance=instance, asset_selection=[dg.AssetKey("n")], raise_on_error=False
    )
print("SUCCESS" if result.success else "FAILURE")
"""
_numbers = itertools.count()


class Stage:
    """A project with one notebook, before a server that is not well."""

    def __init__(self, folder: Path, way: str, loop: dict[str, str], pace: str = "pass") -> None:
        from dagbook.project import create_project

        self.proxy = Proxy(mlflow_server())
        self.folder = folder
        self.acknowledged_file = folder / "acknowledged"
        self.experiment = f"{folder.name}-{os.getpid()}-{next(_numbers)}"
        self.project = create_project(folder / "work", name=f"faulty_{next(_numbers)}")
        self.cell = LOOP.format(
            acknowledged=str(self.acknowledged_file), points=POINTS, pace=pace, **loop
        )
        write_notebook(self.project.root / "n.ipynb", self.cell)
        defs = self.project.defs_folder / "n" / "defs.yaml"
        defs.parent.mkdir(parents=True)
        defs.write_text(YAML.format(experiment=self.experiment, uri=self.proxy.url))
        self.proxy.be(way)
        self.told: list[str] = []

    def start(self) -> subprocess.Popen[str]:
        """Start the run in a process of its own."""
        home = self.folder / "home"
        home.mkdir()
        return subprocess.Popen(
            [sys.executable, "-c", WORKER, str(self.project.root), str(home)],
            env=self.environment, cwd=self.folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        """The worker's: nothing that makes MLflow more or less patient than it is."""
        chosen = {k: v for k, v in os.environ.items() if not k.startswith("MLFLOW_")}
        return {**chosen, "MLFLOW_DISABLE_TELEMETRY": "true", "DAGSTER_DISABLE_TELEMETRY": "1"}

    def acknowledged(self) -> list[int]:
        """The steps that logging returned for."""
        return [int(line.split()[0]) for line in self._lines()]

    def wait_for(self, points: int) -> None:
        """Wait until so many were acknowledged; without them a trial shows nothing."""
        assert wait_until(lambda: len(self.acknowledged()) >= points, 120), "it did not get going"

    def slowest(self) -> float:
        """The slowest call, in seconds."""
        return max((float(line.split()[1]) for line in self._lines()), default=0.0)

    def _lines(self) -> list[str]:
        try:
            text = self.acknowledged_file.read_text()
        except FileNotFoundError:
            return []
        return text[: text.rfind("\n") + 1].splitlines()

    def waits(self) -> list[str]:
        """What is not in MLflow, in words."""
        from dagbook.sinks.replay import describe_spools
        from dagbook.sinks.spool import spools_in

        running = [f"{s.folder.name} runs" for s in spools_in(self.state_folder) if s.is_owned]
        return [*running, *describe_spools(self.state_folder)]

    @property
    def state_folder(self) -> Path:
        """The project's."""
        return self.project.state_folder

    def deliver(self) -> None:
        """MLflow is well again, and somebody comes by."""
        from dagbook.sinks.replay import replay_spools

        self.proxy.be("well")
        deadline = time.monotonic() + 120
        while self.waits() and time.monotonic() < deadline:
            # Of no avail as long as the worker's own sender is at it.
            self.told += replay_spools(self.project.root, at_once=True)
            time.sleep(0.1)

    def arrived(self) -> tuple[set[int], list[Any]]:
        """The steps of the runs in MLflow, and the runs."""
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=mlflow_server())
        found = client.get_experiment_by_name(self.experiment)
        runs = [] if found is None else list(client.search_runs([found.experiment_id]))
        steps: set[int] = set()
        for run in runs:
            steps |= {m.step for m in client.get_metric_history(run.info.run_id, "loss")}
        return steps, runs


@contextmanager
def stage(trial: Trial, way: str, loop: dict[str, str], pace: str = "pass") -> Iterator[Stage]:
    """A stage, cleared whatever happens on it."""
    made = Stage(trial.folder, way, loop, pace)
    try:
        yield made
    finally:
        made.proxy.close()
        for pid in processes_with(str(trial.folder)):
            kill(pid)


def while_it_is(way: str, trial: Trial, *, figure: str = "slowest call") -> Outcome:
    """A whole run while MLflow is not well, which is told of it later."""
    with stage(trial, way, OURS) as at:
        worker = at.start()
        at.wait_for(POINTS)
        ended = time.monotonic()
        said = worker.communicate(timeout=120)[0]
        delay = time.monotonic() - ended
        at.deliver()
        steps, runs = at.arrived()
        return held_or(
            "" if said.strip() == "SUCCESS" else f"the run ended as {said.strip()!r}",
            _all_arrived(at, steps),
            _closed(runs, "FINISHED"),
            "; ".join(at.waits()),
            seconds=at.slowest() if figure == "slowest call" else delay,
        )


def killed(way: str, trial: Trial, *, everything: bool = False) -> Outcome:
    """The worker is killed while it logs; with `everything`, all that it started too."""
    with stage(trial, way, OURS, pace="time.sleep(0.01)") as at:
        worker = at.start()
        at.wait_for(50 + 20 * (trial.number % 20))
        began = psutil.Process(worker.pid).children(recursive=True) if everything else []
        for pid in (worker.pid, *(process.pid for process in began)):
            kill(pid)
        worker.wait(30)
        wait_until(lambda: not _grows(at), 10)
        at.deliver()
        steps, runs = at.arrived()
        return held_or(
            _all_arrived(at, steps),
            _closed(runs, "KILLED"),
            "; ".join(at.waits()),
        )


def authors_own(way: str, trial: Trial) -> Outcome:
    """The author's own `mlflow.log_metric`: it is taken at once, and arrives later."""
    with stage(trial, "well", MLFLOWS, pace="time.sleep(0.05)") as at:
        worker = at.start()
        at.wait_for(20)
        at.proxy.be(way)
        said = worker.communicate(timeout=400)[0]
        acknowledged = set(at.acknowledged())
        at.deliver()
        steps, runs = at.arrived()
        missing = len(acknowledged - steps)
        return held_or(
            "" if said.strip() == "SUCCESS" else f"the run ended as {said.strip()!r}",
            f"{missing} acknowledged points are missing" if missing else "",
            _closed(runs, "FINISHED"),
            "; ".join(at.waits()),
            seconds=at.slowest(),
        )


def papermill_while_it_is(way: str, trial: Trial) -> Outcome:
    """The author's own calls by papermill: MLflow's patience is the author's."""
    with stage(trial, "well", MLFLOWS, pace="time.sleep(0.05)") as at:
        process = _start_papermill(at)
        at.wait_for(20)
        at.proxy.be(way)
        before = len(at.acknowledged())
        deadline = time.monotonic() + LONG
        while process.poll() is None and time.monotonic() < deadline:
            if not _grows(at, LONG) and process.poll() is None:
                process.kill()
                return Outcome(False, f"`mlflow.log_metric` blocked longer than {LONG:g} s")
        ended = process.poll()
        process.kill()
        more = len(at.acknowledged()) - before
        return held_or(
            f"the notebook failed after {more} more points" if ended else "",
            seconds=at.slowest(),
        )


def papermill_killed(trial: Trial) -> Outcome:
    """Asynchronous logging, and a SIGKILL of papermill and its kernel."""
    with stage(trial, "well", MLFLOWS_LATER, pace="time.sleep(0.002)") as at:
        process = _start_papermill(at)
        at.wait_for(50 + 20 * (trial.number % 20))
        for pid in (process.pid, *processes_with(str(trial.folder))):
            kill(pid)
        process.wait(30)
        time.sleep(1.0)
        steps, runs = at.arrived()
        return held_or(_all_arrived(at, steps), _closed(runs, "KILLED"))


def _start_papermill(at: Stage) -> subprocess.Popen[bytes]:
    code = "import papermill, sys; papermill.execute_notebook(*sys.argv[1:], progress_bar=False)"
    return subprocess.Popen(
        [sys.executable, "-c", code, at.project.root / "n.ipynb", at.folder / "out.ipynb"],
        cwd=at.folder, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        env={
            **at.environment,
            "MLFLOW_TRACKING_URI": at.proxy.url,
            "MLFLOW_EXPERIMENT_NAME": at.experiment,
        },
    )  # fmt: skip


def _all_arrived(at: Stage, steps: set[int]) -> str:
    acknowledged = set(at.acknowledged())
    missing = len(acknowledged - steps)
    if acknowledged and missing <= 0.01 * len(acknowledged):
        return ""
    return f"{len(acknowledged) - missing} of {len(acknowledged)} acknowledged points arrived"


def _closed(runs: list[Any], status: str) -> str:
    found = [run.info.status for run in runs]
    return "" if found == [status] else f"the run in MLflow is {', '.join(found) or 'not there'}"


def _grows(at: Stage, seconds: float = 0.3) -> bool:
    before = len(at.acknowledged())
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        time.sleep(0.05)
        if len(at.acknowledged()) > before:
            return True
    return False


def wait_until(is_so: Callable[[], bool], seconds: float) -> bool:
    """Wait for something, at most so long."""
    deadline = time.monotonic() + seconds
    while not (so := is_so()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return so


def kill(pid: int) -> None:
    """SIGKILL, to whoever is still there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def _variants() -> Iterator[Variant]:
    for way in WAYS:
        one: Attempt = partial(while_it_is, way)
        other: Attempt = partial(papermill_while_it_is, way)
        sample = int(way in {"503", "hangs"})
        name = {"500": "MLflow answers 500", "503": "MLflow answers 503", "slow": "MLflow is slow"}
        title = name.get(way, f"MLflow {way}")
        yield _variant(f"{title}: log_metric", 20, one, other, sample=sample, within=1.0)
    for way in ("hangs", "slow"):
        one = partial(while_it_is, way, figure="the run's end")
        yield _variant(f"MLflow {way}: the run's end", 10, one, sample=0, within=20.0)
    yield _variant("the worker is killed", 20, partial(killed, "well"), papermill_killed, sample=1)
    yield _variant("everything is killed", 20, partial(killed, "well", everything=True), sample=0)
    one = partial(killed, "refuses", everything=True)
    yield _variant("MLflow refuses, and everything is killed", 20, one)
    for way in ("refuses", "503", "hangs"):
        one = partial(authors_own, way)
        name_ = f"mlflow.log_metric in the notebook, MLflow {way}"
        yield _variant(name_, 3, one, sample=0, within=1.0)


def _variant(
    name: str,
    trials: int,
    dagbook: Attempt,
    papermill: Attempt | None = None,
    *,
    sample: int = 1,
    within: float | None = None,
) -> Variant:
    # What the runner may use to hold a run has no part in this.
    return Variant(
        name, trials, dagbook, papermill, sample=sample, within=within, means=(Means.FLOOR,)
    )


FAULT = Fault(
    "F15",
    "MLflow is down",
    "`dagbook.log_metric` and the author's own `mlflow.log_metric` never fail or wait more than 1 s; "
    "what they returned for arrives when MLflow is back, at least 99 % after SIGKILL; the MLflow run "
    "is closed",
    tuple(_variants()),
)
