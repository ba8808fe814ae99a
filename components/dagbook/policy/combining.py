"""One platform from two: the project's own and that of a company package. The stricter wins."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from dagbook.errors import DagbookError
from dagbook.policy.combining_connections import (
    combine_connections,
    combine_kernel_rules,
    combine_providers,
    combine_resources,
)
from dagbook.policy.listing import rows_of
from dagbook.policy.platform import (
    BUILT_IN_PLATFORM,
    Bound,
    Budget,
    Budgets,
    OutputRule,
    Platform,
    Rules,
    Tracking,
)
from dagbook.policy.sizes import Size

_T = TypeVar("_T")


def combine(project: Platform, package: Platform) -> Platform:
    """What holds where both a project and a package of its components say something.

    Neither loosens the other: of two limits the smaller holds, of two lists what stands in both,
    and a rule of either is a rule. What only one of them says holds as it says it. What is no
    limit (contact, defaults, where runs are recorded) is taken from the project first, and
    exceptions and what component files may hold from the project alone.

    Raises:
        DagbookError: the two leave nothing that could be allowed.
    """
    if package is BUILT_IN_PLATFORM:
        return project
    sizes, default_size = _sizes(project, package)
    both = Platform(
        version=_version(project, package),
        file=project.file,
        contact=project.contact or package.contact,
        currency=_currency(project, package),
        sizes=MappingProxyType(dict(sizes)),
        default_size=default_size,
        teams=project.teams + package.teams,
        rules=_rules(project.rules, package.rules),
        budgets=_budgets(project.budgets, package.budgets),
        approvals=project.approvals,
        outputs=OutputRule(
            _either(min, project.outputs.per_cell, package.outputs.per_cell),
            _either(min, project.outputs.per_notebook, package.outputs.per_notebook),
        ),
        tracking=_tracking(project.tracking, package.tracking),
        connections=combine_connections(project.connections, package.connections),
        resources=combine_resources(project.resources, package.resources),
        providers=combine_providers(project.providers, package.providers),
        kernels=combine_kernel_rules(project.kernels, package.kernels),
        defaults=MappingProxyType({**package.defaults, **project.defaults}),
        bounds=MappingProxyType(dict(_bounds(project, package))),
        places=project.places,
    )
    return _with_origins(both, project, package)


def _either(stricter: Callable[[_T, _T], _T], a: _T | None, b: _T | None) -> _T | None:
    if a is None or b is None:
        return b if a is None else a
    return stricter(a, b)


def _version(project: Platform, package: Platform) -> str:
    if project is BUILT_IN_PLATFORM:
        return package.version
    both = f"{project.version} {package.version}"
    return hashlib.sha256(both.encode()).hexdigest()[:12]


def _with_origins(both: Platform, project: Platform, package: Platform) -> Platform:
    """The same platform, knowing for each key which of the two files has its way."""
    ours = {key: project.origin_of(key) for key in (*project.places, *project.origins)}
    theirs = {
        _renumbered(key, len(project.teams)): package.origin_of(key)
        for key in (*package.places, *package.origins)
    }
    in_both = ours.keys() & theirs.keys()
    values, of_project = _values(both), _values(project)
    of_package = _values(package)
    origins: dict[str, str] = {}
    for key, origin in {**theirs, **ours}.items():
        if key not in in_both or values.get(key) == of_project.get(key):
            origins[key] = str(origin)
        elif values.get(key) == of_package.get(key):
            origins[key] = str(theirs[key])
        else:
            origins[key] = f"{ours[key]} and {theirs[key]}"
    return replace(both, origins=MappingProxyType(origins))


def _renumbered(key: str, teams: int) -> str:
    # The package's teams stand behind the project's.
    first, _, rest = key.partition(".")
    number, _, rest = rest.partition(".")
    if first != "teams" or not number:
        return key
    return ".".join(part for part in (first, str(int(number) + teams), rest) if part)


def _values(platform: Platform) -> dict[str, object]:
    return {row.key: row.value for row in rows_of(platform)}


def _gives(platform: Platform, key: str) -> bool:
    return platform.origin_of(key) is not None


def _currency(project: Platform, package: Platform) -> str:
    ours, theirs = _gives(project, "currency"), _gives(package, "currency")
    spends = project.has_prices and package.has_prices
    if spends and project.currency != package.currency:
        raise DagbookError(
            f"the project's platform file counts in {project.currency}, that of a component's "
            f"package in {package.currency}: both have to name the same `currency`"
        )
    return package.currency if theirs and not ours else project.currency


def _sizes(project: Platform, package: Platform) -> tuple[Mapping[str, Size], str]:
    if not _gives(package, "compute_sizes"):
        return project.sizes, project.default_size
    if not _gives(project, "compute_sizes"):
        return package.sizes, package.default_size
    names = [name for name in project.sizes if name in package.sizes]
    if not names:
        raise DagbookError(
            "the project's platform file and that of a component's package have no compute size in "
            f"common: the one has {', '.join(project.sizes)}, the other {', '.join(package.sizes)}"
        )
    both = {name: _smaller(project.sizes[name], package.sizes[name]) for name in names}
    wanted = (project.default_size, package.default_size, names[0])
    return both, next(name for name in wanted if name in both)


def _smaller(a: Size, b: Size) -> Size:
    return replace(
        a,
        cpus=min(a.cpus, b.cpus),
        memory_bytes=min(a.memory_bytes, b.memory_bytes),
        max_runtime_seconds=min(a.max_runtime_seconds, b.max_runtime_seconds),
        gpus=min(a.gpus, b.gpus),
        grace_seconds=min(a.grace_seconds, b.grace_seconds),
        # Of two prices the higher one, so that no budget lasts longer.
        price_per_hour=_either(max, a.price_per_hour, b.price_per_hour),
        description=a.description or b.description,
        teams=_either(frozenset.intersection, a.teams, b.teams),
    )


def _rules(a: Rules, b: Rules) -> Rules:
    return replace(
        # What component files may hold is screened before any package is known.
        a,
        required_metadata=_joined(a.required_metadata, b.required_metadata),
        key_patterns=_joined(a.key_patterns, b.key_patterns),
        minimum_schedule_interval_seconds=max(
            a.minimum_schedule_interval_seconds, b.minimum_schedule_interval_seconds
        ),
        kernels=_either(frozenset.intersection, a.kernels, b.kernels),
        folders=_joined(a.folders, b.folders),
        required_checks=_joined(a.required_checks, b.required_checks),
        maximum_retries=_either(min, a.maximum_retries, b.maximum_retries),
        require_trial=a.require_trial or b.require_trial,
    )


def _joined(a: tuple[_T, ...], b: tuple[_T, ...]) -> tuple[_T, ...]:
    return (*a, *(item for item in b if item not in a))


def _budget(a: Budget, b: Budget) -> Budget:
    return Budget(_either(min, a.warn_at, b.warn_at), _either(min, a.stop_at, b.stop_at))


def _budgets(a: Budgets, b: Budgets) -> Budgets:
    teams = {
        team: _budget(a.of_team(team), b.of_team(team))
        for team in dict.fromkeys((*a.per_team, *b.per_team))
    }
    return Budgets(_budget(a.per_run, b.per_run), MappingProxyType(teams))


def _tracking(a: Tracking, b: Tracking) -> Tracking:
    return Tracking(
        tracking_uri=a.tracking_uri or b.tracking_uri,
        allowed_uris=_joined(a.allowed_uris, b.allowed_uris),
        experiment_prefix=a.experiment_prefix or b.experiment_prefix,
        connection=a.connection or b.connection,
    )


def _bounds(project: Platform, package: Platform) -> Iterator[tuple[str, Bound]]:
    for name in dict.fromkeys((*project.bounds, *package.bounds)):
        a, b = project.bounds.get(name, Bound()), package.bounds.get(name, Bound())
        least, most = _either(max, a.minimum, b.minimum), _either(min, a.maximum, b.maximum)
        if least is not None and most is not None and least > most:
            raise DagbookError(
                f"the project's platform file and that of a component's package leave nothing for "
                f"`{name}`: at least {least:g} and at most {most:g}"
            )
        yield name, Bound(least, most)
