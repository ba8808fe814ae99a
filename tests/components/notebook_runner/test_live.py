"""A real deployment: Dagster's webserver and daemon over a project without Python of its own.

One deployment for all tests, since starting it takes a while. Everything is asked for as Dagster's
own pages do, over GraphQL.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

if TYPE_CHECKING:
    from conftest import Workbench

pytestmark = pytest.mark.early

PATIENCE = 240.0
IN_PROCESS = {"execution": {"config": {"in_process": {}}}}

SLOW = """
import os, pathlib, subprocess, time
child = subprocess.Popen(["sleep", "600"], start_new_session=True)
pathlib.Path("pids").write_text(f"{os.getpid()} {child.pid}")
time.sleep(600)
"""


@dataclass
class Deployment:
    """A running Dagster, and how one talks to it."""

    root: Path
    url: str

    def ask(self, query: str, **variables: Any) -> Any:
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"{self.url}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as reply:
            answer = json.load(reply)
        assert "errors" not in answer, answer
        return answer["data"]

    @property
    def repository(self) -> dict[str, str]:
        """The name of what is deployed, in GraphQL's words."""
        data = self.ask("{ repositoriesOrError { ... on RepositoryConnection { nodes "
                        "{ name location { name } } } } }")  # fmt: skip
        (node,) = data["repositoriesOrError"]["nodes"]
        return {
            "repositoryName": node["name"],
            "repositoryLocationName": node["location"]["name"],
        }

    def launch(self, asset: str, config: dict[str, Any] | None = None) -> str:
        """Materialise an asset as the button in Dagster's page does; returns the run's id."""
        data = self.ask(
            """mutation ($params: ExecutionParams!) { launchPipelineExecution(
            executionParams: $params) { __typename
            ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
            ... on RunConfigValidationInvalid { errors { message } } } }""",
            params={
                "selector": {
                    **self.repository,
                    "pipelineName": "__ASSET_JOB",
                    "assetSelection": [{"path": asset.split("/")}],
                },
                "runConfigData": {**IN_PROCESS, **(config or {})},
            },
        )["launchPipelineExecution"]
        assert data["__typename"] == "LaunchRunSuccess", data
        return str(data["run"]["runId"])

    def status(self, run_id: str) -> str:
        query = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
        return str(self.ask(query, id=run_id)["runOrError"]["status"])

    def wait_for(self, run_id: str) -> str:
        ended = {"SUCCESS", "FAILURE", "CANCELED"}
        return eventually(lambda: s if (s := self.status(run_id)) in ended else None)

    def logs(self, run_id: str) -> str:
        data = self.ask(
            """query ($id: ID!) { logsForRun(runId: $id) { ... on EventConnection { events {
            __typename ... on MessageEvent { message } } } } }""",
            id=run_id,
        )
        return "\n".join(event.get("message", "") for event in data["logsForRun"]["events"])

    def materializations(self, asset: str) -> list[dict[str, Any]]:
        """Each with its partition, its run and its metadata, newest first."""
        data = self.ask(
            """query ($key: AssetKeyInput!) { assetOrError(assetKey: $key) { ... on Asset {
            assetMaterializations { partition runId metadataEntries { label
            ... on FloatMetadataEntry { floatValue } ... on NotebookMetadataEntry { path }
            ... on TextMetadataEntry { text } } } } } }""",
            key={"path": asset.split("/")},
        )
        return list(data["assetOrError"]["assetMaterializations"])


