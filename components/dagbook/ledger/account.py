"""Keeps the account of one try of a run: reserves at its launch, settles at its end.

What happens is written into the audit in the same transaction.
"""

from __future__ import annotations

import hashlib
import json
import os
import pwd
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import Connection

from dagbook.errors import DagbookError
from dagbook.ledger.audit import Kind, append
from dagbook.ledger.budgets import (
    End,
    Launch,
    month_of,
    reserve,
    settle,
    unsettled,
    uses,
)
from dagbook.ledger.database import Ledger, LedgerError
from dagbook.ledger.lost import settle_found
from dagbook.ledger.occasion import Occasion, Settled, Started
from dagbook.ledger.policies import note_policy
from dagbook.ledger.team_budgets import asking, judge_team, month_to_date, stop_rule
from dagbook.policy.advice import advise_size
from dagbook.policy.cost import Expected, budget_reached, expected_cost, in_money, seconds_for
from dagbook.policy.decision import Decision
from dagbook.policy.platform import BUILT_IN, Approval, Platform
from dagbook.policy.sizes import Size

#: The version of a policy that could not be read.
UNREADABLE = "unreadable"
#: How much longer than its time a run can take until nothing of it is left, in seconds.
AFTERWARDS_SECONDS = 600.0
#: How long a cancelled run waits for a locked ledger, in seconds.
SOON_SECONDS = 3.0


class OverBudget(DagbookError):
    """A launch for which there is no money left; the text says how much there was."""


