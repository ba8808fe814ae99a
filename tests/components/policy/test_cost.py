"""What a run will probably cost, for how long its money lasts, and which size would do."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import pytest

from dagbook.policy.advice import Use, advise_size
from dagbook.policy.cost import expected_cost, in_money, seconds_for
from dagbook.policy.decision import decide
from dagbook.policy.platform import Budget, Budgets, Platform
from dagbook.policy.request import Request
from dagbook.policy.sizes import BUILT_IN_SIZES, GIB, HOUR, Size

MEDIUM = Size("medium", 4, 16 * GIB, 4 * HOUR, price_per_hour=0.8)


@pytest.mark.parametrize(
    ("settings", "seconds", "runs", "words"),
    [
        pytest.param(
            {}, 4 * HOUR, 0,
            "3.20 USD a run (at most 4 h: it has not run well before)", id="nothing known",
        ),
        pytest.param(
            {"longest": HOUR}, HOUR, 0,
            "0.80 USD a run (at most 1 h: it has not run well before)", id="less time",
        ),
        pytest.param(
            {"run_budget": 0.4}, HOUR / 2, 0,
            "0.40 USD a run (at most 30 min: it has not run well before)", id="less money",
        ),
        pytest.param(
            {"good_runs": [900]}, 900, 1, "0.20 USD a run (15 min, the last good run)",
            id="one run",
        ),
        pytest.param(
            {"good_runs": [100, 900, 90]}, 100, 3, "0.0222 USD a run (100 s, median of 3 good runs)",
            id="three runs",
        ),
        pytest.param(
            {"good_runs": [900] * 10 + [9000] * 30}, 900, 10,
            "0.20 USD a run (15 min, median of 10 good runs)", id="the last ten",
        ),
        pytest.param(
            {"good_runs": [9000], "longest": HOUR}, HOUR, 1,
            "0.80 USD a run (1 h, the last good run)", id="no longer than it may",
        ),
    ],
)  # fmt: skip
def test_the_expected_cost_is_price_times_run_time(settings, seconds, runs, words) -> None:
    expected = expected_cost(MEDIUM, "USD", **settings)
    assert (expected.seconds, expected.runs) == (seconds, runs)
    assert expected.words() == words


def test_a_backfill_costs_as_many_runs_as_it_has_partitions() -> None:
    expected = expected_cost(MEDIUM, "EUR", good_runs=[900])
    assert expected.of_runs(365) == pytest.approx(73)
    assert expected.words(365) == (
        "73.00 EUR for 365 runs, 0.20 EUR a run (15 min, the last good run)"
    )


def test_without_a_price_there_is_no_cost_and_no_word_of_it() -> None:
    expected = expected_cost(BUILT_IN_SIZES["medium"], "USD", good_runs=[900])
    assert (expected.cost, expected.of_runs(3), expected.words(3)) == (None, None, None)
    assert seconds_for(5.0, BUILT_IN_SIZES["medium"]) is None


def test_what_is_free_has_no_end() -> None:
    free = replace(MEDIUM, price_per_hour=0.0)
    assert expected_cost(free, "USD").cost == 0
    assert seconds_for(5.0, free) is None


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0.00 USD"), (5, "5.00 USD"), (0.1, "0.10 USD"), (0.0042, "0.0042 USD"),
     (1234.5, "1234.50 USD"), (0.00003, "<0.0001 USD")],
)  # fmt: skip
def test_money_is_shown_with_what_matters_of_it(amount: float, text: str) -> None:
    assert in_money(amount, "USD") == text


# Advice


def use(**changed) -> Use:
    settings = {
        "size": "medium", "succeeded": True, "seconds": 600.0,
        "peak_memory_bytes": int(1.8 * GIB), "cpu_seconds": 900.0,
    }  # fmt: skip
    return Use(**{**settings, **changed})


def advice(uses, size: str = "medium", platform: Platform | None = None, team=None):
    platform = platform or Platform()
    return advise_size(platform, platform.sizes[size], team, uses)


def test_a_smaller_size_is_advised_from_measured_peaks() -> None:
    assert advice([use()] * 40) == "1.8 of 16 GiB in 30 runs: small would do"


@pytest.mark.parametrize(
    "uses",
    [
        pytest.param([use()] * 9, id="too few runs"),
        pytest.param([use(succeeded=False)] * 30, id="no good runs"),
        pytest.param([use()] * 20 + [use(peak_memory_bytes=int(3.2 * GIB))], id="a larger peak"),
        pytest.param([use()] * 20 + [use(seconds=3000)], id="a longer run"),
        pytest.param([use(seconds=1800, cpu_seconds=1800 * 4)] * 20, id="needs its CPUs"),
        pytest.param([use()] * 20 + [use(succeeded=False, needed_more=True)], id="killed once"),
        pytest.param([use(size="large")] * 20, id="of another size"),
        pytest.param([use(peak_memory_bytes=0)] * 20, id="not measured"),
    ],
)
def test_nothing_is_advised_where_it_might_not_do(uses) -> None:
    assert advice(uses) is None


def test_the_smallest_size_has_none_below_it() -> None:
    assert advice([use(size="small")] * 20, size="small") is None


def test_a_size_of_other_teams_is_not_advised_and_a_price_is_told() -> None:
    small = Size("small", 4, 4 * GIB, HOUR, price_per_hour=0.2)
    tiny = Size("tiny", 4, 3 * GIB, HOUR, price_per_hour=0.1, teams=frozenset({"risk"}))
    sizes = {size.name: size for size in (tiny, small, MEDIUM)}
    platform = Platform(sizes=MappingProxyType(sizes))
    assert advice([use()] * 20, platform=platform, team="growth") == (
        "1.8 of 16 GiB in 20 runs: small would do, for 0.20 USD an hour and not 0.80 USD"
    )
    assert advice([use()] * 20, platform=platform, team="risk") == (
        "1.8 of 16 GiB in 20 runs: tiny would do, for 0.10 USD an hour and not 0.80 USD"
    )


# limits.max_cost_usd


def judged(amount: object, **settings) -> list[str]:
    platform = Platform(
        sizes=MappingProxyType({"medium": MEDIUM, "free": BUILT_IN_SIZES["small"]}),
        default_size=settings.pop("size", "medium"),
        **settings,
    )
    request = Request("n.ipynb", asset="n", attributes={"limits": {"max_cost_usd": amount}})
    return [objection.text for objection in decide(request, platform).objections]


def test_a_cost_that_can_be_counted_and_held_is_allowed() -> None:
    assert judged(5) == []
    assert judged(5, budgets=Budgets(per_run=Budget(stop_at=5))) == []


def test_a_notebook_cannot_give_itself_more_than_a_run_may_cost() -> None:
    assert judged(20, budgets=Budgets(per_run=Budget(stop_at=5))) == [
        "20.00 USD is more than a run may cost. Allowed: at most 5.00 USD"
    ]


def test_a_cost_where_the_size_has_no_price_is_refused() -> None:
    assert judged(20, size="free") == [
        "compute size 'small' has no price, so nobody knows what a run costs. Allowed: "
        "`limits.max_runtime_hours`"
    ]


def test_dollars_are_refused_where_prices_are_in_another_currency() -> None:
    assert judged(20, currency="EUR") == [
        "prices are in EUR here, and nothing converts money. Allowed: `limits.max_runtime_hours`, "
        "and the budget per run of the platform file"
    ]
