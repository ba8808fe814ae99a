"""`dagbook platform keep`: asked for in hiding or piped, never on the command line."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from dagbook.cli import main
from dagbook.credentials.kept import kept, kept_values
from dagbook.project import create_project

SECRET = "hunter2-Zq9"
PLATFORM = """\
resources:
  database: {connections: [analytics_prod]}
connections:
  analytics_prod:
    provider: environment
    key: ANALYTICS
    variables: {DB_USER: username, DB_PASSWORD: password}
  lake:
    provider: environment
    key: LAKE
    variables: LAKE_KEY
  gone:
    provider: environment
    key: GONE
    variables: GONE_KEY
    revoked: it was in a screenshot
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    root = create_project(tmp_path / "churn").root
    (root / "dagbook-platform.yaml").write_text(PLATFORM)
    return root


def piped(root: Path, text: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "dagbook", "platform", "keep", *words],
        cwd=root,
        input=text,
        capture_output=True,
        text=True,
    )


def test_one_value_is_read_from_a_pipe(root: Path) -> None:
    done = piped(root, f"{SECRET}\n", "analytics_prod", "DB_PASSWORD")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("✓ kept DB_PASSWORD of analytics_prod for your own runs, in /")
    assert SECRET not in done.stdout
    assert kept_values(root) == {"analytics_prod": {"DB_PASSWORD": SECRET}}


def test_several_are_read_from_lines(root: Path) -> None:
    text = f"# mine\nexport DB_USER=anna\nDB_PASSWORD='{SECRET}'\n\nOTHER=not-for-this\n"
    assert piped(root, text, "analytics_prod").returncode == 0
    assert kept_values(root) == {"analytics_prod": {"DB_USER": "anna", "DB_PASSWORD": SECRET}}


def test_one_is_read_from_lines_too(root: Path) -> None:
    text = f"DB_USER=anna\nexport LAKE_KEY={SECRET}\nOTHER=not-for-this\n"
    assert piped(root, text, "lake").returncode == 0
    assert kept_values(root) == {"lake": {"LAKE_KEY": SECRET}}


def test_at_a_terminal_secrets_are_asked_for_and_not_shown(root: Path) -> None:
    process, terminal = pty.fork()
    if process == 0:  # the child, whose terminal this is
        os.chdir(root)
        os.execv(
            sys.executable,
            [sys.executable, "-m", "dagbook", "platform", "keep", "analytics_prod"],
        )
    shown = b""
    for question, answer in (
        (b"DB_USER: ", b"anna\n"),
        (b"(not shown): ", SECRET.encode() + b"\n"),
    ):
        while question not in shown:
            shown += os.read(terminal, 1024)
        os.write(terminal, answer)
    try:
        while piece := os.read(terminal, 1024):
            shown += piece
    except OSError:
        pass  # the child has closed its side
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == 0
    assert b"anna" in shown
    assert SECRET.encode() not in shown
    assert kept_values(root) == {"analytics_prod": {"DB_USER": "anna", "DB_PASSWORD": SECRET}}


def test_what_is_kept_is_listed_by_name_and_forgotten(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(root)
    assert main(["platform", "keep"]) == 0
    assert capsys.readouterr().out == (f"nothing is kept for {root}: dagbook platform keep NAME\n")
    piped(root, f"DB_USER=anna\nDB_PASSWORD={SECRET}", "analytics_prod")
    assert main(["platform", "keep"]) == 0
    assert capsys.readouterr().out == (
        "CONNECTION      VARIABLES\nanalytics_prod  DB_USER, DB_PASSWORD\n"
    )
    assert main(["platform", "keep", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "schema": "dagbook.kept/1",
        "kept": {"analytics_prod": ["DB_USER", "DB_PASSWORD"]},
    }
    assert main(["platform", "keep", "analytics_prod", "DB_USER", "--forget"]) == 0
    assert capsys.readouterr().out == "✓ forgot DB_USER of analytics_prod\n"
    assert main(["platform", "keep", "analytics_prod", "--forget"]) == 0
    assert capsys.readouterr().out == "✓ forgot DB_PASSWORD of analytics_prod\n"
    assert kept(root) == {}


@pytest.mark.parametrize(
    ("words", "text", "error"),
    [
        (
            ["analytics_prd"],
            SECRET,
            "there is no connection `analytics_prd`. Did you mean `analytics_prod`? Known: "
            "analytics_prod, gone, lake",
        ),
        (
            ["analytics_prod", "DB_PASWORD"],
            SECRET,
            "connection `analytics_prod` has no variable `DB_PASWORD`. Did you mean `DB_PASSWORD`? "
            "Known: DB_PASSWORD, DB_USER",
        ),
        (["gone"], SECRET, "the connection `gone` is revoked: it was in a screenshot"),
        (
            ["lake"],
            "abc12\n",
            "connection `lake`: the value of `LAKE_KEY` is shorter than 6 characters, which cannot "
            "be masked: take a longer one",
        ),
        (["lake"], "", "connection `lake`: the value of `LAKE_KEY` is empty: give one, or forget it"),
        (["analytics_prod"], SECRET, "standard input, line 1: give a line as NAME=value"),
        (
            ["analytics_prod"],
            f"OTHER={SECRET}",
            "standard input gives none of DB_USER, DB_PASSWORD: give lines of NAME=value",
        ),
        (["--forget"], "", "--forget: name the connection whose values are to be forgotten"),
        (["lake", "--forget"], "", "nothing is kept of `lake`. There are none."),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_without_a_value(
    root: Path, words: list[str], text: str, error: str
) -> None:
    done = piped(root, text, *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"dagbook: {error}\n"
    assert kept(root) == {}


def test_without_connections_it_says_where_they_come_from(root: Path) -> None:
    (root / "dagbook-platform.yaml").write_text("contact: someone@example.com\n")
    assert piped(root, SECRET, "db").stderr == (
        f"dagbook: there is no connection `db`: dagbook-platform.yaml of {root} gives none\n"
    )
