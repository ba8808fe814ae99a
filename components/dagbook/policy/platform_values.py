"""From what a platform file says, key by key, to the platform: what belongs together is checked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dagbook.errors import did_you_mean
from dagbook.policy.connection_values import (
    build_connections,
    build_kernel_rules,
    build_providers,
    build_resources,
    connection_contradictions,
)
from dagbook.policy.file_kinds import WRONG, Loc, Reading, dotted
from dagbook.policy.platform import (
    Approval,
    Bound,
    Budget,
    Budgets,
    OutputRule,
    Platform,
    Rules,
    Team,
    Tracking,
    Wanted,
)
from dagbook.policy.sizes import BUILT_IN_SIZES, DEFAULT_SIZE, Size

_NONE: Mapping[str, Any] = MappingProxyType({})


def check_together(tree: Mapping[str, Any], reading: Reading) -> None:
    """Note what is wrong with values that are each right by themselves."""
    for loc, text in _contradictions(_without_wrong(tree), reading):
        reading.wrong_at(loc, text)


def _without_wrong(value: Any) -> Any:
    # List items that are wrong stay, empty, so that the others keep their numbers.
    if isinstance(value, dict):
        return {key: _without_wrong(item) for key, item in value.items() if item is not WRONG}
    if isinstance(value, list):
        return [None if item is WRONG else _without_wrong(item) for item in value]
    return value


def _contradictions(tree: Mapping[str, Any], reading: Reading) -> Iterator[tuple[Loc, str]]:
    sizes = tree.get("compute_sizes", _NONE)
    yield from _about_sizes(sizes)
    yield from _about_teams(tree, sizes, reading)
    yield from _about_budgets(tree, sizes, reading)
    yield from connection_contradictions(tree, reading)
    for number, approval in enumerate(tree.get("approvals", ())):
        wanted = (approval or _NONE).get("size")
        # Without sizes of its own the file may mean those of a package.
        if sizes and wanted is not None and wanted not in sizes:
            words = f"{wanted!r} is no size. {did_you_mean(wanted, sizes)}"
            yield ("approvals", number, "size"), words
    outputs = tree.get("output_limits", _NONE)
    per_cell, per_notebook = outputs.get("per_cell"), outputs.get("per_notebook")
    if per_cell is not None and per_notebook is not None and per_cell > per_notebook:
        yield ("output_limits", "per_cell"), "is more than `per_notebook`"
    for name, bound in tree.get("bounds", _NONE).items():
        given = tree.get("defaults", _NONE).get(name)
        least, most = bound.get("minimum"), bound.get("maximum")
        if given is None:
            continue
        if (least is not None and given < least) or (most is not None and given > most):
            yield ("defaults", name), f"{given:g} lies outside `bounds.{name}`"


def _about_sizes(sizes: Mapping[str, Any]) -> Iterator[tuple[Loc, str]]:
    defaults = [name for name, size in sizes.items() if size.get("default")]
    for other in defaults[1:]:
        words = f"{defaults[0]!r} is the default already: only one can be"
        yield ("compute_sizes", other, "default"), words


def _about_teams(
    tree: Mapping[str, Any], sizes: Mapping[str, Any], reading: Reading
) -> Iterator[tuple[Loc, str]]:
    entries = [entry or _NONE for entry in tree.get("teams", ())]
    first: dict[str, int] = {}
    for number, entry in enumerate(entries):
        folder = entry.get("folder")
        if folder in first:
            words = f"{folder!r} never comes here: `teams.{first[folder]}` has it first"
            yield ("teams", number, "folder"), words
        elif folder is not None:
            first[folder] = number
    if reading.in_package:
        # Which folders are whose, the project says.
        return
    known = {entry["team"] for entry in entries if "team" in entry}
    for name, size in sizes.items():
        for number, team in enumerate(size.get("teams", ())):
            if team is not None and team not in known:
                yield ("compute_sizes", name, "teams", number), _no_team(team, known)
    for name, connection in tree.get("connections", _NONE).items():
        for number, team in enumerate(connection.get("teams", ())):
            if team is not None and team not in known:
                yield ("connections", name, "teams", number), _no_team(team, known)
    for team in tree.get("budgets", _NONE).get("per_team", _NONE):
        if team != "*" and team not in known:
            yield ("budgets", "per_team", team), _no_team(team, known)


def _no_team(team: str, known: set[str]) -> str:
    if not known:
        return f"{team!r} is no team: `teams` says whose notebooks lie where, and names none"
    return f"{team!r} is no team that `teams` names. {did_you_mean(team, known)}"


def _about_budgets(
    tree: Mapping[str, Any], sizes: Mapping[str, Any], reading: Reading
) -> Iterator[tuple[Loc, str]]:
    budgets = tree.get("budgets", _NONE)
    places: list[tuple[Loc, Mapping[str, Any]]] = []
    if "per_run" in budgets:
        places.append((("budgets", "per_run"), budgets["per_run"]))
    for team, budget in budgets.get("per_team", _NONE).items():
        places.append((("budgets", "per_team", team), budget))
    for loc, budget in places:
        warn, stop = budget.get("warn_at"), budget.get("stop_at")
        if warn is not None and stop is not None and warn > stop:
            yield (*loc, "warn_at"), f"{warn:g} is more than `stop_at`: it would never be said"
    if not sizes:
        # They may come with their prices from a package.
        return
    priced = any("price_per_hour" in size for size in sizes.values())
    # A price that cannot be read is a fault of its own.
    if priced or any(problem.key.endswith("price_per_hour") for problem in reading.problems):
        return
    why = "needs a `price_per_hour` of some size: without one nothing is ever spent"
    if places:
        yield ("budgets",), why
    for number, approval in enumerate(tree.get("approvals", ())):
        if (approval or _NONE).get("budget") is not None:
            yield ("approvals", number, "budget"), why


def build_platform(
    tree: Mapping[str, Any], reading: Reading, *, version: str, file: Path
) -> Platform:
    """Make the platform of values in which nothing is wrong."""
    sizes = {n: _size(n, values) for n, values in tree.get("compute_sizes", _NONE).items()}
    default = next((n for n, s in tree.get("compute_sizes", _NONE).items() if s.get("default")), "")
    rules = tree.get("rules", _NONE)
    budgets = tree.get("budgets", _NONE)
    tracking = tree.get("tracking", _NONE)
    return Platform(
        version=version,
        file=file,
        contact=tree.get("contact"),
        currency=tree.get("currency", "USD"),
        sizes=MappingProxyType(sizes or BUILT_IN_SIZES),
        default_size=default or next(iter(sizes), DEFAULT_SIZE),
        teams=_teams(tree.get("teams", ())),
        rules=_rules(rules),
        budgets=Budgets(
            per_run=Budget(**budgets.get("per_run", _NONE)),
            per_team=MappingProxyType(
                {name: Budget(**b) for name, b in budgets.get("per_team", _NONE).items()}
            ),
        ),
        approvals=tuple(Approval(**approval) for approval in tree.get("approvals", ())),
        outputs=OutputRule(**tree.get("output_limits", _NONE)),
        tracking=Tracking(
            tracking_uri=tracking.get("tracking_uri"),
            allowed_uris=_group(tracking.get("allowed_uris"), tracking.get("tracking_uri")),
            experiment_prefix=tracking.get("experiment_prefix", ""),
            connection=tracking.get("connection"),
        ),
        connections=build_connections(tree),
        resources=build_resources(tree),
        providers=build_providers(tree),
        kernels=build_kernel_rules(tree),
        defaults=MappingProxyType(dict(tree.get("defaults", _NONE))),
        bounds=MappingProxyType({n: Bound(**b) for n, b in tree.get("bounds", _NONE).items()}),
        places=MappingProxyType({dotted(loc): line for loc, (line, _) in reading.places.items()}),
    )


def _size(name: str, values: Mapping[str, Any]) -> Size:
    teams = values.get("teams")
    given = {k: values[k] for k in ("gpus", "grace_seconds", "price_per_hour", "description")
             if k in values}  # fmt: skip
    return Size(
        name,
        cpus=values["cpus"],
        memory_bytes=values["memory"],
        max_runtime_seconds=values["max_run_time"],
        teams=None if teams is None else frozenset(teams),
        **given,
    )


def _teams(entries: Any) -> tuple[Team, ...]:
    contacts: dict[str, str] = {}
    for entry in entries:
        if "contact" in entry:
            contacts.setdefault(entry["team"], entry["contact"])
    # Whom a team asks is the same wherever its notebooks lie.
    return tuple(
        Team(e["folder"], e["team"], e.get("contact", contacts.get(e["team"]))) for e in entries
    )


def _rules(rules: Mapping[str, Any]) -> Rules:
    def names(key: str) -> frozenset[str]:
        return frozenset(rules.get(key, ()))

    return Rules(
        required_metadata=tuple(
            Wanted(key, **wanted) for key, wanted in rules.get("required_metadata", _NONE).items()
        ),
        key_patterns=(rules["key_pattern"],) if "key_pattern" in rules else (),
        minimum_schedule_interval_seconds=rules.get("minimum_schedule_interval", 0.0),
        kernels=names("kernels") or None,
        folders=_group(rules.get("folders")),
        component_types=names("component_types") or None,
        required_checks=tuple(rules.get("required_checks", ())),
        maximum_retries=rules.get("maximum_retries"),
        require_trial=rules.get("require_trial", False),
        environment=names("environment"),
        template_names=names("template_names"),
        template_vars_modules=names("template_vars_modules"),
        post_processing=rules.get("post_processing", False),
        python_below_defs=rules.get("python_below_defs", True),
    )


def _group(patterns: Any, also: str | None = None) -> tuple[tuple[str, ...], ...]:
    if not patterns:
        return ()
    return ((*patterns, also),) if also is not None and also not in patterns else (tuple(patterns),)
