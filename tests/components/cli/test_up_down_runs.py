"""`dagbook up`, `down` and `runs`, with Dagster's real webserver, daemon and runs."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
import psutil
import pytest
from tests.components.execution.test_recovery import leave

from dagbook.cli import main
from dagbook.project import Project, create_project, require_project
from dagbook.services import (
    find_services,
    instance_home,
    reload_services,
    start,
    stop_services,
)
from dagbook.services.processes import find_family
from dagbook.services.record import ServiceProcess, Services, read_record, write_record
from dagbook.services.sockets import known_sockets
from dagbook.services.webserver import reload_definitions

pytestmark = pytest.mark.early

LAUNCH = """
mutation Launch($asset: String!, $location: String!) {
  launchPipelineExecution(executionParams: {
    mode: "default"
    runConfigData: {execution: {config: {in_process: {}}}}
    selector: {
      repositoryLocationName: $location
      repositoryName: "__repository__"
      pipelineName: "__ASSET_JOB"
      assetSelection: [{path: [$asset]}]
    }
  }) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
  }
}
"""

RUN_STATUS = "query ($run: ID!) { runOrError(runId: $run) { ... on Run { status } } }"

NOTEBOOKS = {
    "quick": "import dagbook\ndagbook.log_metric('auc', 0.9)\nprint(dagbook.context.run_id)",
    "slow": (
        "import os, time\n"
        "with open('kernel.pid', 'w') as file:\n    file.write(str(os.getpid()))\n"
        "time.sleep(600)"
    ),
    "short": "import time\nopen('short.started', 'w').close()\ntime.sleep(8)",
}


def make_project(root: Path, *names: str) -> Project:
    project = create_project(root, name="shop")
    for name in names:
        made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(NOTEBOOKS[name])])
        made.metadata.kernelspec = {"name": "python3", "display_name": "P", "language": "python"}
        nbformat.write(made, root / f"{name}.ipynb")
        folder = project.defs_folder / name
        folder.mkdir()
        (folder / "defs.yaml").write_text(
            "type: dagbook.NotebookRunnerComponent\n"
            f"attributes:\n  notebook: {name}.ipynb\n  monitoring: {{track_metrics: [runtime]}}\n"
        )
    return project


@contextlib.contextmanager
def inside(project: Project) -> Iterator[Project]:
    """Work in a project's folder; afterwards nothing of it is left running."""
    before = Path.cwd()
    os.chdir(project.root)
    try:
        yield project
    finally:
        os.chdir(before)
        sockets = known_sockets(project)
        stop_services(project)
        assert processes_of(project) == []
        assert not any(Path(socket).parent.exists() for socket in sockets)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with inside(make_project(tmp_path / "shop", *NOTEBOOKS)) as made:
        yield made


@pytest.fixture(scope="module")
def both_told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Any]]:
    """What two `dagbook up` said that were started at the same time in a fresh project."""
    made = make_project(tmp_path_factory.mktemp("running") / "shop", "quick")
    with inside(made):
        both = [
            subprocess.Popen(
                [sys.executable, "-m", "dagbook", "up", "--json"], stdout=subprocess.PIPE, text=True
            )
            for _ in range(2)
        ]
        yield [json.loads(process.communicate()[0]) for process in both]


@pytest.fixture(scope="module")
def running(both_told: list[Any]) -> Project:
    """A project whose services run, shared by the tests that leave them running."""
    return require_project(Path(both_told[0]["dagster_home"]))


def processes_of(project: Project) -> list[str]:
    """Every process that works for the project's instance, by the variable Dagster itself uses."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("DAGSTER_HOME") == str(instance_home(project)):
                found.append(f"{process.pid} {' '.join(process.cmdline()[:6])}")
    return found


def command(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    capsys.readouterr()
    status = main(arguments)
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def as_json(capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    status, out, err = command(capsys, *arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def newest(capsys: pytest.CaptureFixture[str]) -> Any:
    return as_json(capsys, "runs", "list")["runs"][0]


def ask(project: Project, query: dict[str, Any]) -> Any:
    """What Dagster's webserver answers."""
    record = read_record(project)
    assert record is not None
    request = urllib.request.Request(
        f"{record.url}/graphql", json.dumps(query).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)["data"]


