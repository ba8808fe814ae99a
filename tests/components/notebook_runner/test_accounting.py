"""Runs on Dagster and their account: reserved, settled, ended at the budget, refused beyond it."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import textwrap
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from tests.components.notebook_runner.conftest import Ran, Workbench

from dagbook.execution import run_notebook
from dagbook.ledger.audit import Entry, read_entries, verify
from dagbook.ledger.budgets import Launched, launches
from dagbook.ledger.database import FILE_NAME, Ledger
from dagbook.ledger.instance_database import ledger_of_home, ledger_of_instance
from dagbook.notebook_runner.reaper import look_once
from dagbook.notebook_runner.unsettled import settle_unsettled
from dagbook.services.instance import instance_home

MONTH = datetime.now(UTC).strftime("%Y-%m")
PLATFORM = """
compute_sizes:
  small: {cpus: 2, memory: 4 GiB, max_run_time: 1 h, price_per_hour: 3600, default: true}
teams:
  - {folder: "**", team: growth, contact: someone@example.com}
"""


def write_platform(bench: Workbench, more: str = "") -> None:
    """One size, a USD for each second of it."""
    (bench.root / "dagbook-platform.yaml").write_text(PLATFORM + textwrap.dedent(more))


def notebook(bench: Workbench, *cells: str, yaml: str = "") -> None:
    bench.notebook("n.ipynb", list(cells))
    bench.component("n", f"notebook: n.ipynb\n{textwrap.dedent(yaml)}")


def ledger(bench: Workbench) -> Ledger:
    return ledger_of_instance(bench.instance)


def entries(bench: Workbench) -> list[Entry]:
    with ledger(bench).read() as connection:
        assert connection is not None
        assert verify(connection).problem is None
        return list(read_entries(connection))


def launched(bench: Workbench) -> list[Launched]:
    with ledger(bench).read() as connection:
        assert connection is not None
        return list(launches(connection, MONTH))


def test_a_run_tells_what_it_cost_and_how_the_month_stands(bench: Workbench) -> None:
    write_platform(bench, "budgets: {per_team: {growth: {stop_at: 10000}}}")
    notebook(bench, "1 + 1")
    ran = bench.run("n")
    assert ran.success
    cost = ran.metadata["cost"]
    assert 0 < cost < 3600
    assert ran.metadata["currency"] == "USD"
    assert ran.metadata["team"] == "growth"
    assert ran.metadata["month_to_date"] == f"{cost:.2f} USD of 10000.00 USD in {MONTH}"
    assert "Expected cost: 3600.00 USD a run (at most 1 h: it has not run well before)" in (
        bench.logs(ran)
    )
    (known,) = launched(bench)
    assert known.cost == pytest.approx(cost)
    assert (known.run, known.status) == (ran.result.run_id, "succeeded")
    assert known.peak_memory_bytes


def test_without_prices_a_run_shows_no_cost_anywhere(bench: Workbench) -> None:
    notebook(bench, "1 + 1")
    ran = bench.run("n")
    spec = bench.spec("n")
    assert ran.success
    names = {*ran.metadata, *spec.metadata}
    assert not {"cost", "currency", "team", "month_to_date", "expected_cost"} & names
    assert not [line for line in bench.logs(ran) if "cost" in line.lower()]
    assert [entry.kind for entry in entries(bench)] == ["launched", "ended"]
    for entry in entries(bench):
        assert not [key for key in entry.detail if "cost" in key or "expected" in key]
    assert entries(bench)[0].policy == "built-in"


def test_a_run_at_its_budget_ends_like_one_out_of_time_and_is_not_tried_again(
    bench: Workbench,
) -> None:
    write_platform(bench, "budgets: {per_run: {stop_at: 5}}")
    notebook(bench, "import time; time.sleep(60)", yaml="retries: {max: 2, on: [error]}")
    ran = bench.run("n")
    assert not ran.success
    assert ran.failure.description == "ended after 5 s, budget of 5.00 USD per run reached"
    assert ran.metadata["status"] == "timed_out"
    assert ran.metadata["cost"] >= 5
    assert ran.attempts == 1
    assert entries(bench)[-1].detail["cause"] == "budget"


def test_a_notebook_may_limit_its_own_cost(bench: Workbench) -> None:
    write_platform(bench, "budgets: {per_run: {stop_at: 50}}")
    notebook(bench, "import time; time.sleep(60)", yaml="limits: {max_cost_usd: 4}")
    ran = bench.run("n")
    assert ran.failure.description == "ended after 4 s, budget of 4.00 USD per run reached"


def test_a_run_over_its_teams_budget_is_refused_in_one_line(bench: Workbench) -> None:
    write_platform(bench, "budgets: {per_team: {growth: {stop_at: 100}}}")
    notebook(bench, "1 + 1", yaml="retries: {max: 2, on: [error]}")
    ran = bench.run("n")
    assert not ran.success
    assert ran.failure.description == (
        f"over budget: the team growth has 100.00 USD for {MONTH}, of which 0.00 USD are spent and "
        "0.00 USD reserved by runs under way, and this run is expected to cost 3600.00 USD. For "
        "more ask someone@example.com"
    )
    assert ran.metadata["status"] == "refused"
    assert ran.attempts == 1
    assert launched(bench) == []
    assert [entry.kind for entry in entries(bench)] == ["platform changed", "refused"]


def test_every_try_of_a_run_pays_for_itself(bench: Workbench) -> None:
    write_platform(bench)
    notebook(bench, "raise ValueError", yaml="retries: {max: 2, on: [error]}")
    ran = bench.run("n")
    assert ran.attempts == 3
    assert [(known.attempt, known.status) for known in launched(bench)] == [
        (1, "failed"), (2, "failed"), (3, "failed"),
    ]  # fmt: skip
    assert all(known.cost for known in launched(bench))


def test_a_run_refused_before_its_kernel_costs_nothing(bench: Workbench) -> None:
    write_platform(bench)
    bench.notebook("n.ipynb", [("days: int", ["parameters"]), "days"])
    bench.component("n", "notebook: n.ipynb\nparameters: {days: 3}\nkernel: nonesuch")
    ran = bench.run("n")
    assert not ran.success
    assert entries(bench)[-1].kind in ("refused", "ended")
    assert [known.cost for known in launched(bench)] in ([], [0.0])


def test_the_audit_says_which_schedule_and_which_user_launched(bench: Workbench) -> None:
    notebook(bench, "1 + 1")
    bench.run("n", tags={"user": "someone@example.com", "dagster/schedule_name": "n_schedule"})
    first = entries(bench)[0]
    assert first.who.startswith("someone@example.com, uid ")
    assert first.detail["trigger"] == "schedule n_schedule"


def test_parameters_of_a_run_are_not_kept(bench: Workbench) -> None:
    bench.notebook("n.ipynb", [("word = ''", ["parameters"]), "len(word)"])
    bench.component("n", "notebook: n.ipynb")
    assert bench.run("n", config={"word": "hunter2"}).success
    assert entries(bench)[0].detail["parameters"] == ["word"]
    file = ledger(bench).file
    assert file is not None
    assert all(b"hunter2" not in path.read_bytes() for path in file.parent.glob(FILE_NAME + "*"))


def test_ten_runs_that_need_less_are_advised_a_smaller_size(bench: Workbench) -> None:
    notebook(bench, "1 + 1", yaml="compute_size: medium")
    assert "advice" not in bench.run("n").metadata
    with sqlite3.connect(str(ledger(bench).file)) as connection:
        for number in range(9):
            connection.execute(
                "INSERT INTO dagbook_budget SELECT 'again' || ?, run, attempt, asset, notebook, "
                "team, month, size, memory_bytes, currency, price, reserved, cost, started, "
                "gone_by, worker, seconds, status, cause, peak_memory_bytes, cpu_seconds "
                "FROM dagbook_budget LIMIT 1",
                (number,),
            )
    advice = bench.run("n").metadata["advice"]
    assert advice.endswith(" of 16 GiB in 11 runs: small would do")


# What a worker could not settle


def test_a_run_whose_worker_was_killed_is_settled_for_it(bench: Workbench, tmp_path: Path) -> None:
    write_platform(bench)
    notebook(bench, "import time; time.sleep(600)")
    home = bench.instance.root_directory
    code = f"""