class Account:
    """The account of one try of a run.

    With a platform file nothing is launched that cannot be written down. Without one, where
    there is nothing to answer for, the run goes on and `trouble` says why nothing was written.
    """

    def __init__(self, ledger: Ledger, platform: Platform, occasion: Occasion) -> None:
        self.trouble: str | None = None
        self._ledger = ledger
        self._platform = platform
        self._occasion = occasion
        self._name: str | None = None
        self._size: Size | None = None
        self._decision: Decision | None = None
        self._month = ""

    def launch(
        self,
        decision: Decision,
        *,
        longest: float | None = None,
        max_cost: float | None = None,
        connections: Sequence[str] = (),
    ) -> Started:
        """Reserve what the run will probably cost, and write the launch down.

        Args:
            decision: what was decided about it; it is allowed.
            longest: how long the run may take, in seconds, where that is less than its size's.
            max_cost: what its own YAML says it may cost at most.
            connections: the names of those it is entitled to.

        Raises:
            OverBudget: there is not that much left of the team's month.
            LedgerError: it cannot be written down, and there is a platform file.
        """
        size = decision.size
        assert size is not None, "an allowed run has a size"
        self._decision, self._size = decision, size
        budget = _least(decision.run_budget, max_cost)
        seconds = seconds_for(budget, size)
        if budget is not None and seconds is not None and seconds <= 0:
            said = in_money(budget, self._platform.currency)
            text = f"the budget per run is {said}: nothing runs"
            self.refuse(["budgets.per_run"], [text])
            raise OverBudget(asking(text, self._platform, decision.team))
        expected = expected_cost(size, self._platform.currency, longest=longest, run_budget=budget)
        warnings: list[str] = []
        over: str | None = None
        try:
            with self._ledger.write() as connection:
                self._note_policy(connection)
                self._settle_earlier_tries(connection)
                expected = self._expected(connection, size, longest, budget)
                # By the clock of this moment: it may have waited for others.
                self._month = month_of(time.time())
                over, warnings = judge_team(
                    connection, self._platform, decision.team, self._month, expected
                )
                if over is not None:
                    detail = {"rules": [stop_rule(self._platform, decision.team)], "texts": [over]}
                    self._append(connection, Kind.REFUSED, detail)
                else:
                    self._name = reserve(connection, self._as_launch(size, expected, longest))
                    facts = self._facts(expected, budget, connections)
                    self._append(connection, Kind.LAUNCHED, facts)
                    self._note_approvals(connection, size)
        except LedgerError as error:
            self._give_up(error)
        if over is not None:
            raise OverBudget(over)
        warn_at = self._platform.budgets.per_run.warn_at
        if expected.cost is not None and warn_at is not None and expected.cost > warn_at:
            warnings.append(
                f"this run is expected to cost {in_money(expected.cost, expected.currency)}, more "
                f"than the {in_money(warn_at, expected.currency)} at which a run is warned of"
            )
        label = budget_reached(budget or 0.0, expected.currency)
        return Started(expected, seconds, label, tuple(warnings))

    def refuse(self, rules: Sequence[str], texts: Sequence[str]) -> None:
        """Write down that the run was refused. Never keeps the refusal itself from being told.

        Args:
            rules: by which; none, where something else was wrong.
            texts: why, by those rules; nothing that holds values of the run's own.
        """
        with self._quietly(), self._ledger.write() as connection:
            self._note_policy(connection)
            detail = {"rules": list(dict.fromkeys(rules)), "texts": list(texts)}
            self._append(connection, Kind.REFUSED, detail)

    def end(self, end: End, *, is_urgent: bool = False) -> Settled | None:
        """Put the real cost in the place of what was reserved.

        A run that has ended cannot be refused any more: what goes wrong here is `trouble`.

        Args:
            end: how it ended.
            is_urgent: whether somebody waits for a cancelled run, and a locked ledger is not
                waited for long.
        """
        if self._name is None or self._size is None:
            return None
        ledger = Ledger(self._ledger.url, wait=SOON_SECONDS) if is_urgent else self._ledger
        with self._quietly(), ledger.write() as connection:
            settled = settle(connection, self._name, end)
            cost = None if settled is None or settled.price is None else settled.cost
            detail: dict[str, Any] = {
                "status": end.status,
                "cause": end.cause,
                "attempt": self._occasion.attempt,
                "seconds": None if settled is None else round(settled.seconds or 0.0, 3),
                "size": self._size.name,
            }
            if cost is not None:
                detail["cost"] = in_money(cost, self._platform.currency)
            self._append(connection, Kind.ENDED, detail)
            return self._settled(connection, cost)
        return None

    def _settled(self, connection: Connection, cost: float | None) -> Settled:
        assert self._size is not None
        known = uses(connection, self._occasion.asset, self._occasion.notebook, self._size.name)
        advice = advise_size(self._platform, self._size, self._team, known)
        currency = self._platform.currency
        if cost is None:
            return Settled(None, currency, self._team, None, advice, ())
        warn_at = self._platform.budgets.per_run.warn_at
        warnings = []
        if warn_at is not None and cost > warn_at:
            warnings.append(
                f"this run cost {in_money(cost, currency)}, more than the "
                f"{in_money(warn_at, currency)} at which a run is warned of"
            )
        said = month_to_date(connection, self._platform, self._team, self._month)
        return Settled(cost, currency, self._team, said, advice, tuple(warnings))

    def _expected(
        self, connection: Connection, size: Size, longest: float | None, budget: float | None
    ) -> Expected:
        known = uses(connection, self._occasion.asset, self._occasion.notebook, size.name)
        return expected_cost(
            size,
            self._platform.currency,
            good_runs=[use.seconds for use in known if use.succeeded],
            longest=longest,
            run_budget=budget,
        )

    def _settle_earlier_tries(self, connection: Connection) -> None:
        """What a killed process of this very run left open has ended, or this try would not be."""
        for launch in unsettled(connection, self._occasion.run):
            if launch.asset == self._occasion.asset and launch.attempt < self._occasion.attempt:
                settle_found(connection, launch, End("killed", "runner"))

    def _as_launch(self, size: Size, expected: Expected, longest: float | None) -> Launch:
        occasion = self._occasion
        most = size.max_runtime_seconds if longest is None else longest
        return Launch(
            run=occasion.run,
            attempt=occasion.attempt,
            asset=occasion.asset,
            notebook=occasion.notebook,
            team=self._team,
            size=size.name,
            memory_bytes=size.memory_bytes,
            currency=expected.currency,
            price=size.price_per_hour,
            expected_cost=expected.cost,
            longest_seconds=most + size.grace_seconds + AFTERWARDS_SECONDS,
            worker=occasion.worker,
        )

    def _facts(
        self, expected: Expected, budget: float | None, connections: Sequence[str]
    ) -> dict[str, Any]:
        occasion = self._occasion
        assert self._size is not None
        facts: dict[str, Any] = {
            "notebook": occasion.notebook,
            "trigger": occasion.trigger,
            "attempt": occasion.attempt,
            "partition": occasion.partition,
            "team": self._team,
            "size": self._size.name,
            "parameters": sorted(occasion.parameters),
            "parameters_sha256": _hash_of(occasion.parameters),
        }
        if expected.cost is not None:
            facts["expected"] = in_money(expected.cost, expected.currency)
        if budget is not None:
            facts["budget"] = in_money(budget, expected.currency)
        if connections:
            facts["connections"] = list(connections)
        return facts

    def _note_approvals(self, connection: Connection, size: Size) -> None:
        for approval in self._platform.approvals:
            if self._is_used(approval, size):
                detail: dict[str, Any] = {"by": approval.by, "until": approval.until.isoformat()}
                if approval.size is not None:
                    detail["size"] = approval.size
                if approval.budget is not None:
                    detail["budget"] = in_money(approval.budget, self._platform.currency)
                self._append(connection, Kind.APPROVAL_USED, detail)

    def _is_used(self, approval: Approval, size: Size) -> bool:
        """Whether the run would be less, or not at all, without this approval."""
        assert self._decision is not None
        if approval.asset != self._occasion.asset or approval.until < _today():
            return False
        may_anyway = size.teams is None or self._team in size.teams
        if approval.size == size.name and not may_anyway:
            return True
        return approval.budget is not None and approval.budget == self._decision.run_budget

    def _note_policy(self, connection: Connection) -> None:
        if self._platform.version == UNREADABLE:
            return
        note_policy(connection, self._platform, self._occasion.project, who=self._occasion.who)

    def _append(self, connection: Connection, kind: Kind, detail: Mapping[str, Any]) -> None:
        occasion = self._occasion
        append(
            connection,
            kind,
            policy=self._platform.version,
            who=occasion.who,
            asset=occasion.asset or occasion.notebook,
            run=occasion.run,
            detail=detail,
        )

    def _give_up(self, error: LedgerError) -> None:
        if self._platform.version != BUILT_IN:
            raise LedgerError(
                f"{error}. With a platform file nothing is launched that cannot be written down"
            ) from None
        self.trouble, self._name = str(error), None

    @contextmanager
    def _quietly(self) -> Iterator[None]:
        try:
            yield
        except LedgerError as error:
            self.trouble = str(error)

    @property
    def _team(self) -> str | None:
        found = self._decision.team if self._decision is not None else None
        return None if found is None else found.team


def account_name() -> str:
    """The account this process runs under, for want of a person: ``uid 1000 (name)``."""
    try:
        # Not `getpass.getuser`: it believes the environment.
        return f"uid {os.getuid()} ({pwd.getpwuid(os.getuid()).pw_name})"
    except KeyError:
        return f"uid {os.getuid()}"


def _least(*amounts: float | None) -> float | None:
    return min((amount for amount in amounts if amount is not None), default=None)


def _hash_of(parameters: Mapping[str, Any]) -> str:
    text = json.dumps(dict(parameters), sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _today() -> date:
    return datetime.now(UTC).date()
