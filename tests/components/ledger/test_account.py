"""What a launch reserves and an end settles, by several processes at once too."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest

from dagbook.ledger.account import Account, OverBudget, account_name
from dagbook.ledger.audit import Kind, read_entries, verify
from dagbook.ledger.budgets import End, spending, unsettled
from dagbook.ledger.database import Ledger, LedgerError
from dagbook.ledger.lost import as_text, settle_lost
from dagbook.ledger.occasion import Occasion, Started
from dagbook.policy.connections import Connection
from dagbook.policy.decision import decide
from dagbook.policy.platform import Approval, Budget, Budgets, Platform, Team
from dagbook.policy.request import Request
from dagbook.policy.sizes import GIB, HOUR, Size
from dagbook.worker import Worker, this_machine

MONTH = datetime.now(UTC).strftime("%Y-%m")
SMALL = Size("small", 2, 4 * GIB, 1 * HOUR, price_per_hour=1.0)
LARGE = Size("large", 8, 64 * GIB, 4 * HOUR, price_per_hour=6.0, teams=frozenset({"risk"}))


def platform(**changed: Any) -> Platform:
    """Prices, a team for `models/`, and 5 USD a month for it."""
    settings: dict[str, Any] = {
        "version": "0123456789ab",
        "sizes": MappingProxyType({"small": SMALL, "large": LARGE}),
        "teams": (Team("models/**", "growth", "someone@example.com"),),
        "budgets": Budgets(per_team={"growth": Budget(stop_at=5.0)}),
    }
    return Platform(**{**settings, **changed})


def account(ledger: Ledger, policy: Platform, run: str = "run-1", **changed: Any) -> Account:
    settings: dict[str, Any] = {
        "who": "someone@example.com",
        "trigger": "by hand",
        "run": run,
        "asset": "churn",
        "notebook": "models/churn.ipynb",
        "project": Path("/projects/shop"),
        "parameters": {"region": "DE", "token": "hunter2"},
    }
    return Account(ledger, policy, Occasion(**{**settings, **changed}))


def decision(policy: Platform, size: str = "small"):
    request = Request("models/churn.ipynb", asset="churn", attributes={"compute_size": size})
    return decide(request, policy)


def launch(ledger: Ledger, policy: Platform, run: str = "run-1") -> tuple[Account, Started]:
    opened = account(ledger, policy, run)
    return opened, opened.launch(decision(policy))


def run_well(ledger: Ledger, policy: Platform, seconds: float, count: int = 1, **used: Any) -> None:
    for number in range(count):
        opened, _ = launch(ledger, policy, f"good-{number}")
        opened.end(End("succeeded", "", seconds, **used))


def entries(ledger: Ledger) -> list[tuple[str, Any]]:
    with ledger.read() as connection:
        assert connection is not None
        assert verify(connection).problem is None
        return [(entry.kind, dict(entry.detail)) for entry in read_entries(connection)]


def spent(ledger: Ledger, team: str | None = "growth") -> tuple[float, float]:
    with ledger.read() as connection:
        assert connection is not None
        found = spending(connection, team, MONTH, "USD")
        return round(found.spent, 6), round(found.reserved, 6)


def test_a_launch_reserves_the_longest_it_can_cost_while_nothing_is_known(ledger: Ledger) -> None:
    _, started = launch(ledger, platform())
    assert started.expected.words() == "1.00 USD a run (at most 1 h: it has not run well before)"
    assert spent(ledger) == (0.0, 1.0)


def test_a_launch_reserves_what_the_last_good_runs_took(ledger: Ledger) -> None:
    policy = platform()
    for seconds in (360, 720, 1080):
        opened, _ = launch(ledger, policy)
        opened.end(End("succeeded", "", seconds))
    opened, _ = launch(ledger, policy)
    opened.end(End("failed", "error", 3000))
    _, started = launch(ledger, policy)
    assert started.expected.words() == "0.20 USD a run (12 min, median of 3 good runs)"
    assert spent(ledger) == (round((360 + 720 + 1080 + 3000) / 3600, 6), 0.2)


@pytest.mark.parametrize("status", ["succeeded", "failed", "killed", "cancelled", "timed_out"])
def test_every_end_settles_what_the_run_really_cost(ledger: Ledger, status: str) -> None:
    opened, _ = launch(ledger, platform())
    settled = opened.end(End(status, "", 900))
    assert settled is not None
    assert settled.cost == 0.25
    assert settled.month_to_date == f"0.25 USD of 5.00 USD in {MONTH}"
    assert spent(ledger) == (0.25, 0.0)


def test_of_twenty_launches_at_once_on_a_budget_for_five_exactly_five_start(
    ledger: Ledger, at_once
) -> None:
    answers = at_once(
        20,
        """
        from types import MappingProxyType
        from dagbook.ledger.account import Account, OverBudget
        from dagbook.ledger.database import Ledger
        from dagbook.ledger.occasion import Occasion
        from dagbook.policy.decision import decide
        from dagbook.policy.platform import Budget, Budgets, Platform, Team
        from dagbook.policy.request import Request
        from dagbook.policy.sizes import GIB, HOUR, Size
        size = Size("small", 2, 4 * GIB, 1 * HOUR, price_per_hour=1.0)
        policy = Platform(
            version="0123456789ab",
            sizes=MappingProxyType({"small": size}),
            teams=(Team("models/**", "growth", "someone@example.com"),),
            budgets=Budgets(per_team={"growth": Budget(stop_at=5.0)}),
        )
        asked = decide(Request("models/churn.ipynb", asset="churn"), policy)
        occasion = Occasion(
            "uid 0", "by hand", f"run-{number}", "churn", "models/churn.ipynb", Path("/projects")
        )
        try:
            Account(Ledger(file), policy, occasion).launch(asked)
            answer = "started"
        except OverBudget as refused:
            answer = str(refused)
        """,
    )
    refusal = (
        f"over budget: the team growth has 5.00 USD for {MONTH}, of which 0.00 USD are spent and "
        "5.00 USD reserved by runs under way, and this run is expected to cost 1.00 USD. For more "
        "ask someone@example.com"
    )
    assert answers.count("started") == 5
    assert answers.count(refusal) == 15
    kinds = [kind for kind, _ in entries(ledger)]
    assert kinds.count(Kind.LAUNCHED) == 5
    assert kinds.count(Kind.REFUSED) == 15
    assert kinds.count(Kind.PLATFORM_CHANGED) == 1
    assert spent(ledger) == (0.0, 5.0)


def test_what_is_settled_below_its_reservation_lets_others_start(ledger: Ledger) -> None:
    policy = platform()
    opened = [launch(ledger, policy, f"run-{number}")[0] for number in range(5)]
    with pytest.raises(OverBudget):
        launch(ledger, policy, "run-6")
    opened[0].end(End("failed", "error", 0.0))
    launch(ledger, policy, "run-7")


def test_without_a_team_of_its_own_a_budget_is_for_each(ledger: Ledger) -> None:
    policy = platform(teams=(), budgets=Budgets(per_team={"*": Budget(stop_at=0.5)}))
    with pytest.raises(OverBudget) as refused:
        launch(ledger, policy)
    assert str(refused.value) == (
        f"over budget: what belongs to no team has 0.50 USD for {MONTH}, of which 0.00 USD are "
        "spent and 0.00 USD reserved by runs under way, and this run is expected to cost 1.00 USD. "
        "For more ask whoever keeps the platform file"
    )


def test_over_its_line_a_team_is_warned_and_the_run_goes_on(ledger: Ledger) -> None:
    policy = platform(
        budgets=Budgets(
            per_run=Budget(warn_at=0.9), per_team={"growth": Budget(warn_at=1.5, stop_at=5.0)}
        )
    )
    _, first = launch(ledger, policy)
    run = (
        "this run is expected to cost 1.00 USD, more than the 0.90 USD at which a run is warned of"
    )
    assert first.warnings == (run,)
    opened, second = launch(ledger, policy)
    assert second.warnings == (
        f"with this run the team growth uses 2.00 USD of 5.00 USD for {MONTH}, more than the "
        "1.50 USD at which a team is warned",
        run,
    )
    settled = opened.end(End("succeeded", "", 3600))
    assert settled is not None
    assert settled.warnings == (
        "this run cost 1.00 USD, more than the 0.90 USD at which a run is warned of",
    )


@pytest.mark.parametrize(
    ("per_run", "max_cost", "seconds"),
    [(0.5, None, 1800), (0.5, 0.25, 900), (None, 0.25, 900), (None, None, None)],
)
def test_a_run_may_go_on_for_what_its_budget_buys(
    ledger: Ledger, per_run: float | None, max_cost: float | None, seconds: float | None
) -> None:
    policy = platform(budgets=Budgets(per_run=Budget(stop_at=per_run)))
    started = account(ledger, policy).launch(decision(policy), max_cost=max_cost)
    assert started.budget_seconds == seconds
    if seconds is not None:
        assert started.budget_label == f"budget of {seconds / 3600:.2f} USD per run reached"
        assert started.expected.cost == seconds / 3600


def test_a_budget_of_nothing_lets_nothing_run(ledger: Ledger) -> None:
    policy = platform(budgets=Budgets(per_run=Budget(stop_at=0.0)))
    with pytest.raises(OverBudget) as refused:
        launch(ledger, policy)
    assert str(refused.value) == (
        "the budget per run is 0.00 USD: nothing runs. For more ask someone@example.com"
    )
    assert [kind for kind, _ in entries(ledger)] == [Kind.PLATFORM_CHANGED, Kind.REFUSED]


def test_without_prices_nothing_says_a_word_of_cost(ledger: Ledger) -> None:
    policy = Platform()
    opened, started = launch(ledger, policy)
    assert started.expected.words() is None
    assert started.budget_seconds is None
    assert started.warnings == ()
    settled = opened.end(End("succeeded", "", 900))
    assert settled is not None
    assert (settled.cost, settled.month_to_date) == (None, None)
    for _, detail in entries(ledger):
        assert not {"cost", "expected", "budget"} & detail.keys()


def test_of_parameters_the_ledger_holds_no_value(ledger: Ledger) -> None:
    opened, _ = launch(ledger, platform())
    opened.end(End("succeeded", "", 1))
    detail = dict(entries(ledger)[1][1])
    assert detail["parameters"] == ["region", "token"]
    assert len(detail["parameters_sha256"]) == 64
    assert ledger.file is not None
    for file in ledger.file.parent.glob("dagbook.db*"):
        assert b"hunter2" not in file.read_bytes()


def test_the_audit_tells_who_launched_what_under_which_policy(ledger: Ledger) -> None:
    opened, _ = launch(ledger, platform())
    opened.end(End("failed", "error", 36))
    with ledger.read() as connection:
        assert connection is not None
        changed, launched, ended = read_entries(connection)
    assert (changed.kind, changed.policy) == ("platform changed", "0123456789ab")
    assert (launched.who, launched.asset, launched.run, launched.policy) == (
        "someone@example.com", "churn", "run-1", "0123456789ab",
    )  # fmt: skip
    wanted = {"trigger": "by hand", "team": "growth", "size": "small", "expected": "1.00 USD"}
    assert wanted.items() <= launched.detail.items()
    assert ended.detail == {
        "status": "failed", "cause": "error", "attempt": 1, "seconds": 36, "size": "small",
        "cost": "0.0100 USD",
    }  # fmt: skip


def test_a_change_of_the_policy_is_told_once_with_its_keys(ledger: Ledger) -> None:
    launch(ledger, platform())
    launch(ledger, platform(), "run-2")
    dearer = replace(SMALL, price_per_hour=2.5)
    changed = platform(
        version="ba9876543210",
        sizes=MappingProxyType({"small": dearer}),
        contact="platform@example.com",
    )
    launch(ledger, changed, "run-3")
    told = [detail for kind, detail in entries(ledger) if kind == Kind.PLATFORM_CHANGED]
    assert [(detail["from"], detail["to"]) for detail in told] == [
        ("built-in", "0123456789ab"), ("0123456789ab", "ba9876543210"),
    ]  # fmt: skip
    keys = told[1]["keys"]
    assert keys["sizes.small.price_per_hour"] == ["1.0", "2.5"]
    assert keys["contact"] == [None, '"platform@example.com"']
    assert keys["sizes.large.teams"] == ['["risk"]', None]
    assert "teams[0].team" not in keys


def test_a_platform_file_that_was_taken_away_is_told(ledger: Ledger) -> None:
    launch(ledger, platform())
    launch(ledger, Platform(), "run-2")
    told = [detail for kind, detail in entries(ledger) if kind == Kind.PLATFORM_CHANGED]
    assert (told[1]["from"], told[1]["to"]) == ("0123456789ab", "built-in")
    assert told[1]["keys"]["budgets.per_team.growth.stop_at"] == ["5.0", None]


def test_a_launch_names_the_connections_it_had_and_older_entries_stay_whole(
    ledger: Ledger,
) -> None:
    launch(ledger, platform())  # as entries were written before there were connections
    opened = account(ledger, platform(), "run-2")
    opened.launch(decision(platform()), connections=("mlflow_prod", "warehouse"))
    launched = [detail for kind, detail in entries(ledger) if kind == Kind.LAUNCHED]
    assert "connections" not in launched[0]
    assert launched[1]["connections"] == ["mlflow_prod", "warehouse"]


def test_a_change_of_a_connection_is_told_without_what_its_provider_is_told(
    ledger: Ledger,
) -> None:
    warehouse = Connection(
        "warehouse",
        provider="process",
        key="helper hunter2",
        options=MappingProxyType({"version": "hunter3"}),
        values=MappingProxyType({"DB_HOST": "hunter4"}),
        variables=MappingProxyType({"DB_PASSWORD": "password"}),
        teams=frozenset({"growth"}),
    )
    launch(ledger, platform())
    given = MappingProxyType({"warehouse": warehouse})
    told = MappingProxyType({"vault": MappingProxyType({"role": "hunter5"})})
    launch(ledger, platform(version="ba9876543210", connections=given, providers=told), "run-2")
    revoked = MappingProxyType({"warehouse": replace(warehouse, revoked="leaked", key="other")})
    launch(ledger, platform(version="c" * 12, connections=revoked, providers=told), "run-3")
    changes = [detail["keys"] for kind, detail in entries(ledger) if kind == Kind.PLATFORM_CHANGED]
    assert changes[1]["connections.warehouse.teams"] == [None, '["growth"]']
    assert changes[1]["connections.warehouse.variables.DB_PASSWORD"] == [None, '"password"']
    assert sorted(changes[2]) == ["connections.warehouse.key", "connections.warehouse.revoked"]
    assert changes[2]["connections.warehouse.revoked"] == [None, '"leaked"']
    assert "hunter" not in str(entries(ledger))


def test_an_address_in_the_policy_is_not_shown(ledger: Ledger) -> None:
    from dagbook.policy.platform import Tracking

    launch(ledger, platform(tracking=Tracking(tracking_uri="https://a:hunter2@example.com")))
    keys = entries(ledger)[0][1]["keys"]
    assert keys["tracking.tracking_uri"][1].startswith("sha256 ")
    assert "hunter2" not in str(entries(ledger))


def test_an_approval_is_noted_where_the_run_needs_it(ledger: Ledger) -> None:
    approvals = (
        Approval("churn", date(2999, 1, 1), "boss@example.com", size="large"),
        Approval("other", date(2999, 1, 1), "boss@example.com", size="large"),
    )
    policy = platform(approvals=approvals, budgets=Budgets())
    account(ledger, policy, "run-1").launch(decision(policy, "small"))
    account(ledger, policy, "run-2").launch(decision(policy, "large"))
    used = [detail for kind, detail in entries(ledger) if kind == Kind.APPROVAL_USED]
    assert used == [{"by": "boss@example.com", "until": "2999-01-01", "size": "large"}]


def test_with_a_platform_file_nothing_starts_that_cannot_be_written_down(ledger: Ledger) -> None:
    launch(ledger, platform())
    impatient = Ledger(ledger.url, wait=0.1)
    with ledger.write(), pytest.raises(LedgerError) as refused:
        launch(impatient, platform())
    assert str(refused.value) == (
        f"cannot write the ledger {ledger.file}: database is locked: another process has held it "
        "for too long. With a platform file nothing is launched that cannot be written down"
    )


def test_without_a_platform_file_a_run_goes_on_and_says_what_is_missing(ledger: Ledger) -> None:
    launch(ledger, Platform())
    impatient = Ledger(ledger.url, wait=0.1)
    with ledger.write():
        opened, _ = launch(impatient, Platform())
    assert opened.trouble == (
        f"cannot write the ledger {ledger.file}: database is locked: another process has held it "
        "for too long"
    )
    assert opened.end(End("succeeded", "", 1)) is None


def test_a_good_run_stays_one_when_its_end_cannot_be_written(ledger: Ledger) -> None:
    opened, _ = launch(Ledger(ledger.url, wait=0.1), platform())
    with ledger.write():
        assert opened.end(End("succeeded", "", 900)) is None
    assert opened.trouble is not None
    assert spent(ledger) == (0.0, 1.0)


def test_a_retry_settles_what_its_run_left_open_and_pays_for_itself(ledger: Ledger) -> None:
    policy = platform()
    launch(ledger, policy)
    account(ledger, policy, attempt=2).launch(decision(policy))
    with ledger.read() as connection:
        assert connection is not None
        assert [found.attempt for found in unsettled(connection)] == [2]
    assert entries(ledger)[2][1]["status"] == "killed"


def test_whoever_vanished_from_a_terminal_is_settled_by_the_next(ledger: Ledger) -> None:
    gone = as_text(Worker("here", this_machine(), 2**22 + 1, 1))
    lives = as_text(Worker("elsewhere", "another machine", 1, 1))
    policy = platform()
    account(ledger, policy, "run-1", worker=gone).launch(decision(policy))
    account(ledger, policy, "run-2", worker=lives).launch(decision(policy))
    (line,) = settle_lost(ledger)
    assert line.startswith("run-1: churn is settled as unknown, ")
    assert settle_lost(ledger) == []
    assert spent(ledger)[1] == 1.0


def test_what_nobody_settled_counts_as_reserved_once_all_its_time_is_over(ledger: Ledger) -> None:
    launch(ledger, platform())
    with sqlite3.connect(str(ledger.file)) as connection:
        connection.execute(
            "UPDATE dagbook_budget SET started = started - 9000, gone_by = gone_by - 9000"
        )
    assert settle_lost(ledger) == ["run-1: churn is settled as unknown, 1.00 USD"]
    assert spent(ledger) == (1.0, 0.0)


def test_the_workers_own_word_counts_more_than_what_others_found(ledger: Ledger) -> None:
    opened, _ = launch(ledger, platform())
    with sqlite3.connect(str(ledger.file)) as connection:
        connection.execute("UPDATE dagbook_budget SET gone_by = 0")
    settle_lost(ledger)
    opened.end(End("succeeded", "", 1800))
    assert spent(ledger) == (0.5, 0.0)


def test_advice_comes_from_what_the_runs_have_used(ledger: Ledger) -> None:
    sizes = {"small": SMALL, "large": replace(LARGE, teams=None)}
    policy = platform(sizes=MappingProxyType(sizes), budgets=Budgets())
    for number in range(10):
        opened = account(ledger, policy, f"run-{number}")
        opened.launch(decision(policy, "large"))
        used = End("succeeded", "", 600, peak_memory_bytes=int(1.8 * GIB), cpu_seconds=500)
        settled = opened.end(used)
        assert settled is not None
        assert (settled.advice is None) == (number < 9)
    assert settled.advice == (
        "1.8 of 64 GiB in 10 runs: small would do, for 1.00 USD an hour and not 6.00 USD"
    )


def test_the_account_a_process_runs_under_is_not_what_the_environment_says(monkeypatch) -> None:
    monkeypatch.setenv("LOGNAME", "somebody-else")
    monkeypatch.setenv("USER", "somebody-else")
    assert "somebody-else" not in account_name()
    assert account_name().startswith("uid ")