@pytest.fixture(scope="session")
def deployment(
    tmp_path_factory: pytest.TempPathFactory, make_bench: Callable[[Path], Workbench]
) -> Iterator[Deployment]:
    home = tmp_path_factory.mktemp("home")
    bench = make_bench(tmp_path_factory.mktemp("live") / "work")
    bench.notebook(
        "quick.ipynb",
        [
            ("rate: float = 0.5", ["parameters"]),
            ("assert rate > 0", ["check:positive"]),
            ("doubled = rate * 2", ["metrics"]),
        ],
    )
    bench.component("shop/quick", "notebook: quick.ipynb")
    bench.notebook(
        "daily.ipynb",
        [
            ("day: str = ''", ["parameters"]),
            ("day_of_month = int(day[8:])", ["metrics"]),
        ],
    )
    bench.component(
        "daily",
        """
        notebook: daily.ipynb
        partitions: {type: daily, start_date: 2026-01-01}
        parameters: {day: "{{ partition_key }}"}
        """,
    )
    bench.notebook("slow.ipynb", ["print('begun')", SLOW, "print('never')"])
    bench.component("slow", "notebook: slow.ipynb\nretries: {max: 3, on: [error]}")
    bench.notebook(
        "ticking.ipynb",
        [
            ("since: str = ''\nuntil: str = ''", ["parameters"]),
            """
            from datetime import datetime, timedelta
            since, until = datetime.fromisoformat(since), datetime.fromisoformat(until)
            assert until - since == timedelta(minutes=1)
            assert until.second == 0
            """,
        ],
    )
    bench.component(
        "ticking",
        """
        notebook: ticking.ipynb
        schedule: "* * * * *"
        parameters: {since: "{{ data_interval_start }}", until: "{{ data_interval_end }}"}
        """,
    )
    (home / "dagster.yaml").write_text(
        "telemetry: {enabled: false}\nrun_coordinator:\n  module: dagster._core.run_coordinator\n"
        "  class: QueuedRunCoordinator\n  config: {max_concurrent_runs: 2}\n"
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    target = ["-m", "dagbook.location", "-d", str(bench.root)]
    scripts = Path(sys.executable).parent
    commands = [
        [scripts / "dagster-webserver", "-h", "127.0.0.1", "-p", str(port), *target],
        [scripts / "dagster-daemon", "run", *target],
    ]
    deployment = Deployment(bench.root, f"http://127.0.0.1:{port}")
    with (home / "log").open("w") as log:
        # The instance's tables are made by the first, before the second looks for them.
        processes = []
        try:
            for command in commands:
                processes.append(
                    subprocess.Popen(
                        [str(word) for word in command],
                        env=environment,
                        cwd=bench.root,
                        stdout=log,
                        stderr=log,
                        start_new_session=True,
                    )
                )
                eventually(lambda: _answers(deployment))
            yield deployment
        finally:
            for process in processes:
                os.killpg(process.pid, signal.SIGTERM)
            for process in processes:
                process.wait(30)


def test_a_run_from_the_page_shows_its_notebook(deployment: Deployment) -> None:
    config = {"ops": {"shop__quick": {"config": {"parameters": {"rate": 0.25}}}}}

    run_id = deployment.launch("shop/quick", config)

    assert deployment.wait_for(run_id) == "SUCCESS", deployment.logs(run_id)
    (made,) = deployment.materializations("shop/quick")
    entries = {entry["label"]: entry for entry in made["metadataEntries"]}
    assert entries["doubled"]["floatValue"] == 0.5
    assert "cell 2 of 3 (check positive) completed in" in deployment.logs(run_id)
    for path in (entries["executed_notebook"]["path"], deployment.root / "quick.ipynb"):
        page = _open(deployment, f"/notebook?path={urllib.parse.quote(str(path))}")
        assert "rate" in page


def test_a_backfill_of_five_days_runs_each_day_once(deployment: Deployment) -> None:
    days = [f"2026-01-0{day}" for day in range(1, 6)]
    started = deployment.ask(
        """mutation ($params: LaunchBackfillParams!) { launchPartitionBackfill(
        backfillParams: $params) { __typename ... on LaunchBackfillSuccess { backfillId }
        ... on PythonError { message } } }""",
        params={
            "partitionNames": days,
            "assetSelection": [{"path": ["daily"]}],
            "title": "five days",
            "runConfigData": IN_PROCESS,
        },
    )["launchPartitionBackfill"]
    assert started["__typename"] == "LaunchBackfillSuccess", started

    eventually(lambda: len(deployment.materializations("daily")) >= 5)

    made = {
        m["partition"]: next(
            e["floatValue"] for e in m["metadataEntries"] if e["label"] == "day_of_month"
        )
        for m in deployment.materializations("daily")
    }
    assert made == {day: float(day[8:]) for day in days}
    assert sorted(p.name for p in (deployment.root / "runs" / "daily").iterdir()) == days


@pytest.mark.parametrize("executor", ["in_process", "multiprocess"])
def test_a_cancelled_run_leaves_no_process_and_a_notebook_that_says_so(
    deployment: Deployment, executor: str
) -> None:
    pids_file = deployment.root / "pids"
    pids_file.unlink(missing_ok=True)
    before = set((deployment.root / "runs" / "slow").glob("*"))

    run_id = deployment.launch("slow", {"execution": {"config": {executor: {}}}})
    pids = [int(pid) for pid in eventually(lambda: _text(pids_file)).split()]

    deployment.ask("mutation ($id: String!) { terminateRun(runId: $id) { __typename } }", id=run_id)

    assert deployment.wait_for(run_id) == "CANCELED"
    eventually(lambda: not any(psutil.pid_exists(pid) for pid in pids))
    made = set((deployment.root / "runs" / "slow").glob("*")) - before
    (notebook,) = [path for path in made if path.name.endswith("-cancelled.ipynb")]
    assert f"Cancelled. The notebook so far: {notebook}" in deployment.logs(run_id)
    cells = json.loads(notebook.read_text())["cells"]
    assert any("begun" in json.dumps(cell["outputs"]) for cell in cells if "outputs" in cell)


# Last, when a minute has passed: until then it waits while the others are at work.
def test_a_ticking_schedule_runs_its_notebook_about_the_last_minute(
    deployment: Deployment,
) -> None:
    made = eventually(lambda: deployment.materializations("ticking"))

    data = deployment.ask(
        "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status tags { key value } } } }",
        id=made[0]["runId"],
    )
    tags = {tag["key"]: tag["value"] for tag in data["runOrError"]["tags"]}
    assert tags["dagster/schedule_name"] == "ticking_schedule"
    assert tags["dagbook/tick"].endswith(":00+00:00")

    # As somebody who pauses it.
    selector = {**deployment.repository, "scheduleName": "ticking_schedule"}
    query = """query ($s: ScheduleSelector!) { scheduleOrError(scheduleSelector: $s) {
    ... on Schedule { scheduleState { id selectorId status } } } }"""
    state = deployment.ask(query, s=selector)["scheduleOrError"]["scheduleState"]
    assert state["status"] == "RUNNING"
    deployment.ask("mutation ($id: String) { stopRunningSchedule(id: $id) { __typename } }",
                   id=state["id"])  # fmt: skip
    state = deployment.ask(query, s=selector)["scheduleOrError"]["scheduleState"]
    assert state["status"] == "STOPPED"


def eventually(condition: Callable[[], Any], patience: float = PATIENCE) -> Any:
    """What a condition gives once it gives anything."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.25)
    raise AssertionError(f"nothing came within {patience:g} s")


def _answers(deployment: Deployment) -> bool:
    try:
        return bool(deployment.repository)
    except (OSError, ValueError):
        return False


def _open(deployment: Deployment, path: str) -> str:
    location = urllib.parse.quote(deployment.repository["repositoryLocationName"])
    with urllib.request.urlopen(f"{deployment.url}{path}&repoLocName={location}") as reply:
        assert reply.status == 200
        return str(reply.read(), "utf-8")


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""