import os, signal, threading, time
import dagster as dg
from dagbook.ledger.budgets import unsettled
from dagbook.ledger.instance_database import ledger_of_instance
from dagbook.location import load_project
from dagbook.project import find_project
instance = dg.DagsterInstance.local_temp({home!r})
def die():
    while True:
        time.sleep(0.1)
        with ledger_of_instance(instance).read() as connection:
            if connection is not None and unsettled(connection):
                time.sleep(1)
                os.kill(os.getpid(), signal.SIGKILL)
threading.Thread(target=die, daemon=True).start()
job = load_project(find_project({str(bench.root)!r})).resolve_implicit_global_asset_job_def()
job.execute_in_process(instance=instance, asset_selection=[dg.AssetKey("n")])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (known,) = launched(bench)
    assert known.cost is None
    assert settle_unsettled(bench.instance) == []
    run = bench.instance.get_run_by_id(known.run)
    assert run is not None
    bench.instance.report_run_failed(run, "its worker vanished")
    sensor = dg.build_sensor_context(
        bench.instance, repository_def=bench.load().get_repository_def()
    )
    said = look_once(sensor).skip_message
    (known,) = launched(bench)
    assert said is not None
    assert f"{known.run[:8]}: n is settled as " in said
    assert known.cost
    assert settle_unsettled(bench.instance) == []
    assert entries(bench)[-1].who == "found afterwards"


