"""`dagbook platform check`: what each connection gives this deployment, and never its value."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from dagbook.cli import main
from dagbook.project import create_project

PASSWORD = "a password nobody may see"

FILE = """\
teams:
  - {folder: models, team: growth}
  - {folder: reports, team: finance}
connections:
  analytics:
    provider: file
    key: secrets/db.json
    variables: {PGUSER: username, PGPASSWORD: password}
    teams: [growth, finance]
    folders: [models/**]
  tracking:
    provider: environment
    key: OUR_TOKEN
    variables: {MLFLOW_TRACKING_TOKEN: "*"}
    hosts: [mlflow.example.com]
"""

WRONG = """\
  lake:
    provider: environment
    key: LAKE_TOKEN
    variables: LAKE_TOKEN
    expires: 2020-02-29
  old:
    provider: environment
    key: OLD_TOKEN
    variables: OLD_TOKEN
    revoked: it was in a log
  other:
    provider: environment
    key: OTHER_TOKEN
    variables: OTHER_TOKEN
    environments: [prod, staging]
  misspelt:
    provider: file
    key: secrets/db.json
    variables: {PGPASSWORD: pasword}
  down:
    provider: process
    key: "false"
    variables: {TOKEN: token}
"""


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "growth"
    create_project(root)
    monkeypatch.chdir(root)
    monkeypatch.delenv("DAGBOOK_ENVIRONMENT", raising=False)
    for name in ("LAKE_TOKEN", "OLD_TOKEN", "OTHER_TOKEN", "OUR_TOKEN"):
        monkeypatch.setenv(name, PASSWORD)
    (root / "secrets").mkdir()
    secret = root / "secrets" / "db.json"
    secret.write_text(json.dumps({"username": "reader", "password": PASSWORD}), "utf-8")
    secret.chmod(0o600)
    return root


def write(root: Path, text: str) -> None:
    (root / "dagbook-platform.yaml").write_text(text, "utf-8")


def test_every_connection_is_tried_and_no_value_is_shown(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(root, FILE)
    assert main(["platform", "check"]) == 0
    out, err = capsys.readouterr()
    assert out == (
        "CONNECTION  PROVIDER     STATE  FIELDS              EXPIRES IN  WHO MAY USE IT\n"
        "analytics   file         works  username, password  -           teams finance, growth; "
        "models/**\n"
        "tracking    environment  works  one text            -           the runner alone\n"
        "\n"
        "tried in the environment dev, as this machine and user may\n"
    )
    assert err == ""


def test_what_does_not_work_is_said_and_what_has_ended_is_not_fetched(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, FILE + WRONG)
    monkeypatch.delenv("OLD_TOKEN")  # nobody misses it
    assert main(["platform", "check"]) == 1
    out = capsys.readouterr().out
    states = {line.split()[0]: line for line in out.splitlines()[1:8]}
    assert "  expired  " in states["lake"]
    assert "  revoked  " in states["old"]
    assert "  not tried  " in states["other"] and states["other"].endswith("in prod, staging")
    assert "  fails  " in states["misspelt"]
    assert "  is down  " in states["down"]
    assert out.split("\n\n", 1)[1] == (
        "connection `lake` expired on 2020-02-29\n"
        "connection `old` is revoked: it was in a log\n"
        "connection `other` is for the environment prod, staging, and this one is dev\n"
        "connection `misspelt`: the secret has no field `pasword`. Did you mean `password`? Known: "
        "password, username\n"
        "connection `down`: the program false failed with status 1: run it as the deployment's "
        "user to see why\n"
        "\n"
        "tried in the environment dev, as this machine and user may; 1 connection of other "
        "environments cannot be judged from here\n"
    )
    assert PASSWORD not in out


def test_one_connection_can_be_tried_alone(
    root: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(root, FILE + WRONG)
    assert main(["platform", "check", "--connection", "analytics"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 4
    # A connection of another environment is tried there.
    assert main(["platform", "check", "--connection", "other"]) == 0
    assert "not tried" in capsys.readouterr().out
    monkeypatch.setenv("DAGBOOK_ENVIRONMENT", "prod")
    assert main(["platform", "check", "--connection", "other"]) == 0
    assert "works" in capsys.readouterr().out
    assert main(["platform", "check", "--connection", "analytic"]) == 2
    assert capsys.readouterr().err == (
        "dagbook: there is no connection `analytic`. Did you mean `analytics`? Known: analytics, "
        "misspelt, tracking, old, down, lake, other\n"
    )


def test_a_program_reads_the_same_as_json(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(root, FILE + WRONG)
    assert main(["platform", "check", "--json"]) == 1
    out = capsys.readouterr().out
    found = json.loads(out)
    assert (found["schema"], found["environment"]) == ("dagbook.platform-check/1", "dev")
    by_name = {one["name"]: one for one in found["connections"]}
    assert by_name["analytics"] == {
        "name": "analytics",
        "provider": "file",
        "state": "works",
        "reason": None,
        "fields": ["username", "password"],
        "expires_at": None,
        "teams": ["finance", "growth"],
        "folders": ["models/**"],
        "environments": None,
        "runner_alone": False,
    }
    assert by_name["tracking"]["runner_alone"] is True
    assert {name: one["state"] for name, one in by_name.items()} == {
        "analytics": "works",
        "tracking": "works",
        "lake": "expired",
        "old": "revoked",
        "other": "not tried",
        "misspelt": "fails",
        "down": "is down",
    }
    assert PASSWORD not in out


@pytest.mark.parametrize(
    ("expires", "shown"),
    [("2000000000", "days"), ("90 min", "90 min"), ("3 h", "3 h"), ("10 s", "less than 1 min")],
)
def test_the_end_of_a_credential_is_shown(
    root: Path, capsys: pytest.CaptureFixture[str], expires: str, shown: str
) -> None:
    seconds = {"90 min": 5430, "3 h": 10830, "10 s": 30}.get(expires, 2_000_000)
    code = (
        "import datetime as d, json\n"
        f"end = d.datetime.now(d.timezone.utc) + d.timedelta(seconds={seconds})\n"
        "print(json.dumps({'Version': 1, 'token': 'one long token', "
        "'Expiration': end.isoformat()}))"
    )
    (root / "give.py").write_text(code)
    key = json.dumps(f"{sys.executable} give.py")
    write(root, f"connections:\n  a: {{provider: process, key: {key}, variables: {{T: token}}}}\n")
    assert main(["platform", "check"]) == 0
    line = capsys.readouterr().out.splitlines()[1]
    assert f"  {shown}" in line or f" {shown} " in line


def test_a_project_without_connections_is_said_to_have_none(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["platform", "check"]) == 0
    assert capsys.readouterr().out == "the platform file names no connections\n"


@pytest.mark.needs("other-uid")
def test_what_is_tried_is_what_the_user_who_tries_may_do(root: Path) -> None:
    write(root, FILE)
    for folder in (*root.parents, root, root / "secrets"):
        if folder.is_relative_to("/tmp") and folder != Path("/tmp"):
            folder.chmod(0o755)
    # Python itself may lie where the other user cannot go: everything is imported before.
    code = (
        "import contextlib, io, os, sys\n"
        "from dagbook.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    assert main(['platform', 'check']) == 0\n"
        "os.setuid(12345)\n"
        "sys.exit(main(['platform', 'check']))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    path = root / "secrets" / "db.json"
    assert f"connection `analytics`: {path} may not be read by the user 12345\n" in done.stdout
    assert done.returncode == 1
