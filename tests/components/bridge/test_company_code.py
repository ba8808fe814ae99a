"""Code of a company that misbehaves: a clear answer in time, and nobody else suffers."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from dagbook.bridge_client import Bridge
from dagbook.bridge_protocol import BridgeError, Code
from dagbook.project import Project

pytestmark = pytest.mark.early

OURS = "dagbook.NotebookRunnerComponent"


def problems(bridge: Bridge) -> dict[str, str | None]:
    """Why each component cannot be loaded, without Dagster's own."""
    found = bridge.ask("catalogue")["components"]
    return {c["name"]: c["problem"] for c in found if not c["name"].startswith("dagster.")}


def worker_of(bridge: Bridge) -> psutil.Process:
    (worker,) = psutil.Process(bridge.pid).children()
    return worker


def check(bridge: Bridge, type: str) -> Any:
    return bridge.ask("validate", notebook="churn.ipynb", attributes={"owners": []}, type=type)


def test_a_package_that_cannot_be_imported_says_why_and_hides_no_other(
    bridge: Bridge, install: Callable[..., Path], offer: Callable[..., Path]
) -> None:
    install("broken", __init__="import nothing_like_it")
    offer("sound", "return ()")
    assert problems(bridge) == {
        OURS: None,
        "broken": "`broken` cannot be imported: ModuleNotFoundError: No module named "
        "'nothing_like_it'",
        "sound.Component": None,
    }


def test_a_package_that_exits_on_import_says_so(
    bridge: Bridge, install: Callable[..., Path]
) -> None:
    install("leaver", __init__="import sys\nsys.exit(3)")
    assert problems(bridge) == {OURS: None, "leaver": "`leaver` cannot be imported: SystemExit: 3"}


def test_what_a_package_prints_is_no_part_of_an_answer(
    bridge: Bridge, install: Callable[..., Path]
) -> None:
    install(
        "loud",
        __init__="""
        import os, subprocess, sys
        print('{"id": 1, "result": "printed"}')
        os.write(1, b'{"id": 1, "result": "written"}\\n')
        sys.stderr.write("to the standard error\\n")
        subprocess.run(["echo", '{"id": 1, "result": "echoed"}'])
        """,
    )
    assert problems(bridge) == {OURS: None}


def test_a_package_that_reads_gets_nothing_of_the_questions(
    bridge: Bridge, install: Callable[..., Path]
) -> None:
    install("asker", __init__="input('continue? ')")
    assert problems(bridge) == {
        OURS: None,
        "asker": "`asker` cannot be imported: EOFError: EOF when reading a line",
    }


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("import ctypes\nctypes.string_at(0)", "crashed the process (SIGSEGV)"),
        ("import os\nos.abort()", "crashed the process (SIGABRT)"),
        ("import os\nos._exit(7)", "ended the process (exit status 7)"),
        (
            "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
            "crashed the process (SIGKILL)",
        ),
    ],
    ids=["segfault", "abort", "exit", "killed"],
)
def test_a_package_that_ends_the_process_on_import_is_left_out(
    bridge: Bridge, install: Callable[..., Path], offer: Callable[..., Path], code: str, how: str
) -> None:
    offer("sound", "return ()")
    folder = install("deadly", __init__=code)
    found = problems(bridge)
    said = found.pop("deadly")
    assert found == {OURS: None, "sound.Component": None}
    place = f", at {folder / '__init__.py'}:2" if "SEGV" in how or "ABRT" in how else ""
    where = f"importing `deadly` {how}{place}"
    assert said == f"`deadly` cannot be imported: ImportError: left out, as {where}"


