"""The rules of a platform, one judge each: what a component asks for is held against them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dagbook.policy.connection_judges import judge_resources
from dagbook.policy.cost_judges import judge_max_cost
from dagbook.policy.objections import Case
from dagbook.policy.path_patterns import fits
from dagbook.policy.platform import Wanted
from dagbook.policy.regexes import regex_fault
from dagbook.policy.request import Loc, Objection
from dagbook.policy.size_judges import judge_bounds, judge_run_time, judge_size, judge_team_of_size
from dagbook.policy.tracking_judges import judge_tracking, judge_tracking_login
from dagbook.policy.units import seconds_text


def judge_metadata(case: Case) -> Iterator[Objection]:
    """What has to be said about a notebook is said."""
    if not case.is_component:
        return
    for wanted in case.platform.rules.required_metadata:
        loc: Loc = tuple(wanted.key.split(".", 1))
        value: Any = case.request.attributes
        for part in loc:
            value = value.get(part) if isinstance(value, Mapping) else None
        why = _metadata_fault(wanted, value)
        if why is not None:
            rule = f"rules.required_metadata.{wanted.key}"
            yield case.object(rule, loc, value, why, _wanted_form(wanted))


def _metadata_fault(wanted: Wanted, value: Any) -> str | None:
    items = list(value) if isinstance(value, list | tuple) else [value]
    texts = [str(item).strip() for item in items if item is not None and item is not False]
    if not any(texts):
        return f"`{wanted.key}` is missing: every component has to give it"
    if wanted.pattern is None:
        return None
    for text in texts:
        fault = regex_fault(wanted.pattern, text)
        if fault is not None:
            return f"`{wanted.key}` is {fault}"
    return None


def _wanted_form(wanted: Wanted) -> str:
    if wanted.help is not None:
        return wanted.help
    return "" if wanted.pattern is None else f"text that fits {wanted.pattern}"


def judge_key(case: Case) -> Iterator[Objection]:
    """The asset is called as the platform wants it."""
    key = case.request.asset
    if key is None:
        return
    for pattern in case.platform.rules.key_patterns:
        if regex_fault(pattern, key) is not None:
            why = f"the asset's key {key!r} is not of the form that keys have here"
            yield case.object("rules.key_pattern", ("key",), key, why, f"keys that fit {pattern}")


def judge_interval(case: Case) -> Iterator[Objection]:
    """The schedule does not come due too often."""
    shortest = case.request.shortest_interval_seconds
    least = case.platform.rules.minimum_schedule_interval_seconds
    if shortest is None or shortest >= least:
        return
    found = case.attribute("schedule.cron")
    loc, value = found if found is not None else (("schedule",), None)
    why = f"the schedule comes due every {seconds_text(shortest)}, which is too often"
    allowed = f"every {seconds_text(least)} or less often"
    yield case.object("rules.minimum_schedule_interval", loc, value, why, allowed)


def judge_kernel(case: Case) -> Iterator[Objection]:
    """The kernel is one of those that are allowed."""
    kernel, kernels = case.request.kernel, case.platform.rules.kernels
    if kernel is None or kernels is None or kernel in kernels:
        return
    loc = ("kernel",) if case.attribute("kernel") is not None else ("notebook",)
    why = f"the kernel {kernel!r} is not allowed"
    yield case.object("rules.kernels", loc, kernel, why, ", ".join(sorted(kernels)))


def judge_folder(case: Case) -> Iterator[Objection]:
    """The notebook lies where notebooks of components may lie."""
    notebook = case.request.notebook
    if not case.is_component:
        return
    for patterns in case.platform.rules.folders:
        if not any(fits(pattern, notebook) for pattern in patterns):
            why = f"{notebook} lies where notebooks of components may not"
            yield case.object("rules.folders", ("notebook",), notebook, why, ", ".join(patterns))


def judge_type(case: Case) -> Iterator[Objection]:
    """The component is one of those that are allowed."""
    wanted, types = case.request.component_type, case.platform.rules.component_types
    if wanted is None or types is None or wanted in types:
        return
    why = f"the component type {wanted} is not allowed"
    yield case.object("rules.component_types", (), wanted, why, ", ".join(sorted(types)))


def judge_checks(case: Case) -> Iterator[Objection]:
    """The notebook has the checks that every notebook has to have."""
    checks = case.request.checks
    if checks is None:
        return
    missing = [name for name in case.platform.rules.required_checks if name not in checks]
    if missing:
        names = ", ".join(f"`{name}`" for name in missing)
        why = f"the notebook lacks the check{'s' if len(missing) > 1 else ''} {names}"
        yield case.object("rules.required_checks", ("notebook",), list(checks), why)


def judge_retries(case: Case) -> Iterator[Objection]:
    """It is not tried again too often."""
    most, found = case.platform.rules.maximum_retries, case.attribute("retries.max")
    if most is None:
        return
    if found is None:
        # `retries: {on: [error]}` means one more try.
        asked = case.attribute("retries")
        found = (("retries",), 1) if asked is not None and asked[1] is not False else None
    if found is None or isinstance(found[1], bool) or not isinstance(found[1], int | float):
        return
    if found[1] > most:
        why = f"{found[1]:g} retries are too many"
        yield case.object("rules.maximum_retries", found[0], found[1], why, f"at most {most}")


def judge_trial(case: Case) -> Iterator[Objection]:
    """A schedule launches only what has run well before."""
    if not (case.platform.rules.require_trial and case.request.scheduled):
        return
    if case.request.tried is False:
        why = (
            f"{case.request.notebook} has not yet run well as it is now: run it once by hand, "
            "after that its schedule may"
        )
        yield case.object("rules.require_trial", ("schedule",), False, why)


#: In the order in which their objections are shown.
JUDGES: tuple[Callable[[Case], Iterator[Objection]], ...] = (
    judge_size,
    judge_team_of_size,
    judge_run_time,
    judge_max_cost,
    judge_bounds,
    judge_metadata,
    judge_key,
    judge_interval,
    judge_kernel,
    judge_folder,
    judge_type,
    judge_checks,
    judge_retries,
    judge_trial,
    judge_tracking,
    judge_resources,
    judge_tracking_login,
)
