"""Runs through the bridge: a trial, what is known of runs, and how a notebook stands."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from dagbook.bridge_client import Bridge
from dagbook.bridge_protocol import BridgeError, Code
from dagbook.project import Project
from dagbook.services import start_services, stop_services

pytestmark = pytest.mark.early

BODY = "auc = 0.5 + days / 100"


@pytest.fixture
def scheduled(
    bridge: Bridge,
    project: Project,
    new_notebook: Callable[..., Path],
    attributes: Callable[..., dict[str, Any]],
) -> Path:
    path = new_notebook(project.root / "churn.ipynb", body=f"# dagster: metrics\n{BODY}")
    bridge.ask("write", notebook="churn.ipynb", attributes=attributes(), base=None)
    return path


def state(bridge: Bridge) -> Any:
    (found,) = bridge.ask("state", notebook="churn.ipynb")["components"]
    return found


def test_a_notebook_that_is_not_scheduled_says_so(bridge: Bridge) -> None:
    assert bridge.ask("state", notebook="churn.ipynb") == {
        "notebook": "churn.ipynb",
        "trusted": True,
        "components": [],
        "words": "churn.ipynb is not scheduled",
    }
    assert bridge.ask("runs", notebook="churn.ipynb") == {"runs": []}
    with pytest.raises(BridgeError) as raised:
        bridge.ask("trial", notebook="churn.ipynb")
    assert str(raised.value) == (
        'churn.ipynb is not scheduled: say when, for example "daily 06:00"'
    )


def test_a_trial_is_a_run_that_is_recorded(
    bridge: Bridge, project: Project, scheduled: Path, new_notebook: Callable[..., Path]
) -> None:
    assert state(bridge)["last"] is None
    events: list[Any] = []
    told = bridge.ask(
        "trial", notebook="churn.ipynb", parameters={"days": 3}, on_event=events.append
    )
    assert (told["state"], told["reason"]) == ("succeeded", None)
    assert told["parameters"] == {"days": 3, "region": "DE", "rates": [0.1]}
    assert told["metrics"] == {"auc": 0.53}
    assert told["peak_memory_bytes"] > 0
    assert Path(told["executed_notebook"]).is_relative_to(project.runs_folder)
    assert Path(told["executed_html"]).is_file()
    assert events[0] == {"run": told["run"], "partition": None}
    progress = [event for event in events if "progress" in event]
    assert [(event["cell"], event["of"]) for event in progress][-1] == (2, 2)
    found = state(bridge)
    assert (found["last"], found["last_good"], found["edited"], found["paused"]) == (
        told,
        told,
        False,
        False,
    )
    assert "every day at 06:00 (Europe/Berlin) · last succeeded " in found["words"]
    assert bridge.ask("runs", notebook="churn.ipynb")["runs"] == [told]
    assert bridge.ask("runs", limit=1)["runs"] == [told]
    # It clears what was found, and an edit brings it back.
    assert bridge.ask("findings", notebook="churn.ipynb")["passed_trial"] is not None
    new_notebook(scheduled, body=f"# dagster: metrics\n{BODY}\nassert auc > 2")
    assert state(bridge)["edited"] is True
    assert bridge.ask("findings", notebook="churn.ipynb")["passed_trial"] is None
    failed = bridge.ask("trial", notebook="churn.ipynb")
    assert failed["state"] == "failed"
    assert "AssertionError" in failed["reason"]
    found = state(bridge)
    assert (found["last"]["run"], found["last_good"]["run"]) == (failed["run"], told["run"])
    runs = bridge.ask("runs", notebook="churn.ipynb")["runs"]
    assert [run["state"] for run in runs] == ["failed", "succeeded"]


def test_a_trial_refuses_values_the_notebook_does_not_take(bridge: Bridge, scheduled: Path) -> None:
    with pytest.raises(BridgeError) as raised:
        bridge.ask("trial", notebook="churn.ipynb", parameters={"dayz": 1})
    assert raised.value.code is Code.REFUSED
    assert "dayz" in str(raised.value)
    assert bridge.ask("runs")["runs"] == []


def test_a_cancelled_trial_is_stored_as_cancelled_and_leaves_nothing(
    bridge: Bridge, project: Project, scheduled: Path, new_notebook: Callable[..., Path]
) -> None:
    new_notebook(scheduled, body="import time\ntime.sleep(3600)")
    family: list[psutil.Process] = []

    async def cancel() -> None:
        begun = asyncio.Event()
        loop = asyncio.get_running_loop()

        def listen(event: Any) -> None:
            if event.get("cell") == 1:
                loop.call_soon_threadsafe(begun.set)

        trial = asyncio.create_task(
            bridge.ask_async("trial", notebook="churn.ipynb", timeout=600, on_event=listen)
        )
        await asyncio.wait_for(begun.wait(), 120)
        family.extend(psutil.Process(bridge.pid).children(recursive=True))
        trial.cancel()
        with pytest.raises(asyncio.CancelledError):
            await trial

    asyncio.run(cancel())
    end = time.monotonic() + 60
    while (runs := bridge.ask("runs")["runs"])[0]["state"] != "cancelled":
        assert time.monotonic() < end, runs
        time.sleep(0.2)
    assert Path(runs[0]["executed_notebook"]).name.endswith("-cancelled.ipynb")
    _, alive = psutil.wait_procs([p for p in family if _is_trial(p)], 30)
    assert alive == []


def _is_trial(process: psutil.Process) -> bool:
    try:
        return "dagbook.bridge.worker" not in process.cmdline()
    except psutil.Error:
        return False


def test_the_end_of_the_owner_cancels_its_trial(
    bridge: Bridge, scheduled: Path, new_notebook: Callable[..., Path]
) -> None:
    new_notebook(scheduled, body="import time\ntime.sleep(3600)")
    begun = threading.Event()

    def ask() -> None:
        with pytest.raises(BridgeError):
            bridge.ask(
                "trial",
                notebook="churn.ipynb",
                timeout=600,
                on_event=lambda event: begun.set() if event.get("cell") else None,
            )

    asking = threading.Thread(target=ask)
    asking.start()
    assert begun.wait(120)
    pid = bridge.pid or 0
    family = psutil.Process(pid).children(recursive=True)
    os.kill(pid, signal.SIGKILL)
    asking.join()
    _, alive = psutil.wait_procs(family, 60)
    assert alive == []


@pytest.fixture
def served(project: Project, scheduled: Path) -> Iterator[str]:
    yield start_services(project).services.url
    stop_services(project)


def test_a_schedule_is_paused_and_resumed(bridge: Bridge, served: str) -> None:
    assert bridge.ask("services") == {"running": True, "url": served}
    assert state(bridge)["paused"] is False
    assert bridge.ask("pause", notebook="churn.ipynb")["paused"] is True
    found = state(bridge)
    assert found["paused"] is True
    assert found["words"] == "churn.ipynb: paused, otherwise every day at 06:00 (Europe/Berlin)"
    assert bridge.ask("pause", notebook="churn.ipynb")["paused"] is True
    assert bridge.ask("resume", notebook="churn.ipynb")["paused"] is False
    assert state(bridge)["paused"] is False
    assert bridge.ask("reload", timeout=200) == {"running": True, "url": served}


def test_nothing_is_paused_where_nothing_runs_schedules(bridge: Bridge, scheduled: Path) -> None:
    assert bridge.ask("services") == {"running": False, "url": None}
    assert bridge.ask("reload") == {"running": False, "url": None}
    with pytest.raises(BridgeError) as raised:
        bridge.ask("pause", notebook="churn.ipynb")
    assert str(raised.value) == ("nothing is running schedules here: `dagbook up` starts it")
