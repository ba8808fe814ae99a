"""Compares a launch with what its team may still spend in the month, and says it in words."""

from __future__ import annotations

from sqlalchemy import Connection

from dagbook.ledger.budgets import spending
from dagbook.policy.cost import Expected, in_money
from dagbook.policy.platform import Platform, Team

#: How far sums of money may be apart and count as equal.
_A_HAIR = 0.5e-6


def judge_team(
    connection: Connection, platform: Platform, team: Team | None, month: str, expected: Expected
) -> tuple[str | None, list[str]]:
    """Look whether there is enough left for a launch.

    Args:
        connection: of `Ledger.write`: nobody else launches meanwhile.
        platform: the policy in force.
        team: whose notebook it is.
        month: the calendar month (UTC) that pays for it.
        expected: what it will probably cost.

    Returns:
        Why there is not enough; None when there is. And what to warn of.
    """
    if expected.cost is None:
        return None, []
    name = _name(team)
    budget, currency = platform.budgets.of_team(name), expected.currency
    sums = spending(connection, name, month, currency)
    total = sums.total + expected.cost
    whose = "what belongs to no team" if name is None else f"the team {name}"
    if budget.stop_at is not None and total > budget.stop_at + _A_HAIR:
        text = (
            f"over budget: {whose} has {in_money(budget.stop_at, currency)} for {month}, of which "
            f"{in_money(sums.spent, currency)} are spent and {in_money(sums.reserved, currency)} "
            "reserved by runs under way, and this run is expected to cost "
            f"{in_money(expected.cost, currency)}"
        )
        return asking(text, platform, team), []
    if budget.warn_at is not None and total > budget.warn_at + _A_HAIR:
        of = "" if budget.stop_at is None else f" of {in_money(budget.stop_at, currency)}"
        return None, [
            f"with this run {whose} uses {in_money(total, currency)}{of} for {month}, more than "
            f"the {in_money(budget.warn_at, currency)} at which a team is warned"
        ]
    return None, []


def month_to_date(connection: Connection, platform: Platform, team: str | None, month: str) -> str:
    """What a team's month has come to, in words: ``12.30 USD of 50.00 USD in 2026-11``."""
    sums = spending(connection, team, month, platform.currency)
    stop_at = platform.budgets.of_team(team).stop_at
    of = "" if stop_at is None else f" of {in_money(stop_at, platform.currency)}"
    return f"{in_money(sums.total, platform.currency)}{of} in {month}"


def stop_rule(platform: Platform, team: Team | None) -> str:
    """The dotted key of the platform file that ends a team's spending."""
    name = _name(team)
    return f"budgets.per_team.{name if name in platform.budgets.per_team else '*'}.stop_at"


def asking(text: str, platform: Platform, team: Team | None) -> str:
    """A refusal with whom to ask for more."""
    ask = (team.contact if team is not None else None) or platform.contact
    return f"{text}. For more ask {ask or 'whoever keeps the platform file'}"


def _name(team: Team | None) -> str | None:
    return None if team is None else team.team
