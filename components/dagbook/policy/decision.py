"""The one place that decides whether a notebook may run as it asks to, and explains it.

The form's schema, `dagbook validate` and the runner at launch all ask here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from dagbook.policy.approvals import approval_warnings, approved_budget
from dagbook.policy.connection_judges import connection_warnings
from dagbook.policy.judges import JUDGES
from dagbook.policy.objections import Case
from dagbook.policy.platform import Budget, Platform
from dagbook.policy.request import Decision, Loc, Objection, Request
from dagbook.policy.size_judges import judge_team_of_size, size_asked_for
from dagbook.policy.sizes import HOUR, Size
from dagbook.policy.tracking_judges import tracking_warnings

__all__ = [
    "Choice",
    "Decision",
    "Loc",
    "Objection",
    "Request",
    "Rule",
    "decide",
    "options",
]

#: What a company's component may add: one more reason why something is not allowed.
Rule = Callable[[Request, Platform], Iterable[Objection]]


def decide(request: Request, platform: Platform, more_rules: Sequence[Rule] = ()) -> Decision:
    """Judge a request by everything a platform says.

    Args:
        request: what somebody asks for; facts that are None are not judged.
        platform: the policy in force.
        more_rules: a company's own, in Python. They are asked last and can only object.
    """
    case = Case(request, platform, platform.team_of(request.notebook))
    objections = [objection for judge in JUDGES for objection in judge(case)]
    size = platform.sizes.get(size_asked_for(case))
    budget = approved_budget(case)
    # Last of all: whatever they do to the request, what was judged is what is granted.
    for rule in more_rules:
        objections += _objections_of(rule, request, platform)
    return Decision(
        policy_version=platform.version,
        team=case.team,
        size=None if size is None else _within_bounds(size, platform),
        run_budget=budget,
        objections=tuple(objections),
        warnings=(
            *approval_warnings(case),
            *connection_warnings(case),
            *tracking_warnings(case),
            *_budget_warnings(platform),
        ),
    )


def _budget_warnings(platform: Platform) -> Iterator[str]:
    budgets = platform.budgets
    if (budgets.per_team or budgets.per_run != Budget()) and not platform.has_prices:
        origin = platform.origin_of("budgets")
        at = f" ({origin})" if origin is not None else ""
        yield f"budgets count nothing: no compute size has a `price_per_hour`{at}"


def _objections_of(rule: Rule, request: Request, platform: Platform) -> Iterator[Objection]:
    for objection in rule(request, platform) or ():
        if not isinstance(objection, Objection):
            name = getattr(rule, "__qualname__", repr(rule))
            raise TypeError(f"{name} gave {objection!r}: a rule gives objections and nothing else")
        yield objection


def _within_bounds(size: Size, platform: Platform) -> Size:
    # A notebook that says nothing gets no more than one that asks.
    bound = platform.bounds.get("limits.max_runtime_hours")
    if bound is None or bound.maximum is None:
        return size
    seconds = min(size.max_runtime_seconds, bound.maximum * HOUR)
    return (
        size if seconds == size.max_runtime_seconds else replace(size, max_runtime_seconds=seconds)
    )


@dataclass(frozen=True)
class Choice:
    """A size as a form offers it: one that is not allowed is shown, disabled, with the reason."""

    name: str
    label: str
    description: str
    price_per_hour: float | None
    """Money in the platform's currency; None: nobody says what it costs"""
    is_default: bool
    allowed: bool
    reason: str
    """Why it is not allowed, in one line; empty when it is"""


def options(
    platform: Platform,
    notebook: str,
    *,
    asset: str | None = None,
    moment: datetime | None = None,
) -> list[Choice]:
    """The sizes a notebook may choose from, and those it may not, in the platform's order.

    Args:
        platform: the policy in force.
        notebook: relative to the project, with forward slashes.
        asset: the asset's key, where there is one, for what was approved of it.
        moment: when it would run; now by default.
    """
    team = platform.team_of(notebook)
    choices = []
    for size in platform.sizes.values():
        request = Request(
            notebook,
            asset=asset,
            attributes={"compute_size": size.name},
            moment=moment or datetime.now(UTC),
        )
        reason = next(iter(judge_team_of_size(Case(request, platform, team))), None)
        bounded = _within_bounds(size, platform)
        choices.append(
            Choice(
                name=size.name,
                label=bounded.label,
                description=size.description,
                price_per_hour=size.price_per_hour,
                is_default=size.name == platform.default_size,
                allowed=reason is None,
                reason="" if reason is None else reason.text,
            )
        )
    return choices
