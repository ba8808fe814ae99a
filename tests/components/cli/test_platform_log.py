"""The record and the costs of a project, in a terminal."""

from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import pytest

from dagbook.cli import main
from dagbook.ledger.audit import Kind, append
from dagbook.ledger.project_ledger import (
    HOME_NAME,
    HOME_VARIABLE,
    READY_FILE_NAME,
    find_home,
    ledger_of_project,
)
from dagbook.project import STATE_FOLDER, create_project
from dagbook.services import instance
from dagbook.services.ledger import open_ledger

MONTH = datetime.now(UTC).strftime("%Y-%m")
PLATFORM = """\
compute_sizes:
  small: {cpus: 2, memory: 4 GiB, max_run_time: 1 h, price_per_hour: 36, default: true}
teams:
  - {folder: "**", team: growth, contact: someone@example.com}
budgets:
  per_team: {growth: {warn_at: 30, stop_at: 50}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "shop"
    create_project(root, name="shop_log")
    monkeypatch.chdir(root)
    monkeypatch.delenv(HOME_VARIABLE, raising=False)
    write(root, "n.ipynb", "1 + 1")
    return root


def write(root: Path, name: str, source: str) -> None:
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    made.metadata.kernelspec = {"name": "python3", "display_name": "P", "language": "python"}
    nbformat.write(made, root / name)


@pytest.fixture
def priced(project: Path) -> Path:
    (project / "dagbook-platform.yaml").write_text(PLATFORM)
    return project


def test_a_run_in_a_terminal_tells_its_cost_before_and_after(priced: Path, capsys) -> None:
    assert main(["run", "n.ipynb"]) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[0] == (
        "dagbook: expected cost: 36.00 USD a run (at most 1 h: it has not run well before)"
    )
    assert told[1] == (
        f"dagbook: with this run the team growth uses 36.00 USD of 50.00 USD for {MONTH}, more "
        "than the 30.00 USD at which a team is warned"
    )
    pattern = rf"dagbook: cost (0\.\d+ USD); growth: \1 of 50\.00 USD in {MONTH}"
    assert re.fullmatch(pattern, told[2])


def test_a_run_over_the_teams_budget_is_refused_and_written_down(priced: Path, capsys) -> None:
    text = PLATFORM.replace("stop_at: 50", "stop_at: 35")
    (priced / "dagbook-platform.yaml").write_text(text)
    assert main(["run", "n.ipynb"]) == 2
    refusal = (
        f"over budget: the team growth has 35.00 USD for {MONTH}, of which 0.00 USD are spent and "
        "0.00 USD reserved by runs under way, and this run is expected to cost 36.00 USD. For more "
        "ask someone@example.com"
    )
    assert capsys.readouterr().err == f"dagbook: {refusal}\n"
    assert not (priced / "runs").exists()
    assert main(["platform", "log"]) == 0
    assert capsys.readouterr().out.splitlines()[-1].endswith(refusal)


def test_a_run_with_a_size_there_is_not_is_refused_and_written_down(priced: Path, capsys) -> None:
    assert main(["run", "n.ipynb", "--size", "huge"]) == 2
    assert capsys.readouterr().err == (
        "dagbook: compute size 'huge' does not exist. Known: small. For an exception ask "
        "someone@example.com (dagbook-platform.yaml:1)\n"
    )
    assert main(["platform", "log", "--json"]) == 0
    entry = json.loads(capsys.readouterr().out)["entries"][-1]
    assert (entry["kind"], entry["detail"]["rules"]) == ("refused", ["compute_sizes"])


@pytest.mark.parametrize("timeout", ["-5", "nan", "0"])
def test_a_time_that_is_none_reserves_nothing(priced: Path, capsys, timeout: str) -> None:
    assert main(["run", "n.ipynb", "--timeout", timeout]) == 2
    said = f"dagbook: timeout: {timeout} is not a time; give seconds above 0\n"
    assert capsys.readouterr().err == said
    assert main(["platform", "log", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["entries"] == []


def test_a_run_refused_before_its_kernel_costs_nothing(priced: Path, capsys) -> None:
    assert main(["run", "n.ipynb", "-p", "nope=1"]) == 2
    assert main(["platform", "costs", "--json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert (run["status"], run["cost"]) == ("refused", 0.0)


def test_a_run_at_its_budget_ends_with_the_reason(priced: Path, capsys) -> None:
    write(priced, "n.ipynb", "import time; time.sleep(60)")
    text = PLATFORM.replace("budgets:\n", "budgets:\n  per_run: {stop_at: 0.03}\n")
    (priced / "dagbook-platform.yaml").write_text(text)
    assert main(["run", "n.ipynb"]) == 4
    assert "ended after 3.0 s, budget of 0.0300 USD per run reached" in (
        capsys.readouterr().out.replace("after 3 s", "after 3.0 s")
    )


def test_without_a_platform_file_a_run_keeps_no_account_and_imports_nothing_for_it(
    project: Path,
) -> None:
    code = (
        "import sys\nfrom dagbook.cli import main\nassert main(['run', 'n.ipynb']) == 0\n"
        "names = ('sqlalchemy', 'ruamel', 'yaml', 'pydantic', 'dagster', 'dagbook.ledger', "
        "'dagbook.policy.platform')\n"
        "print([name for name in names if name in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "[]"
    assert done.stderr == ""
    assert not (project / ".dagbook").exists()


def test_the_record_is_exported_chosen_and_verified(priced: Path, capsys) -> None:
    assert main(["run", "n.ipynb"]) == 0
    capsys.readouterr()
    assert main(["platform", "log", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert [row["kind"] for row in rows] == ["platform changed", "launched", "ended"]
    assert main(["platform", "log", "--json", "--asset", "n.ipynb", "--since", "2026-01-01"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [entry["kind"] for entry in found["entries"]] == ["launched", "ended"]
    assert main(["platform", "log", "--json", "--since", "2999-01-01"]) == 0
    assert json.loads(capsys.readouterr().out)["entries"] == []
    assert main(["platform", "log", "--verify"]) == 0
    assert capsys.readouterr().out == (
        f"✓ 3 entries are as they were written\n  keep 3:{rows[-1]['hash']} elsewhere: whoever may "
        "write the database could write all of it anew\n"
    )
    known = f"2:{rows[1]['hash']}"
    assert main(["platform", "log", "--verify", "--known", known]) == 0


def test_the_record_tells_which_connection_was_used(project: Path, capsys) -> None:
    (project / "dagbook-platform.yaml").write_text("contact: someone@example.com\n")
    with open_ledger(project).write() as connection:
        for asset, names in (("churn", ["mlflow_prod", "warehouse"]), ("sales", ["warehouse"])):
            detail = {"size": "small", "trigger": "by hand", "connections": names}
            append(connection, Kind.LAUNCHED, policy="p", who="someone", asset=asset, detail=detail)
    assert main(["platform", "log"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith("small, by hand, with mlflow_prod and warehouse")
    assert lines[2].endswith("small, by hand, with warehouse")
    assert main(["platform", "log", "--connection", "mlflow_prod", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["entries"]
    assert [(entry["asset"], entry["detail"]["connections"]) for entry in found] == [
        ("churn", ["mlflow_prod", "warehouse"]),
    ]
    assert main(["platform", "log", "--connection", "other"]) == 0
    assert capsys.readouterr().out == "no entry is like that\n"


def test_a_changed_record_is_named_and_the_exit_status_says_so(priced: Path, capsys) -> None:
    assert main(["run", "n.ipynb"]) == 0
    ledger = ledger_of_project(priced)
    assert ledger is not None
    with sqlite3.connect(str(ledger.file)) as connection:
        connection.execute("UPDATE dagbook_audit SET who = 'nobody' WHERE number = 2")
        at = connection.execute("SELECT at FROM dagbook_audit WHERE number = 2").fetchone()[0]
    capsys.readouterr()
    assert main(["platform", "log", "--verify"]) == 2
    problem = f"entry 2 ({at}, launched n.ipynb) is not as it was written"
    assert capsys.readouterr().out == f"✕ {problem}\n"
    assert main(["platform", "log", "--verify", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["verified"]["problem"] == problem


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["log", "--since", "yesterday"], "--since yesterday: give a day as YYYY-MM-DD"),
        (["log", "--known", "1:2"], "--known goes with --verify"),
        (["log", "--verify", "--csv"],
         "--verify looks through all entries: leave out --csv, --since, --asset, --connection"),
        (["log", "--verify", "--known", "1:2"],
         "--known 1:2: give NUMBER:HASH as `dagbook platform log --verify` told it"),
        (["costs", "--month", "November"], "--month November: give a month as YYYY-MM"),
        (["costs", "--month", "2026-13"], "--month 2026-13: give a month as YYYY-MM"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_refused(project, capsys, options, text) -> None:
    assert main(["platform", *options]) == 2
    assert capsys.readouterr().err == f"dagbook: {text}\n"


def test_where_nothing_ran_there_is_nothing_to_show(project: Path, capsys) -> None:
    assert main(["platform", "log"]) == 0
    assert main(["platform", "log", "--asset", "churn"]) == 0
    assert main(["platform", "log", "--verify"]) == 0
    assert main(["platform", "costs"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "nothing is in the record yet",
        "no entry is like that",
        "✓ nothing is in the record yet",
        "no size has a price: `price_per_hour` in the platform file says what an hour costs",
    ]


def test_the_costs_of_a_month_come_by_team_by_asset_and_one_by_one(priced: Path, capsys) -> None:
    assert main(["run", "n.ipynb"]) == 0
    capsys.readouterr()
    assert main(["platform", "costs"]) == 0
    lines = [re.split(r"  +", line) for line in capsys.readouterr().out.splitlines()]
    cost = lines[1][1]
    assert lines[:2] == [
        [f"TEAM, {MONTH}", "SPENT", "RESERVED", "WARNED AT", "STOPPED AT", "RUNS"],
        ["growth", cost, "0.00 USD", "30.00 USD", "50.00 USD", "1"],
    ]
    assert ["n.ipynb", "growth", cost, "0.00 USD", "1"] in lines
    assert lines[-1][2:] == ["n.ipynb", "small", "succeeded", cost]
    assert main(["platform", "costs", "--team", "risk"]) == 0
    assert capsys.readouterr().out == f"nothing that has a price ran in {MONTH}\n"
    assert main(["platform", "costs", "--month", "2020-02", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "schema": "dagbook.costs/1", "month": "2020-02", "advice": {},
    }  # fmt: skip


def test_the_cost_is_foreseen_where_a_notebook_is_scheduled_and_validated(
    priced: Path, capsys
) -> None:
    assert main(["schedule", "n.ipynb", "daily 06:00"]) == 0
    cost = "expected cost: 36.00 USD a run (at most 1 h: it has not run well before)"
    assert cost in capsys.readouterr().out.splitlines()
    file = priced / "shop_log" / "defs" / "n" / "defs.yaml"
    more = "  partitions: {type: static, values: [DE, FR]}\n"
    file.write_text(file.read_text() + more)
    assert main(["validate"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert f"  {cost}" in lines
    assert (
        "  a backfill of all partitions: 72.00 USD for 2 runs, 36.00 USD a run (at most 1 h: it "
        "has not run well before)"
    ) in lines


def test_without_prices_no_command_says_a_word_of_cost(project: Path, capsys) -> None:
    text = PLATFORM.partition("budgets")[0].replace(", price_per_hour: 36", "")
    (project / "dagbook-platform.yaml").write_text(text)
    assert main(["run", "n.ipynb"]) == 0
    assert main(["schedule", "n.ipynb", "daily 06:00"]) == 0
    assert main(["validate"]) == 0
    assert main(["platform", "log"]) == 0
    told = capsys.readouterr()
    said = (told.out + told.err).replace(str(project), "")
    assert not re.search(r"cost|USD|budget|price", said)


# Where the ledger lies


def test_the_projects_own_home_is_where_services_make_it(project: Path) -> None:
    from dagbook.project import require_project

    home = instance.instance_home(require_project(project))
    assert home == project / STATE_FOLDER / HOME_NAME
    assert instance.READY_FILE_NAME == READY_FILE_NAME
    assert instance.HOME_VARIABLE == HOME_VARIABLE


def test_a_variable_takes_nobody_away_from_the_projects_own_ledger(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = project / STATE_FOLDER / HOME_NAME
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    assert find_home(project) == tmp_path
    own.mkdir(parents=True)
    (own / READY_FILE_NAME).touch()
    assert find_home(project) == own


def test_a_home_with_a_storage_of_its_own_has_its_ledger_there(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, other = tmp_path / "home", tmp_path / "elsewhere"
    home.mkdir()
    (home / "dagster.yaml").write_text(f"storage:\n  sqlite:\n    base_dir: {other}\n")
    monkeypatch.setenv(HOME_VARIABLE, str(home))
    assert ledger_of_project(project) is None
    file = open_ledger(project).file
    assert file is not None
    assert (file.parent / "runs.db").exists()
    assert file.is_relative_to(other)


def test_settings_that_are_no_yaml_are_named(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    (tmp_path / "dagster.yaml").write_text("storage: [")
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    assert main(["platform", "log"]) == 2
    assert capsys.readouterr().err.startswith(
        f"dagbook: {tmp_path}/dagster.yaml is not valid YAML: "
    )
