"""The account of a run on Dagster: its launch and its end in the ledger of its instance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagbook.execution.clock import RunBudget
from dagbook.execution.result import ExecutionResult
from dagbook.ledger.account import UNREADABLE, Account, account_name
from dagbook.ledger.budgets import End
from dagbook.ledger.database import LedgerError
from dagbook.ledger.instance_database import ledger_of_home, ledger_of_instance
from dagbook.ledger.occasion import Occasion, Settled
from dagbook.ledger.project_ledger import HOME_NAME
from dagbook.notebook_runner.trigger import USER_TAG, said_trigger
from dagbook.policy.platform import BUILT_IN, Platform
from dagbook.policy.request import Decision
from dagbook.project import STATE_FOLDER

if TYPE_CHECKING:
    from dagbook.notebook_runner.asset import NotebookAsset


class StepAccount:
    """The account of one try. Without a launch it says and keeps nothing.

    Attributes:
        budget: how long the run may go on for its money, once it was launched.
    """

    def __init__(self, context: dg.AssetExecutionContext, asset: NotebookAsset) -> None:
        self.budget: RunBudget | None = None
        self._context = context
        self._asset = asset
        self._account: Account | None = None
        self._is_launched = False

    def launch(
        self,
        platform: Platform,
        decision: Decision,
        *,
        parameters: Mapping[str, Any],
        partition: str | None,
        longest: float | None,
        max_cost: float | None,
        connections: Sequence[str] = (),
    ) -> None:
        """Reserve what the run will probably cost, or refuse it.

        Args:
            platform: the policy in force.
            decision: what was decided about the run; it is allowed.
            parameters: what it runs with. Their names are kept, and one hash.
            partition: its partition.
            longest: how long it may take, in seconds, where that is less than its size's.
            max_cost: what its YAML says it may cost at most.
            connections: the names of those it is entitled to.

        Raises:
            DagbookError: there is not that much left, or it cannot be written down.
        """
        self._account = self._open(platform, parameters, partition)
        if self._account is None:
            return
        started = self._account.launch(
            decision, longest=longest, max_cost=max_cost, connections=connections
        )
        self._is_launched = True
        self._tell_trouble()
        if started.budget_seconds is not None:
            self.budget = RunBudget(started.budget_seconds, started.budget_label)
        words = started.expected.words()
        if words is not None:
            self._context.log.info(f"Expected cost: {words}")
        for warning in started.warnings:
            self._context.log.warning(warning)

    def refuse(self, platform: Platform | None, decision: Decision | None) -> None:
        """Write down that the run was refused; the refusal itself goes on.

        Why is kept only where it comes from the rules: what else was wrong may hold values.

        Args:
            platform: the policy in force; None when it cannot be read.
            decision: what was decided, if it came to that.
        """
        if self._is_launched:
            self._end(End("refused", "refused", seconds=0.0), is_urgent=False)
            return
        if self._account is not None:
            return  # refused by the account itself, which has written that down
        try:
            account = self._open(platform or Platform(version=UNREADABLE), {}, None)
        except LedgerError as error:
            self._context.log.warning(f"The ledger has a gap: {error}")
            return
        if account is not None:
            objections = decision.objections if decision is not None else ()
            account.refuse([o.rule for o in objections], [o.text for o in objections])

    def end(self, result: ExecutionResult) -> dict[str, Any]:
        """Settle what the run cost; returns what the reader in Dagster is told of it."""
        used = result.resources
        return self._metadata(
            self._end(
                End(
                    str(result.status),
                    str(result.cause),
                    result.duration_seconds,
                    used.peak_memory_bytes,
                    used.cpu_seconds,
                ),
                is_urgent=False,
            )
        )

    def end_early(self, status: str, result: ExecutionResult | None) -> dict[str, Any]:
        """Settle a run that was interrupted or broke, and for which somebody may be waiting."""
        seconds = None if result is None else result.duration_seconds
        return self._metadata(self._end(End(status, status, seconds), is_urgent=True))

    def _end(self, end: End, *, is_urgent: bool) -> Settled | None:
        if self._account is None or not self._is_launched:
            return None
        self._is_launched = False
        settled = self._account.end(end, is_urgent=is_urgent)
        self._tell_trouble()
        if settled is not None:
            for warning in settled.warnings:
                self._context.log.warning(warning)
        return settled

    def _open(
        self, platform: Platform, parameters: Mapping[str, Any], partition: str | None
    ) -> Account | None:
        context, asset = self._context, self._asset
        tags = context.run.tags
        user = tags.get(USER_TAG)
        try:
            if not context.instance.is_ephemeral:
                ledger = ledger_of_instance(context.instance)
            elif platform.version != BUILT_IN:
                # An instance in memory is gone with its process: what it did counts all the same.
                ledger = ledger_of_home(asset.project_root / STATE_FOLDER / HOME_NAME)
            else:
                return None
        except LedgerError as error:
            if platform.version != BUILT_IN:
                raise
            context.log.info(f"Nothing of this run is written into the ledger: {error}")
            return None
        occasion = Occasion(
            who=f"{user}, {account_name()}" if user else account_name(),
            trigger=said_trigger(tags),
            run=context.run.run_id,
            asset="/".join(asset.key.path),
            notebook=asset.component.notebook,
            project=asset.project_root,
            attempt=context.retry_number + 1,
            partition=partition,
            parameters=parameters,
        )
        return Account(ledger, platform, occasion)

    def _tell_trouble(self) -> None:
        if self._account is not None and self._account.trouble is not None:
            self._context.log.warning(f"The ledger has a gap: {self._account.trouble}")

    def _metadata(self, settled: Settled | None) -> dict[str, Any]:
        if settled is None:
            return {}
        told: dict[str, Any] = {}
        if settled.cost is not None:
            told["cost"] = dg.MetadataValue.float(round(settled.cost, 6))
            told["currency"] = settled.currency
            told["team"] = settled.team or "no team"
            told["month_to_date"] = settled.month_to_date
        if settled.advice is not None:
            told["advice"] = settled.advice
        return told
