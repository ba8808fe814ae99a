"""The bridge's process: its protocol, its beginning and its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import dagbook
from dagbook import bridge_client
from dagbook.bridge.verbs import VERBS
from dagbook.bridge_client import Bridge
from dagbook.bridge_protocol import PROTOCOL, BridgeError, Code, line_of
from dagbook.project import Project, open_bridge


def gone(pid: int, seconds: float = 10) -> bool:
    """Whether a process ends within this time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.05)
    return False


class Lines:
    """A bridge spoken to without our client, as another front end would."""

    def __init__(self, root: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "dagbook.bridge", str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=root,
        )

    def say(self, text: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def hear(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())


@pytest.fixture
def lines(project: Project) -> Iterator[Lines]:
    found = Lines(project.root)
    yield found
    found.process.kill()
    found.process.wait()
    assert found.process.stdin and found.process.stdout
    found.process.stdin.close()
    found.process.stdout.close()


def test_it_says_who_it_is(lines: Lines, project: Project) -> None:
    hello = lines.hear()["hello"]
    assert hello == {
        "protocol": PROTOCOL,
        "dagbook": dagbook.__version__,
        "python": sys.executable,
        "python_version": ".".join(map(str, sys.version_info[:3])),
        "python_from": "",
        "folder": str(project.root),
        "trusted": True,
        "verbs": sorted(VERBS),
    }


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("nonsense", "a line must be one JSON object"),
        ("[1]", "a line must be one JSON object"),
        ('{"verb": "runs"}', "`id` must be a number or a text that is not in use"),
        (
            '{"id": 1, "verb": "rnus"}',
            "there is no verb `rnus`. Did you mean `runs`? Known: runs, ",
        ),
        ('{"id": 1, "verb": "next_ticks"}', "`next_ticks` needs `schedule`"),
        (
            '{"id": 1, "verb": "next_ticks", "arguments": {"shedule": "daily"}}',
            "`next_ticks` takes no `shedule`. Did you mean `schedule`? Known: schedule, timezone, "
            "count",
        ),
        (
            '{"id": 1, "verb": "next_ticks", "arguments": {"schedule": 6}}',
            "`next_ticks`: `schedule` must be text",
        ),
        (
            '{"id": 1, "verb": "next_ticks", "arguments": {"schedule": "daily", "timezone": 1}}',
            "`next_ticks`: `timezone` must be text or null",
        ),
        (
            '{"id": 1, "verb": "parameters", "arguments": 3}',
            "`parameters`: `arguments` must be an object",
        ),
    ],
)
def test_a_request_that_is_none_is_refused(lines: Lines, line: str, text: str) -> None:
    lines.hear()
    lines.say(line)
    error = lines.hear()["error"]
    assert error["code"] == "invalid_request"
    assert error["text"].startswith(text)


def test_a_mistake_of_the_user_is_one_line(lines: Lines) -> None:
    lines.hear()
    lines.say('{"id": "a", "verb": "next_ticks", "arguments": {"schedule": "dayly 06:00"}}')
    told = lines.hear()
    assert told["id"] == "a"
    assert told["error"]["code"] == "refused"
    assert told["error"]["text"].startswith(
        "schedule `dayly 06:00`: `dayly` is not understood. Did you"
    )


def test_the_end_of_the_questions_ends_it(lines: Lines) -> None:
    lines.hear()
    lines.say('{"id": 1, "verb": "catalogue"}')
    lines.hear()
    (worker,) = psutil.Process(lines.process.pid).children()
    assert lines.process.stdin is not None
    lines.process.stdin.close()
    assert lines.process.wait(10) == 0
    assert gone(worker.pid)


def test_a_killed_front_takes_its_worker_along(bridge: Bridge) -> None:
    bridge.ask("catalogue")
    (worker,) = psutil.Process(bridge.pid).children()
    os.kill(bridge.pid or 0, signal.SIGKILL)
    assert gone(worker.pid)


def test_nothing_of_dagster_is_loaded_before_it_is_needed(bridge: Bridge) -> None:
    bridge.ask("parameters", notebook="churn.ipynb")
    bridge.ask("next_ticks", schedule="daily")
    assert psutil.Process(bridge.pid).children() == []
    mapped = {Path(m.path).name for m in psutil.Process(bridge.pid).memory_maps()}
    assert not any(name.startswith(("_pydantic_core", "cygrpc")) for name in mapped)