def launch(project: Project, asset: str) -> str:
    query = {"query": LAUNCH, "variables": {"asset": asset, "location": project.module}}
    answer = ask(project, query)["launchPipelineExecution"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    run_id: str = answer["run"]["runId"]
    return run_id


def wait_until(is_reached: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + 120
    while not is_reached():
        assert time.monotonic() < deadline, what
        time.sleep(0.2)


def wait_for_kernel(project: Project) -> int:
    file = project.root / "kernel.pid"
    wait_until(lambda: file.exists() and file.read_text() != "", "the notebook has started")
    return int(file.read_text())


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def pid_of(project: Project, name: str) -> int:
    record = read_record(project)
    process = record.process(name) if record else None
    assert process is not None
    return process.pid


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    # Started by this very process, so it stays as a zombie until it is waited for.
    with contextlib.suppress(psutil.Error):
        psutil.Process(pid).wait(10)


# What runs, and how it is reached


def test_two_at_once_start_it_once(both_told: list[Any]) -> None:
    assert both_told[0]["processes"] == both_told[1]["processes"]
    assert sorted(told["was_up"] for told in both_told) == [False, True]


def test_up_says_where_the_page_is_and_it_answers(
    running: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    told = as_json(capsys, "up")
    assert told["schema"] == "dagbook.up/1"
    assert told["dagster_home"] == str(running.root / ".dagbook" / "dagster_home")
    assert set(told["processes"]) == {"code-server", "webserver", "daemon"}
    with urllib.request.urlopen(f"{told['url']}/server_info") as reply:
        assert "dagster_webserver_version" in json.load(reply)


def test_only_this_machine_can_reach_the_page(running: Project) -> None:
    addresses = {
        connection.laddr.ip
        for process in find_family(instance_home(running))
        for connection in process.net_connections("inet")
        if connection.status == psutil.CONN_LISTEN
    }
    assert addresses == {"127.0.0.1"}


def test_only_the_owner_can_reach_the_code_server(running: Project) -> None:
    record = read_record(running)
    assert record is not None
    assert Path(record.socket).parent.stat().st_mode & 0o777 == 0o700


def test_the_services_do_not_hang_on_the_terminal(running: Project) -> None:
    for name in ("code-server", "webserver", "daemon"):
        pid = pid_of(running, name)
        assert os.getsid(pid) == pid


def test_up_twice_says_that_it_is_up(running: Project, capsys: pytest.CaptureFixture[str]) -> None:
    before = read_record(running)
    status, out, err = command(capsys, "up")
    assert before is not None
    assert (status, err) == (0, "")
    assert out == (
        f"Dagster is up already: {before.url}\nStop it with `dagbook down`. Logs: .dagbook/logs\n"
    )
    assert read_record(running) == before


def test_up_works_from_any_folder_of_the_project(
    running: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(running.defs_folder)
    assert as_json(capsys, "up")["was_up"] is True


def test_another_port_is_refused_while_it_is_up(
    running: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    record = read_record(running)
    assert record is not None
    status, _, err = command(capsys, "up", "--port", "3999")
    assert status == 2
    assert err == (
        f"dagbook: Dagster runs for this project already, at {record.url}: run `dagbook down`, "
        "then `dagbook up --port 3999`\n"
    )


def test_nobody_is_counted_or_greeted(running: Project) -> None:
    settings = (instance_home(running) / "dagster.yaml").read_text()
    assert "telemetry:\n  enabled: false\n" in settings
    assert "nux:\n  enabled: false\n" in settings


# Runs


@pytest.fixture(scope="module")
def run_id(running: Project) -> str:
    """A run of the notebook `quick` that has ended."""
    before = subprocess.run(
        [sys.executable, "-m", "dagbook", "runs", "list"], capture_output=True, text=True
    )
    assert (before.stdout, before.stderr) == ("No runs yet.\n", "")
    launched = launch(running, "quick")
    query = {"query": RUN_STATUS, "variables": {"run": launched}}

    def has_ended() -> bool:
        status = ask(running, query)["runOrError"]["status"]
        return status not in ("QUEUED", "NOT_STARTED", "STARTING", "STARTED")

    wait_until(has_ended, "the run has ended")
    return launched


def test_a_run_is_listed_with_what_became_of_it(
    running: Project, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    listed = as_json(capsys, "runs", "list")
    assert listed["schema"] == "dagbook.runs/1"
    (run,) = listed["runs"]
    assert run["run_id"] == run_id
    assert run["state"] == "succeeded"
    assert run["assets"] == ["quick"]
    assert run["partition"] is None
    assert run["duration_seconds"] > 0
    assert run["created_at"] <= run["started_at"]
    executed = Path(run["executed_notebook"])
    assert executed.parent == running.root / "runs" / "quick"
    assert nbformat.read(executed, 4).cells[-1].outputs[0]["text"] == f"{run_id}\n"

    status, out, _ = command(capsys, "runs", "list")
    titles, row = out.splitlines()
    assert status == 0
    assert titles.split() == ["RUN", "STATE", "STARTED", "TOOK", "OF", "NOTEBOOK"]
    assert re.fullmatch(
        rf"{run_id[:8]}  succeeded  \d{{4}}-\d\d-\d\d \d\d:\d\d  [\d.]+ s +quick  "
        rf"runs/quick/{re.escape(executed.name)}",
        row,
    )


def test_runs_can_be_asked_for_by_notebook(
    running: Project, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run,) = as_json(capsys, "runs", "list", "--notebook", "quick.ipynb")["runs"]
    assert run["run_id"] == run_id


def test_a_notebook_without_a_component_names_the_nearest_one(
    running: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = command(capsys, "runs", "list", "--notebook", "quik.ipynb")
    assert status == 2
    assert err == (
        "dagbook: no component runs quik.ipynb. Did you mean `quick.ipynb`? Known: quick.ipynb\n"
    )


def test_open_names_the_page_of_the_run(
    running: Project, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (run,) = as_json(capsys, "runs", "open")["runs"]
    expected = run["executed_html"] or run["executed_notebook"]
    for arguments in ((), (run_id,), (run_id[:6],)):
        status, out, err = command(capsys, "runs", "open", *arguments, "--no-browser")
        assert (status, out, err) == (0, f"{expected}\n", "")
    assert Path(expected).is_file()


def test_open_shows_the_page_in_a_browser(
    running: Project,
    run_id: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    # A browser is any command that takes an address.
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf %s "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", str(browser))
    done = subprocess.run(
        [sys.executable, "-m", "dagbook", "runs", "open", run_id], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    wait_until((tmp_path / "opened").exists, "the browser was called")
    assert (tmp_path / "opened").read_text() == Path(done.stdout.strip()).as_uri()


def test_open_can_show_the_run_in_dagster(
    running: Project, run_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    record = read_record(running)
    assert record is not None
    status, out, _ = command(capsys, "runs", "open", run_id, "--dagster", "--no-browser")
    assert (status, out) == (0, f"{record.url}/runs/{run_id}\n")


@pytest.mark.parametrize(
    ("run", "text"),
    [
        ("ffffffff", "there is no run ffffffff: `dagbook runs list` shows them"),
        ("f", "f is too short to name a run: give at least 4 characters"),
    ],
)
def test_a_run_that_does_not_exist_is_refused(
    running: Project, run: str, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, _, err = command(capsys, "runs", "open", run)
    assert (status, err) == (2, f"dagbook: {text}\n")


def test_a_new_component_is_there_after_a_reload(running: Project, run_id: str) -> None:
    make_project(running.root, "short")
    services = reload_services(running)
    assert services == read_record(running)
    launch(running, "short")


# Starting and ending, each on its own


def test_a_killed_service_is_started_again_and_the_run_goes_on(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["up"]) == 0
    launched = launch(project, "slow")
    kernel = wait_for_kernel(project)
    url = as_json(capsys, "up")["url"]

    kill(pid_of(project, "webserver"))
    status, out, _ = command(capsys, "up")
    assert (status, out.splitlines()[0]) == (
        0,
        f"Dagster is up again (webserver had ended): {url}",
    )
    kill(pid_of(project, "daemon"))
    assert as_json(capsys, "up")["started"] == ["daemon"]
    kill(pid_of(project, "code-server"))
    assert as_json(capsys, "up")["started"] == ["code-server", "daemon", "webserver"]
    assert is_alive(kernel)
    (run,) = as_json(capsys, "runs", "list")["runs"]
    assert (run["run_id"], run["state"]) == (launched, "running")

    status, out, err = command(capsys, "down")
    assert (status, err) == (0, "")
    assert out == (
        f"Dagster is down.\nCancelled: {launched[:8]}. `dagbook runs list` shows how far they "
        "came.\n"
    )
    assert processes_of(project) == []
    wait_until(lambda: not is_alive(kernel), "the kernel is gone")
    (run,) = as_json(capsys, "runs", "list")["runs"]
    assert run["state"] == "cancelled"
    assert Path(run["executed_notebook"]).name.endswith("-cancelled.ipynb")


def test_a_lost_record_does_not_double_the_services_and_down_cancels_a_run(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    first = as_json(capsys, "up")
    (socket_before,) = known_sockets(project)
    (project.state_folder / "services.json").write_text("{torn")
    second = as_json(capsys, "up")
    assert not set(first["processes"].values()) & set(second["processes"].values())
    assert len(first["processes"]) == 3
    assert not any(is_alive(pid) for pid in first["processes"].values())
    assert not Path(socket_before).parent.exists()

    launched = launch(project, "slow")
    kernel = wait_for_kernel(project)
    told = as_json(capsys, "down")
    assert told == {
        "schema": "dagbook.down/1",
        "was_up": True,
        "waited_for": [],
        "cancelled": [launched],
    }
    assert processes_of(project) == []
    assert not is_alive(kernel)
    (run,) = as_json(capsys, "runs", "list")["runs"]
    assert run["state"] == "cancelled"
    assert Path(run["executed_notebook"]).name.endswith("-cancelled.ipynb")
    assert as_json(capsys, "down")["was_up"] is False
    status, _, err = command(capsys, "runs", "open", "--dagster")
    assert (status, err) == (
        2,
        f"dagbook: run {launched[:8]} can be shown in Dagster only: `dagbook up` first\n",
    )


def test_down_can_wait_for_its_runs_and_leaves_those_of_others_alone(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["up"]) == 0
    code = (
        "import time\nfrom pathlib import Path\nimport dagster as dg\n"
        "@dg.asset\n"
        "def own():\n"
        "    Path('own.started').touch()\n"
        "    while not Path('own.go').exists():\n        time.sleep(0.1)\n"
        "dg.materialize([own], instance=dg.DagsterInstance.get())\n"
    )
    environment = {**os.environ, "DAGSTER_HOME": str(instance_home(project))}
    # As `dg launch` in somebody's terminal does: another process, the same instance.
    with subprocess.Popen([sys.executable, "-c", code], env=environment) as own:
        wait_until((project.root / "own.started").exists, "the other's run has started")
        launched = launch(project, "short")
        wait_until((project.root / "short.started").exists, "the notebook has started")
        told = as_json(capsys, "down", "--wait")
        assert (told["waited_for"], told["cancelled"]) == ([launched], [])
        states = {r["run_id"]: r["state"] for r in as_json(capsys, "runs", "list")["runs"]}
        assert states.pop(launched) == "succeeded"
        assert list(states.values()) == ["running"]
        (project.root / "own.go").touch()
        assert own.wait() == 0
    states = {r["state"] for r in as_json(capsys, "runs", "list")["runs"]}
    assert states == {"succeeded"}


def test_a_run_whose_processes_vanished_is_settled_by_the_next_up(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["up"]) == 0
    launch(project, "slow")
    wait_for_kernel(project)
    (journal,) = (project.root / "runs" / "slow").glob(".*.running/journal.jsonl")
    wait_until(lambda: '["cell",0,"running"' in journal.read_text(), "the journal is written")
    # As when the machine is switched off.
    for process in find_family(instance_home(project)):
        with contextlib.suppress(psutil.Error):
            process.kill()
    wait_until(lambda: find_family(instance_home(project)) == [], "all processes are gone")
    assert as_json(capsys, "up")["started"] == ["code-server", "daemon", "webserver"]
    wait_until(lambda: newest(capsys)["state"] != "running", "the run is settled")
    run = newest(capsys)
    assert run["state"] == "failed"
    assert run["reason"].startswith("its worker vanished: last heard of at ")
    assert run["executed_notebook"].endswith("-killed.ipynb")
    assert run["reason"].endswith(f", in cell 1. The notebook so far: {run['executed_notebook']}")


def test_a_taken_port_is_refused_before_anything_starts(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        status, _, err = command(capsys, "up", "--port", str(port))
    assert status == 2
    assert err == (
        f"dagbook: port {port} is taken on this machine: name another one, or leave `--port` out "
        "to have a free one chosen\n"
    )
    assert processes_of(project) == []


def test_a_port_that_is_taken_in_the_last_moment_is_replaced(
    project: Project, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        taken = other.getsockname()[1]
        choices = [taken, start._choose_port(0)]
        monkeypatch.setattr(start, "_choose_port", lambda _: choices.pop(0))
        told = as_json(capsys, "up")
    assert told["port"] != taken
    assert choices == []
    assert find_services(project) == read_record(project)


def test_definitions_that_do_not_load_are_named_until_they_are_mended(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = project.root / "dg.toml"
    settings.write_text(settings.read_text().replace("dagbook.location", "own"))
    module = project.root / "own.py"
    log = project.state_folder / "logs" / "code-server.log"
    remedy = f"Mend it and run `dagbook up` again; the whole story is in {log}\n"

    module.write_text("import dagster\n\n\ndef load():\n    1 / 0\n\n\nload()\n")
    assert command(capsys, "up") == (
        2,
        "",
        "dagbook: the project's definitions do not load: own.py, line 5: ZeroDivisionError: "
        f"division by zero. {remedy}",
    )
    assert processes_of(project) == []
    assert read_record(project) is None

    module.write_text("import dagster as dg\ndefs = dg.Definitions()\n")
    url = as_json(capsys, "up")["url"]
    module.write_text("import dagster as dg\nimport pandaz\n")
    reload_definitions(url, project.module)
    assert command(capsys, "up") == (
        2,
        "",
        "dagbook: the project's definitions do not load: own.py, line 2: ModuleNotFoundError: No "
        f"module named 'pandaz'. {remedy}",
    )
    module.write_text("import dagster as dg\ndefs = dg.Definitions()\n")
    assert as_json(capsys, "up")["was_up"] is True


def test_settings_of_dagster_that_cannot_be_read_are_named(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    home = instance_home(project)
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text("telemetri: {}\n")
    status, _, err = command(capsys, "up")
    assert status == 2
    assert err.startswith(f"dagbook: cannot open Dagster's instance in {home}: ")
    assert "telemetri" in err
    assert err.count("\n") == 1


def test_a_number_that_now_belongs_to_another_process_is_left_alone(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    with subprocess.Popen(["sleep", "600"]) as other:
        started = psutil.Process(other.pid).create_time()
        stale = tuple(
            ServiceProcess(name, other.pid, started - 3600)
            for name in ("code-server", "webserver", "daemon")
        )
        write_record(project, Services(3000, "/nowhere/code.sock", started - 3600, stale))
        assert command(capsys, "down") == (0, "Dagster does not run for this project.\n", "")
        assert other.poll() is None
        other.kill()
    assert read_record(project) is None


def test_commands_outside_a_project_say_how_to_make_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for arguments in (["up"], ["down"], ["runs", "list"], ["runs", "open"]):
        status, out, err = command(capsys, *arguments)
        assert (status, out) == (2, "")
        assert err == (
            f"dagbook: {tmp_path} is in no dagbook project: run `dagbook init` in the folder that "
            "holds your notebooks\n"
        )


def test_a_project_that_never_ran_has_no_runs(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(capsys, "runs", "list") == (0, "No runs yet.\n", "")
    assert as_json(capsys, "runs", "list") == {"schema": "dagbook.runs/1", "runs": []}
    assert reload_services(project) is None
    assert command(capsys, "runs", "open") == (
        2,
        "",
        "dagbook: this project has no runs yet: `dagbook up` shows where to start one\n",
    )
    assert not instance_home(project).exists()
    assert require_project(project.root) == project


def test_whoever_lists_runs_finishes_those_that_vanished(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    left_in = project.runs_folder / "churn" / "2026-01-01"
    leave(left_in)
    assert command(capsys, "runs", "list") == (0, "No runs yet.\n", "")
    assert [path.name for path in left_in.iterdir()] == ["20260101T000000Z-killed.ipynb"]