def test_a_package_that_hangs_on_import_is_left_out_until_it_changes(
    bridge: Bridge,
    offer: Callable[..., Path],
    component: Callable[[str], str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DAGBOOK_BRIDGE_IMPORT_SECONDS", "1")
    monkeypatch.setenv("DAGBOOK_BRIDGE_CALL_SECONDS", "1")
    folder = offer("slow", module="import time\n\ntime.sleep(3600)\n")
    assert problems(bridge) == {
        OURS: None,
        "slow.Component": "slow.Component cannot be loaded: ImportError: left out, as importing "
        f"`slow.component` did not end within 1 s, at {folder}:3",
    }
    worker = worker_of(bridge)
    assert len(problems(bridge)) == 2
    assert worker_of(bridge) == worker
    folder.write_text(component("return ()"))
    assert problems(bridge) == {OURS: None, "slow.Component": None}


def test_rules_that_never_end_are_ended_and_said_where(
    bridge: Bridge, offer: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGBOOK_BRIDGE_CALL_SECONDS", "2")
    folder = offer("endless", "while True:\n    pass")
    problems(bridge)
    with pytest.raises(BridgeError) as raised:
        check(bridge, "endless.Component")
    error = raised.value
    assert error.code is Code.TOO_SLOW
    assert error.loc is not None
    file, line = str(folder), error.loc["line"]
    assert error.loc == {"file": file, "line": line, "function": "more_rules"}
    assert line in (8, 9)
    assert str(error) == f"`validate`: `more_rules` in {file}:{line} did not end within 2 s"


def test_others_are_answered_or_told_while_somebody_hangs(
    bridge: Bridge, offer: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGBOOK_BRIDGE_CALL_SECONDS", "4")
    offer("endless", "while True:\n    pass")
    problems(bridge)
    failed: list[BridgeError] = []

    def hang() -> None:
        with pytest.raises(BridgeError) as raised:
            check(bridge, "endless.Component")
        failed.append(raised.value)

    hanging = threading.Thread(target=hang)
    hanging.start()
    time.sleep(0.5)
    # Needs no component's code.
    assert bridge.ask("next_ticks", schedule="daily 06:00", timezone="UTC")["cron"] == "0 6 * * *"
    assert not failed
    events: list[Any] = []
    # Needs the worker, which is busy.
    assert bridge.ask("form_schema", notebook="churn.ipynb", on_event=events.append)["type"] == OURS
    hanging.join()
    assert [error.code for error in failed] == [Code.TOO_SLOW]
    assert any(event["waiting"].startswith("`validate`, for ") for event in events)


def test_rules_that_crash_say_where_and_are_not_started_at_once_again_and_again(
    bridge: Bridge, offer: Callable[..., Path]
) -> None:
    folder = offer("deadly", 'import ctypes\nprint("my last words")\nctypes.string_at(0)')
    problems(bridge)
    for _ in range(2):
        with pytest.raises(BridgeError) as raised:
            check(bridge, "deadly.Component")
        assert raised.value.code is Code.CRASHED
        assert str(raised.value) == (
            f"`validate`: `more_rules` in {folder}:10 crashed the process (SIGSEGV)"
        )
    with pytest.raises(
        BridgeError, match=r"^code of a component ended its process 2 times in a "
    ) as raised:
        check(bridge, "deadly.Component")
    assert raised.value.code is Code.DOWN
    time.sleep(2.1)
    assert problems(bridge)[OURS] is None


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('raise ValueError("no such\\nteam")', "raised ValueError: no such team"),
        ("import sys; sys.exit(4)", "left SystemExit: 4"),
    ],
    ids=["raises", "exits"],
)
def test_a_component_that_raises_is_said_where(
    bridge: Bridge, offer: Callable[..., Path], body: str, said: str
) -> None:
    text = (
        "from dagbook import NotebookRunnerComponent\n\n\n"
        "class Component(NotebookRunnerComponent):\n"
        "    @classmethod\n"
        "    def get_model_cls(cls):\n"
        f"        {body}\n"
    )
    file = offer("raiser", module=text)
    problems(bridge)
    worker = worker_of(bridge)
    with pytest.raises(BridgeError) as raised:
        bridge.ask("form_schema", notebook="churn.ipynb", type="raiser.Component")
    assert raised.value.code is Code.COMPONENT_CODE
    assert raised.value.loc == {"file": str(file), "line": 7, "function": "get_model_cls"}
    assert str(raised.value) == f"`get_model_cls` in {file}:7 {said}"
    assert worker_of(bridge) == worker


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ('raise ValueError("no such team")', "ValueError: no such team"),
        ("import sys\nsys.exit(4)", "SystemExit: 4"),
    ],
    ids=["raise", "exit"],
)
def test_rules_that_raise_are_said_of_the_component(
    bridge: Bridge, offer: Callable[..., Path], body: str, said: str
) -> None:
    offer("raiser", body)
    text = f"the rules of raiser.Component.more_rules cannot be asked: {said}"
    assert check(bridge, "raiser.Component")["errors"] == [
        {"loc": [], "msg": text, "line": 2, "column": 1, "by": "rules"}
    ]


def test_a_changed_package_is_seen_by_the_next_question(
    bridge: Bridge, offer: Callable[..., Path], component: Callable[[str], str]
) -> None:
    folder = offer("living", "return ()")
    assert check(bridge, "living.Component")["valid"]
    before = worker_of(bridge)
    folder.write_text(
        component(
            "from dagbook.policy.request import Objection\n"
            'return [Objection("ours", ("notebook",), "", "", None, "not today")]'
        )
    )
    found = check(bridge, "living.Component")
    assert found["errors"] == [
        {"loc": ["notebook"], "msg": "not today", "line": 3, "column": 3, "by": "rules"}
    ]
    assert worker_of(bridge) != before


def test_code_of_the_project_is_seen_when_it_changes(
    bridge: Bridge, project: Project, component: Callable[[str], str]
) -> None:
    folder = project.defs_folder / "own"
    folder.mkdir()
    (folder / "kinds.py").write_text(component("return ()").replace("Component(", "Own("))
    yaml = "type: growth.defs.own.kinds.Own\nattributes:\n  notebook: churn.ipynb\n"
    toml = project.config_file
    toml.write_text(toml.read_text() + 'registry_modules = ["growth.defs.own.kinds"]\n')
    assert bridge.ask("validate", text=yaml, file="growth/defs/own/defs.yaml")["valid"]
    (folder / "kinds.py").write_text("raise RuntimeError('in the middle of an edit')\n")
    found = bridge.ask("validate", text=yaml, file="growth/defs/own/defs.yaml")
    assert [error["msg"] for error in found["errors"]] == [
        "`growth.defs.own.kinds` cannot be imported: RuntimeError: in the middle of an edit"
    ]


def test_what_the_code_started_ends_with_it(
    bridge: Bridge, offer: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGBOOK_BRIDGE_CALL_SECONDS", "1")
    note = tmp_path / "child"
    offer(
        "parent",
        "import subprocess, time\n"
        'child = subprocess.Popen(["sleep", "3600"])\n'
        f"open({str(note)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(3600)",
    )
    problems(bridge)
    with pytest.raises(BridgeError, match=r"did not end within 1 s$"):
        check(bridge, "parent.Component")
    child = int(note.read_text())
    for _ in range(100):
        if not psutil.pid_exists(child) or psutil.Process(child).status() == psutil.STATUS_ZOMBIE:
            break
        time.sleep(0.05)
    else:
        os.kill(child, signal.SIGKILL)
        pytest.fail("what the component started lives on")


def test_no_code_of_a_company_is_imported_by_who_asks(
    bridge: Bridge, offer: Callable[..., Path]
) -> None:
    import sys

    offer("elsewhere", "return ()")
    assert check(bridge, "elsewhere.Component")["valid"]
    assert "elsewhere" not in sys.modules