# Where the ledger lies


def test_on_sqlite_the_ledger_is_a_file_beside_dagsters_own(bench: Workbench) -> None:
    file = ledger(bench).file
    assert file is not None
    assert (file.parent / "runs.db").exists()
    assert file.name == "dagbook.db"


def test_a_home_without_settings_has_its_ledger_where_dagster_has_its_runs(tmp_path: Path) -> None:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        assert ledger_of_instance(instance).file == ledger_of_home(tmp_path).file


def test_a_storage_set_to_another_folder_has_the_ledger_there(tmp_path: Path) -> None:
    other = tmp_path / "elsewhere"
    (tmp_path / "home").mkdir()
    settings = {"storage": {"sqlite": {"base_dir": str(other)}}}
    with dg.DagsterInstance.local_temp(str(tmp_path / "home"), overrides=settings) as instance:
        file = ledger_of_instance(instance).file
    assert file is not None
    assert file.is_relative_to(other)
    assert (file.parent / "runs.db").exists()


def test_a_run_in_memory_counts_in_the_projects_own_ledger(bench: Workbench) -> None:
    write_platform(bench, "budgets: {per_team: {growth: {stop_at: 100}}}")
    notebook(bench, "1 + 1")
    job = bench.load().resolve_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(
            instance=instance, asset_selection=[dg.AssetKey("n")], raise_on_error=False
        )
    assert not Ran(result, list(result.all_events)).success
    own = ledger_of_home(instance_home(bench.project))
    with own.read() as connection:
        assert connection is not None
        assert [entry.kind for entry in read_entries(connection)] == ["platform changed", "refused"]


def test_a_run_without_a_platform_file_goes_on_where_the_ledger_cannot_be_written(
    bench: Workbench,
) -> None:
    notebook(bench, "1 + 1")
    file = ledger(bench).file
    assert file is not None
    file.write_bytes(b"this is no database" * 100)
    ran = bench.run("n")
    assert ran.success
    assert (
        f"The ledger has a gap: cannot write the ledger {file}: file is not a database"
        in bench.logs(ran)
    )


def test_a_run_under_a_platform_file_is_refused_where_the_ledger_cannot_be_written(
    bench: Workbench,
) -> None:
    write_platform(bench)
    notebook(bench, "1 + 1")
    file = ledger(bench).file
    assert file is not None
    file.write_bytes(b"this is no database" * 100)
    ran = bench.run("n")
    assert ran.failure.description == (
        f"cannot write the ledger {file}: file is not a database. With a platform file nothing is "
        "launched that cannot be written down"
    )


# Before a launch


def test_an_asset_shows_what_a_run_and_all_its_partitions_will_cost(bench: Workbench) -> None:
    write_platform(bench)
    notebook(bench, "1 + 1", yaml="partitions: {type: static, values: [DE, FR]}")
    shown = bench.spec("n").metadata
    run = "3600.00 USD a run (at most 1 h: it has not run well before)"
    assert shown["expected_cost"] == run
    assert shown["expected_cost_of_all_partitions"] == f"7200.00 USD for 2 runs, {run}"


def test_a_notebook_run_from_python_ends_at_its_budget_too(bench: Workbench) -> None:
    write_platform(bench, "budgets: {per_run: {stop_at: 4}}")
    path = bench.notebook("n.ipynb", ["import time; time.sleep(60)"])
    result = run_notebook(path)
    assert result.reason == "ended after 4 s, budget of 4.00 USD per run reached"


def test_a_refusal_by_the_rules_is_written_down_with_the_rule(bench: Workbench) -> None:
    write_platform(bench)
    notebook(bench, "1 + 1", yaml="retries: 2")
    loaded = bench.load()
    write_platform(bench, "rules: {maximum_retries: 0}")
    ran = bench.run("n", defs=loaded, tags={"user": "someone@example.com"})
    assert not ran.success
    refused = entries(bench)[-1]
    assert (refused.kind, refused.detail["rules"]) == ("refused", ["rules.maximum_retries"])
    assert refused.who.startswith("someone@example.com, uid ")
