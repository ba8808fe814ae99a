"""May it cost this much?"""

from __future__ import annotations

from collections.abc import Iterator

from dagbook.policy.approvals import approved_budget
from dagbook.policy.cost import in_money
from dagbook.policy.objections import Case
from dagbook.policy.request import Objection
from dagbook.policy.size_judges import size_asked_for

#: The currency of `limits.max_cost_usd`; nothing here converts money.
USD = "USD"


def judge_max_cost(case: Case) -> Iterator[Objection]:
    """What a component limits its cost to can be counted, and is no more than a run may cost."""
    found = case.attribute("limits.max_cost_usd")
    if found is None or isinstance(found[1], bool) or not isinstance(found[1], int | float):
        return
    loc, amount = found
    size = case.platform.sizes.get(size_asked_for(case))
    currency, most = case.platform.currency, approved_budget(case)
    if currency != USD:
        why = f"prices are in {currency} here, and nothing converts money"
        allowed = "`limits.max_runtime_hours`, and the budget per run of the platform file"
        yield case.object("currency", loc, amount, why, allowed)
    elif size is not None and size.price_per_hour is None:
        why = f"compute size {size.name!r} has no price, so nobody knows what a run costs"
        rule = f"compute_sizes.{size.name}.price_per_hour"
        yield case.object(rule, loc, amount, why, "`limits.max_runtime_hours`")
    elif most is not None and amount > most:
        why = f"{in_money(amount, USD)} is more than a run may cost"
        rule = "budgets.per_run.stop_at"
        yield case.object(rule, loc, amount, why, f"at most {in_money(most, USD)}")
