"""Exceptions that somebody answers for: which hold today, which ended, which end soon."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from dagbook.policy.objections import Case
from dagbook.policy.platform import Approval
from dagbook.policy.units import money_text

#: So long before its end an approval is worth a word.
ENDS_SOON = timedelta(days=7)


def approvals_of_size(case: Case, size: str) -> list[Approval]:
    """The approvals of a size for the asset that asks, also those that ended."""
    return [a for a in case.platform.approvals if a.asset == case.request.asset and a.size == size]


def holds(approval: Approval, case: Case) -> bool:
    """Whether an approval holds on the day of the request; its last day is one."""
    return case.today <= approval.until


def approved_budget(case: Case) -> float | None:
    """Where the run ends like one that is out of time; None where nothing says so."""
    approved = [a.budget for a in _of_budget(case) if a.budget is not None and holds(a, case)]
    return max(approved) if approved else case.platform.budgets.per_run.stop_at


def approval_warnings(case: Case) -> Iterator[str]:
    """What is worth a word although it is allowed: approvals that end soon, budgets that ended."""
    if not case.platform.approvals or case.request.asset is None:
        return
    size = str(case.request.attributes.get("compute_size") or case.platform.default_size)
    used = approvals_of_size(case, size)
    used += [a for a in _of_budget(case) if a not in used]
    last = max((a.until for a in used if holds(a, case)), default=None)
    for approval in used:
        what = _what(approval, case)
        if holds(approval, case):
            if approval.until == last and approval.until - case.today <= ENDS_SOON:
                yield f"the approval of {what} by {approval.by} ends on {approval.until}"
        elif approval.budget is not None and last is None:
            yield f"the approval of {what} by {approval.by} ended on {approval.until}"


def _of_budget(case: Case) -> list[Approval]:
    asset = case.request.asset
    return [a for a in case.platform.approvals if a.asset == asset and a.budget is not None]


def _what(approval: Approval, case: Case) -> str:
    parts = []
    if approval.size is not None:
        parts.append(f"the size {approval.size!r}")
    if approval.budget is not None:
        parts.append(f"{money_text(approval.budget, case.platform.currency)} per run")
    return f"{' and '.join(parts)} for {approval.asset}"
