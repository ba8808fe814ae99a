"""`dagbook trust`, and the question a terminal is asked once."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from dagbook.cli import main
from dagbook.trust import TRUST_VARIABLE, is_trusted


@pytest.fixture(autouse=True)
def cloned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project that came from somewhere else, with a module that leaves a note when it runs."""
    monkeypatch.delenv(TRUST_VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    root = tmp_path / "cloned"
    defs = root / "cloned" / "defs" / "one"
    defs.mkdir(parents=True)
    (root / "dg.toml").write_text(
        'directory_type = "project"\n'
        '[project]\nroot_module = "cloned"\nregistry_modules = ["cloned.kinds"]\n'
    )
    (root / "cloned" / "kinds.py").write_text(f"open({str(tmp_path / 'it-ran')!r}, 'w').close()\n")
    (defs / "defs.yaml").write_text("type: cloned.kinds.Kind\n")
    monkeypatch.chdir(root)
    return root


def on_a_terminal(answer: str, *arguments: str) -> tuple[int, str]:
    """What a command shows on a terminal where somebody types this, and its exit status."""
    mine, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "dagbook", *arguments],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        close_fds=True,
    )
    os.close(theirs)
    os.write(mine, f"{answer}\n".encode())
    shown = b""
    while True:
        try:
            piece = os.read(mine, 10_000)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(mine)
    return process.wait(), shown.decode().replace("\r\n", "\n")


def test_a_terminal_is_asked_and_a_no_runs_nothing(cloned: Path, tmp_path: Path) -> None:
    status, shown = on_a_terminal("n", "validate")
    assert status == 2
    assert f"{cloned} was not made here. This command runs Python code that came with it." in shown
    assert f"dagbook: nothing was run: `dagbook trust {cloned}` says that it may be" in shown
    assert not (tmp_path / "it-ran").exists()
    assert not is_trusted(cloned)


def test_a_yes_is_kept(cloned: Path, tmp_path: Path) -> None:
    _, shown = on_a_terminal("y", "validate")
    assert "Do you trust who wrote it? [y/N]" in shown
    assert (tmp_path / "it-ran").exists()
    assert is_trusted(cloned)
    _, shown = on_a_terminal("", "validate")
    assert "Do you trust" not in shown


def test_nobody_is_asked_where_nobody_can_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["validate"])
    assert (tmp_path / "it-ran").exists()
    assert capsys.readouterr().err == ""


def test_trust_is_given_listed_and_taken_back(
    cloned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trust", "--list"]) == 0
    assert capsys.readouterr().out == "no project is trusted yet\n"
    assert main(["trust", "cloned/defs"]) == 0
    assert capsys.readouterr().out == f"✓ {cloned} is trusted\n"
    assert main(["trust", "--list"]) == 0
    assert capsys.readouterr().out.startswith(f"{cloned}  since 20")
    assert main(["trust", "--list", "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["projects"]
    assert row["project"] == str(cloned)
    assert main(["trust", "--remove"]) == 0
    assert capsys.readouterr().out == f"✓ {cloned} is trusted no longer\n"
    assert main(["trust", "--remove", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["trusted"] is False


def test_a_folder_of_no_project_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["trust", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"dagbook: {tmp_path} is in no dagbook project: run `dagbook init` in the folder that "
        "holds your notebooks\n"
    )
