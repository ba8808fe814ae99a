"""What a month has cost, added up by team and by asset."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from dagbook.ledger.budgets import Launched, launches, uses
from dagbook.ledger.database import Ledger, LedgerError
from dagbook.ledger.lost import settle_lost
from dagbook.policy.advice import advise_size
from dagbook.policy.platform import Platform


@dataclass(frozen=True)
class TeamLine:
    """One team's month, with the lines its budget draws. Money in the currency."""

    team: str | None
    spent: float
    reserved: float
    warn_at: float | None
    stop_at: float | None
    runs: int


@dataclass(frozen=True)
class AssetLine:
    """One asset's month; what never was an asset is named by its notebook."""

    name: str
    team: str | None
    spent: float
    reserved: float
    runs: int


@dataclass(frozen=True)
class Costs:
    """One month. Only what ran with a price in the platform's currency is in the sums."""

    month: str
    currency: str
    teams: list[TeamLine] = field(default_factory=list)
    assets: list[AssetLine] = field(default_factory=list)
    runs: list[Launched] = field(default_factory=list)
    advice: dict[str, str] = field(default_factory=dict)

    @property
    def has_prices(self) -> bool:
        """Whether anything ran that has a price."""
        return bool(self.runs)

    def to_json(self) -> dict[str, Any]:
        """The month as plain JSON values; without prices nothing but the advice."""
        told: dict[str, Any] = {"schema": "dagbook.costs/1", "month": self.month}
        if self.has_prices:
            told |= {
                "currency": self.currency,
                "teams": [asdict(line) for line in self.teams],
                "assets": [asdict(line) for line in self.assets],
                "runs": [_run_json(run) for run in self.runs],
            }
        return {**told, "advice": self.advice}


def read_costs(ledger: Ledger, platform: Platform, month: str, team: str | None = None) -> Costs:
    """Add up what a month has cost.

    Args:
        ledger: the ledger.
        platform: the policy in force, for its budgets and sizes.
        month: the calendar month (UTC), as ``2026-11``.
        team: only of this team.

    Raises:
        LedgerError: the ledger cannot be read.
    """
    with suppress(LedgerError):
        # Whoever may only read sees what others have settled.
        settle_lost(ledger)
    with ledger.read() as connection:
        if connection is None:
            return Costs(month, platform.currency)
        known = list(launches(connection, month, team))
        advice = {}
        for name, last in sorted({run.name: run for run in known}.items()):
            size = platform.sizes.get(last.size)
            used = uses(connection, last.asset, last.notebook, last.size)
            said = None if size is None else advise_size(platform, size, last.team, used)
            if said is not None:
                advice[name] = said
    priced = [run for run in known if run.price is not None and run.currency == platform.currency]
    by_team: dict[str | None, list[Launched]] = {}
    by_asset: dict[tuple[str, str | None], list[Launched]] = {}
    for run in priced:
        by_team.setdefault(run.team, []).append(run)
        by_asset.setdefault((run.name, run.team), []).append(run)
    # A budget of which nothing is spent is worth a line too, in the month that goes on.
    if priced and month == datetime.now(UTC).strftime("%Y-%m"):
        for name in platform.budgets.per_team:
            if name != "*" and team in (None, name):
                by_team.setdefault(name, [])
    return Costs(
        month,
        platform.currency,
        teams=[_team_line(platform, name, runs) for name, runs in sorted(by_team.items(), key=_by)],
        assets=[
            AssetLine(name, of, _spent(runs), _reserved(runs), len(runs))
            for (name, of), runs in sorted(by_asset.items(), key=lambda item: -_total(item[1]))
        ],
        runs=priced,
        advice=advice,
    )


def _team_line(platform: Platform, team: str | None, runs: list[Launched]) -> TeamLine:
    budget = platform.budgets.of_team(team)
    return TeamLine(team, _spent(runs), _reserved(runs), budget.warn_at, budget.stop_at, len(runs))


def _by(item: tuple[str | None, list[Launched]]) -> tuple[float, str]:
    return -_total(item[1]), item[0] or ""


def _total(runs: Iterable[Launched]) -> float:
    return sum(run.reserved if run.cost is None else run.cost for run in runs)


def _spent(runs: Iterable[Launched]) -> float:
    return round(sum(run.cost for run in runs if run.cost is not None), 6)


def _reserved(runs: Iterable[Launched]) -> float:
    return round(sum(run.reserved for run in runs if run.cost is None), 6)


def _run_json(run: Launched) -> dict[str, Any]:
    hidden = ("worker", "gone_by", "id")
    return {name: value for name, value in asdict(run).items() if name not in hidden}
