"""A project that came from somewhere else: nothing of it runs before somebody said so."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dagbook.bridge_client import Bridge
from dagbook.bridge_protocol import BridgeError, Code
from dagbook.project import Project, require_project
from dagbook.trust import TRUST_VARIABLE


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Where code of the project leaves a note when it runs."""
    folder = tmp_path / "traces"
    folder.mkdir()
    return folder


@pytest.fixture
def cloned(
    tmp_path: Path,
    traces: Path,
    new_notebook: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
) -> Project:
    """A project with a trap in every place from which code could be run."""
    monkeypatch.delenv(TRUST_VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    root = tmp_path / "cloned"
    own = root / "cloned" / "defs" / "own"
    own.mkdir(parents=True)
    (root / "dg.toml").write_text(
        'directory_type = "project"\n'
        '[project]\nroot_module = "cloned"\nregistry_modules = ["cloned.kinds"]\n'
    )

    def trap(name: str) -> str:
        return f"open({str(traces / name)!r}, 'w').close()\n"

    # Names of modules that are looked for while answers are made.
    for name in ("dagbook", "dagster", "json", "yaml", "sitecustomize", "usercustomize"):
        (root / f"{name}.py").write_text(trap(f"{name}.py"))
    (root / "cloned" / "__init__.py").write_text(trap("package"))
    (root / "cloned" / "kinds.py").write_text(
        trap("kinds") + "from dagbook import NotebookRunnerComponent\n"
        "class Kind(NotebookRunnerComponent):\n    '''Theirs.'''\n"
    )
    (own / "defs.yaml").write_text("type: cloned.kinds.Kind\nattributes: {notebook: own.ipynb}\n")
    new_notebook(root / "own.ipynb")
    new_notebook(root / "churn.ipynb")
    python = root / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\n: > {traces / 'venv'}\n")
    python.chmod(0o755)
    home = root / ".dagbook" / "dagster_home"
    home.mkdir(parents=True)
    (home / ".made-by-dagbook").touch()
    (home / "dagster.yaml").write_text(
        "run_launcher: {module: cloned.kinds, class: Kind, config: {}}\n"
    )
    return require_project(root)


@pytest.fixture
def bridge(cloned: Project, open_bridge: Callable[[Project], Bridge]) -> Bridge:
    return open_bridge(cloned)


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("runs", {}),
        ("trial", {"notebook": "own.ipynb"}),
        ("pause", {"notebook": "own.ipynb"}),
        ("reload", {}),
        ("services", {}),
        ("cancel_run", {"run": "1234"}),
        ("validate", {"notebook": "own.ipynb"}),
        ("form_schema", {"notebook": "own.ipynb"}),
        ("validate", {"text": "type: .kinds.Kind\n", "file": "cloned/defs/own/defs.yaml"}),
        ("write", {"notebook": "own.ipynb", "wish": {"schedule": "daily 06:00"}}),
        (
            "preview",
            {"notebook": "churn.ipynb", "attributes": {}, "type": "cloned.kinds.Kind"},
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_needs_its_code_is_untrusted(
    bridge: Bridge, cloned: Project, traces: Path, verb: str, arguments: dict[str, Any]
) -> None:
    with pytest.raises(BridgeError) as raised:
        bridge.ask(verb, **arguments)
    assert raised.value.code is Code.UNTRUSTED
    assert str(raised.value) == (
        f"{cloned.root} was not made here and its Python code has not been run: if you trust who "
        f"wrote it, say so with `dagbook trust {cloned.root}`"
    )
    assert list(traces.iterdir()) == []


def test_what_needs_none_of_its_code_is_answered(
    bridge: Bridge, traces: Path, attributes: Callable[..., dict[str, Any]]
) -> None:
    form = {"notebook": "churn.ipynb", "attributes": attributes()}
    assert bridge.hello()["trusted"] is False
    assert bridge.hello()["python_from"] == "this process"
    assert len(bridge.ask("parameters", notebook="churn.ipynb")["parameters"]) == 3
    assert bridge.ask("next_ticks", schedule="daily 06:00", timezone="UTC")["next"]
    names = [each["name"] for each in bridge.ask("catalogue")["components"]]
    assert "dagbook.NotebookRunnerComponent" in names
    assert not any(name.startswith("cloned") for name in names)
    assert bridge.ask("form_schema", notebook="churn.ipynb")["dataSchema"]
    assert bridge.ask("options", notebook="churn.ipynb")["sizes"]
    assert bridge.ask("validate", **form)["valid"]
    assert bridge.ask("preview", **form)["text"].startswith("type: dagbook.Note")
    assert bridge.ask("write", base=None, **form)["written"]
    assert bridge.ask("cost", notebook="churn.ipynb") == {"lines": []}
    state = bridge.ask("state", notebook="churn.ipynb")
    assert state["trusted"] is False
    assert state["components"][0]["last"] is None
    assert bridge.ask("settings", notebook="own.ipynb")["type"] == "cloned.kinds.Kind"
    assert list(traces.iterdir()) == []


def test_trust_runs_it_from_the_next_question_on(
    bridge: Bridge, cloned: Project, traces: Path
) -> None:
    before = bridge.hello()
    assert not bridge.is_trusted
    # The interpreter that came with it, which now is asked, is no Python at all.
    bridge.trust()
    with pytest.raises(BridgeError) as raised:
        bridge.ask("catalogue")
    assert raised.value.code is Code.DOWN
    python = cloned.root / ".venv/bin/python"
    assert str(raised.value) == (
        f"the process that answers for the project does not start in {python} (.venv): exit status 0"
    )
    assert (traces / "venv").exists()
    python.unlink()
    found = {each["name"]: each for each in bridge.ask("catalogue")["components"]}
    assert found["cloned.kinds.Kind"]["summary"] == "Theirs."
    assert bridge.hello()["trusted"] is True
    assert bridge.hello()["python"] == before["python"]
    assert {trace.name for trace in traces.iterdir()} >= {"venv", "package", "kinds"}


def test_trust_that_was_taken_back_ends_it(bridge: Bridge, cloned: Project) -> None:
    from dagbook.trust import distrust_project

    (cloned.root / ".venv/bin/python").unlink()
    bridge.trust()
    assert bridge.ask("validate", notebook="own.ipynb")["valid"]
    distrust_project(cloned.root)
    with pytest.raises(BridgeError) as raised:
        bridge.ask("validate", notebook="own.ipynb")
    assert raised.value.code is Code.UNTRUSTED
