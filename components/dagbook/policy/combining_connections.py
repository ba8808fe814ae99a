"""Connections and what goes with them, where a project and a company package both speak of them.

A connection of both has to be the same thing in both, and only those may use it whom both let.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import date
from types import MappingProxyType
from typing import TypeVar

from dagbook.errors import DagbookError
from dagbook.policy.connections import Connection, KernelRules, Resource

_T = TypeVar("_T")

#: What a connection is; the rest says who may use it.
_THE_SAME = (
    "provider", "key", "options", "variables", "values", "files", "public_fields", "folders",
    "hosts",
)  # fmt: skip


def combine_connections(
    project: Mapping[str, Connection], package: Mapping[str, Connection]
) -> Mapping[str, Connection]:
    """The connections of either; of one in both the stricter limits.

    Raises:
        DagbookError: it is not the same connection in both.
    """
    both = {**package, **project}
    for name in project.keys() & package.keys():
        both[name] = _stricter(project[name], package[name])
    return MappingProxyType(both)


def combine_resources(
    project: Mapping[str, Resource], package: Mapping[str, Resource]
) -> Mapping[str, Resource]:
    """The resources of either; under one of both may stand what both allow.

    Raises:
        DagbookError: a plain value would go into two variables.
    """
    both = {**package, **project}
    for key in project.keys() & package.keys():
        a, b = project[key], package[key]
        if a.values and b.values and a.plain_variable != b.plain_variable:
            raise _two_words(f"resources.{key}.variable", a.plain_variable, b.plain_variable)
        both[key] = replace(
            a,
            connections=_in_both(a.connections, b.connections),
            values=tuple(value for value in a.values if value in b.values),
            description=a.description or b.description,
        )
    return MappingProxyType(both)


def combine_providers(
    project: Mapping[str, Mapping[str, str]], package: Mapping[str, Mapping[str, str]]
) -> Mapping[str, Mapping[str, str]]:
    """What either tells a provider.

    Raises:
        DagbookError: the two tell it different things.
    """
    both = {name: dict(told) for name, told in project.items()}
    for name, told in package.items():
        ours = both.setdefault(name, {})
        for key, text in told.items():
            if ours.setdefault(key, text) != text:
                raise _two_words(f"providers.{name}.{key}")
    return MappingProxyType({name: MappingProxyType(told) for name, told in both.items()})


def combine_kernel_rules(project: KernelRules, package: KernelRules) -> KernelRules:
    """A home of its own and a user where either wants one, and the caches that both leave.

    Raises:
        DagbookError: the two name different users.
    """
    a, b = project, package
    if a.run_as is not None and b.run_as is not None and a.run_as != b.run_as:
        raise _two_words("kernel_process.run_as", a.run_as, b.run_as)
    caches = a.shared_caches or b.shared_caches
    if a.own_home and b.own_home:
        caches = tuple(path for path in a.shared_caches if path in b.shared_caches)
    return KernelRules(a.own_home or b.own_home, caches, a.run_as or b.run_as)


def _stricter(a: Connection, b: Connection) -> Connection:
    other = list(_differences(a, b))
    if other:
        raise _two_words(f"connections.{a.name}.{other[0]}")
    ends = [day for day in (a.expires, b.expires) if day is not None]
    expires: date | None = min(ends, default=None)
    return replace(
        a,
        teams=_in_both(a.teams, b.teams),
        environments=_in_both(a.environments, b.environments),
        expires=expires,
        revoked=b.revoked if a.revoked is None else a.revoked,
        description=a.description or b.description,
    )


def _differences(a: Connection, b: Connection) -> Iterator[str]:
    yield from (name for name in _THE_SAME if getattr(a, name) != getattr(b, name))


def _in_both(a: frozenset[_T] | None, b: frozenset[_T] | None) -> frozenset[_T] | None:
    if a is None or b is None:
        return b if a is None else a
    return a & b


def _two_words(key: str, ours: str = "", theirs: str = "") -> DagbookError:
    # What a provider is told is not shown.
    values = f" ({ours} and {theirs})" if ours else ""
    return DagbookError(
        f"the project's platform file and that of a component's package say different things under "
        f"`{key}`{values}: both have to say the same, or only one of them anything"
    )