def test_the_client_takes_nothing_but_the_standard_library() -> None:
    code = (
        "import sys; before = set(sys.modules); import dagbook.bridge_client; "
        "print(sorted({m.split('.')[0] for m in set(sys.modules) - before}"
        " - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "['dagbook']\n"


def test_several_questions_are_under_way_at_once(bridge: Bridge) -> None:
    answers: dict[int, Any] = {}

    def ask(number: int) -> None:
        told = bridge.ask("next_ticks", schedule=f"daily 0{number}:00", timezone="UTC")
        answers[number] = told["cron"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: f"0 {number} * * *" for number in range(8)}


def test_a_loop_goes_on_while_it_waits(bridge: Bridge) -> None:
    async def both() -> list[Any]:
        first = bridge.ask_async("catalogue")
        second = bridge.ask_async("next_ticks", schedule="daily", timezone="UTC")
        return list(await asyncio.gather(first, second))

    catalogue, ticks = asyncio.run(both())
    assert catalogue["components"]
    assert ticks["cron"] == "0 0 * * *"


def test_a_cancelled_task_gives_its_question_up(bridge: Bridge) -> None:
    async def cancel() -> None:
        task = asyncio.create_task(bridge.ask_async("catalogue"))
        await asyncio.sleep(0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancel())
    assert bridge.ask("catalogue")["components"]


def test_whoever_does_not_wait_long_enough_is_told(bridge: Bridge) -> None:
    with pytest.raises(BridgeError) as raised:
        bridge.ask("catalogue", timeout=0.05)
    assert raised.value.code is Code.TIMED_OUT
    assert str(raised.value) == "`catalogue` had no answer within 0.05 s"
    assert bridge.ask("catalogue")["components"]


def test_an_ended_bridge_fails_who_waits_and_is_started_again(bridge: Bridge) -> None:
    first = bridge.hello() and bridge.pid
    failed: list[BridgeError] = []

    def wait() -> None:
        with pytest.raises(BridgeError) as raised:
            bridge.ask("catalogue")
        failed.append(raised.value)

    waiting = threading.Thread(target=wait)
    waiting.start()
    time.sleep(0.2)
    os.kill(first or 0, signal.SIGKILL)
    waiting.join()
    assert failed[0].code is Code.DOWN
    assert str(failed[0]) == (
        "the process that answers for the project ended before it did (ended by SIGKILL)"
    )
    assert bridge.ask("next_ticks", schedule="daily")["cron"] == "0 0 * * *"
    assert bridge.pid != first


def test_a_bridge_that_ends_again_and_again_is_left_alone_for_a_while(bridge: Bridge) -> None:
    for _ in range(2):
        pid = bridge.hello() and bridge.pid
        os.kill(pid or 0, signal.SIGKILL)
        assert gone(pid or 0)
        while bridge.pid is not None:
            time.sleep(0.01)
    with pytest.raises(BridgeError) as raised:
        bridge.hello()
    assert raised.value.code is Code.DOWN
    assert str(raised.value) == (
        f"the process that answers for {bridge.root} ended several times (ended by SIGKILL): it is "
        "started again in 2 s"
    )
    time.sleep(2.1)
    assert bridge.hello()


def test_everybody_in_a_process_shares_one_until_the_last_closes_it(project: Project) -> None:
    with open_bridge(project) as one:
        with Bridge.open(project.root / "churn.ipynb") as other:
            assert one is other
            assert one.hello()
            pid = one.pid
        assert one.pid == pid
    assert gone(pid or 0)


def test_the_end_of_its_owner_ends_it(project: Project) -> None:
    code = (
        "import os, sys; from dagbook.project import open_bridge; b = open_bridge(sys.argv[1]); "
        "b.hello(); print(b.pid, flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(project.root)], capture_output=True, text=True
    )
    assert done.returncode == -signal.SIGKILL
    assert gone(int(done.stdout))


def test_a_fork_of_its_owner_has_one_of_its_own(project: Project, bridge: Bridge) -> None:
    pid = bridge.hello() and bridge.pid
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            try:
                bridge.hello()
            except BridgeError as error:
                said = str(error)
            own = Bridge.open(project)
            own.hello()
            os.write(writing, json.dumps([said, own.pid]).encode())
            own.close()
        finally:
            os._exit(0)
    os.close(writing)
    said, own = json.loads(os.read(reading, 10_000))
    os.close(reading)
    os.waitpid(child, 0)
    assert said == "this bridge belongs to another process: open one here"
    assert own != pid
    assert bridge.pid == pid
    assert bridge.ask("next_ticks", schedule="daily")["next"]
    bridge.close()
    assert gone(pid or 0)


def test_an_interrupted_owner_does_not_interrupt_it(bridge: Bridge) -> None:
    assert bridge.hello()
    pid = bridge.pid or 0
    assert os.getpgid(pid) == pid
    os.kill(pid, signal.SIGINT)
    assert bridge.ask("next_ticks", schedule="daily")["next"]
    assert bridge.pid == pid


def test_a_python_without_dagbook_is_said(
    project: Project, open_bridge: Callable[[Project], Bridge]
) -> None:
    python = project.root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S "$@"\n')
    python.chmod(0o755)
    with pytest.raises(BridgeError) as raised:
        open_bridge(project).hello()
    assert raised.value.code is Code.DOWN
    assert str(raised.value) == (
        f"{python} (.venv) has no dagbook that can answer here: {python} -m pip install 'dagbook[dagster]'"
    )


def test_a_python_that_is_not_there_is_said(
    project: Project, open_bridge: Callable[[Project], Bridge]
) -> None:
    (project.root / ".env").write_text("A=1\nexport DG_PROJECT_PYTHON_EXECUTABLE='/no/python'\n")
    with pytest.raises(BridgeError) as raised:
        open_bridge(project).hello()
    assert raised.value.code is Code.REFUSED
    assert str(raised.value) == (
        f"{project.root}/.env:2: DG_PROJECT_PYTHON_EXECUTABLE names /no/python, which is no "
        "program that can be started: mend or remove the line"
    )


def test_another_version_of_the_protocol_is_said(
    project: Project, open_bridge: Callable[[Project], Bridge]
) -> None:
    python = project.root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    hello = json.dumps({"hello": {"protocol": 99, "dagbook": "9.0"}})
    python.write_text(f"#!/bin/sh\necho '{hello}'\nexec sleep 60\n")
    python.chmod(0o755)
    with pytest.raises(BridgeError) as raised:
        open_bridge(project).hello()
    assert str(raised.value) == (
        f"{python} (.venv) has dagbook 9.0, which is not understood here: install "
        "the same dagbook there"
    )


def test_an_idle_worker_gives_its_memory_back(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGBOOK_BRIDGE_IDLE_SECONDS", "0.5")
    bridge.ask("catalogue")
    (worker,) = psutil.Process(bridge.pid).children()
    assert gone(worker.pid)
    assert bridge.ask("catalogue")["components"]


def test_a_cancelled_question_is_answered_once(lines: Lines) -> None:
    lines.hear()
    lines.say('{"id": 1, "verb": "catalogue"}')
    lines.say('{"cancel": 1}')
    told = lines.hear()
    assert (told["id"], told["error"]["code"]) == (1, "cancelled")
    lines.say('{"id": 2, "verb": "catalogue"}')
    told = lines.hear()
    while "event" in told:
        told = lines.hear()
    assert told["id"] == 2
    assert told["result"]["components"]


def test_nothing_is_left_open(project: Project) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with open_bridge(project) as bridge:
        bridge.hello()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    assert project.root not in bridge_client._open_bridges


def test_a_python_without_dagster_answers_what_needs_none(
    project: Project, open_bridge: Callable[[Project], Bridge]
) -> None:
    import ruamel.yaml

    environment = project.root / ".venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    (packages,) = environment.glob("lib/python3*/site-packages")
    (packages / "ruamel").symlink_to(Path(ruamel.yaml.__path__[0]).parent)
    (packages / "ours.pth").write_text(f"{Path(dagbook.__file__).parents[1]}\n")
    bridge = open_bridge(project)
    assert bridge.hello()["python_from"] == ".venv"
    assert bridge.ask("parameters", notebook="churn.ipynb")["parameters"]
    with pytest.raises(BridgeError) as raised:
        bridge.ask("catalogue")
    assert raised.value.code is Code.REFUSED
    assert str(raised.value) == (
        f"`catalogue` needs Dagster, which is not installed in {environment}: "
        "pip install 'dagbook[dagster]'"
    )


def test_numbers_that_json_has_no_word_for_are_text() -> None:
    line = line_of({"id": 1, "result": {"auc": float("nan"), "all": [float("-inf"), 0.5]}})
    assert json.loads(line, parse_constant=pytest.fail) == {
        "id": 1,
        "result": {"auc": "nan", "all": ["-inf", 0.5]},
    }


def test_a_terminated_front_ends_what_the_code_of_components_started(
    bridge: Bridge, offer: Callable[..., Path], tmp_path: Path
) -> None:
    note = tmp_path / "child"
    offer(
        "parent",
        "import subprocess\n"
        'child = subprocess.Popen(["sleep", "3600"])\n'
        f"open({str(note)!r}, 'w').write(str(child.pid))\n"
        "return ()",
    )
    asked = {"notebook": "churn.ipynb", "attributes": {}, "type": "parent.Component"}
    assert bridge.ask("validate", **asked)["valid"]
    pid = bridge.pid or 0
    os.kill(pid, signal.SIGTERM)
    assert gone(pid)
    assert gone(int(note.read_text()))


def test_two_edits_within_a_second_are_two_edits(
    bridge: Bridge, offer: Callable[..., Path], component: Callable[[str], str]
) -> None:
    file = offer("quick", component("raise ValueError(0)"))
    for number in range(4):
        file.write_text(component(f"raise ValueError({number})"))
        (error,) = bridge.ask(
            "validate", notebook="churn.ipynb", attributes={}, type="quick.Component"
        )["errors"]
        assert error["msg"].endswith(f"cannot be asked: ValueError: {number}")
