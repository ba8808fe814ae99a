"""May it use this much of a machine, for this long?"""

from __future__ import annotations

from collections.abc import Iterator

from dagbook.errors import did_you_mean
from dagbook.policy.approvals import approvals_of_size, holds
from dagbook.policy.objections import Case
from dagbook.policy.request import Objection
from dagbook.policy.sizes import HOUR, Size


def size_asked_for(case: Case) -> str:
    """The name of the size that is asked for, or of the platform's default."""
    found = case.attribute("compute_size")
    return case.platform.default_size if found is None else str(found[1])


def judge_size(case: Case) -> Iterator[Objection]:
    """There is such a size."""
    name, sizes = size_asked_for(case), case.platform.sizes
    if name not in sizes:
        yield case.object(
            "compute_sizes",
            ("compute_size",),
            name,
            f"compute size {name!r} does not exist. {did_you_mean(name, sizes)}",
        )


def judge_team_of_size(case: Case) -> Iterator[Objection]:
    """The notebook's team may use the size, or somebody approved it."""
    size = case.platform.sizes.get(size_asked_for(case))
    if size is None or may_use(case, size):
        return
    approved = approvals_of_size(case, size.name)
    if any(holds(approval, case) for approval in approved):
        return
    of = f"the team {case.team.team}" if case.team is not None else "no team"
    why = (
        f"compute size {size.name!r} is for {_teams(size)}, and {case.request.notebook} is of {of}"
    )
    if approved:
        last = max(approved, key=lambda approval: approval.until)
        why += f"; the approval by {last.by} ended on {last.until}"
    others = [s.name for s in case.platform.sizes.values() if may_use(case, s)]
    rule = f"compute_sizes.{size.name}.teams"
    yield case.object(rule, ("compute_size",), size.name, why, ", ".join(others))


def judge_run_time(case: Case) -> Iterator[Objection]:
    """The run may take as long as it asks to."""
    found = case.attribute("limits.max_runtime_hours")
    size = case.platform.sizes.get(size_asked_for(case))
    if found is None or size is None or not _is_number(found[1]):
        return
    loc, hours = found
    most = size.max_runtime_seconds / HOUR
    if hours > most:
        why = f"{hours:g} h is more than the size {size.label} allows"
        rule = f"compute_sizes.{size.name}.max_run_time"
        yield case.object(rule, loc, hours, why, f"a larger size or at most {most:g}")


def judge_bounds(case: Case) -> Iterator[Objection]:
    """Numbers stay inside their bounds."""
    for name, bound in case.platform.bounds.items():
        found = case.attribute(name)
        if found is None or not _is_number(found[1]):
            continue
        loc, value = found
        if bound.maximum is not None and value > bound.maximum:
            rule, why = f"bounds.{name}.maximum", f"{value:g} is too much for `{name}`"
            yield case.object(rule, loc, value, why, f"at most {bound.maximum:g}")
        if bound.minimum is not None and value < bound.minimum:
            rule, why = f"bounds.{name}.minimum", f"{value:g} is too little for `{name}`"
            yield case.object(rule, loc, value, why, f"at least {bound.minimum:g}")


def may_use(case: Case, size: Size) -> bool:
    """Whether the notebook's team, or everybody, may use a size."""
    return size.teams is None or (case.team is not None and case.team.team in size.teams)


def _teams(size: Size) -> str:
    names = sorted(size.teams or ())
    if not names:
        return "nobody"  # a project and a package name no team in common
    return f"the team {names[0]}" if len(names) == 1 else f"the teams {', '.join(names)}"


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
