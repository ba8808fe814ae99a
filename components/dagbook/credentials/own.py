"""Resolves connections from what a researcher has themselves, for kernels on their own account.

Of each connection, what is set in their environment comes before what they keep, and both before
what the platform's providers give. Runs that Dagster launches ask the providers alone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from dagbook.credentials.delivery import NOTHING, TRACKING_PREFIX, Delivery
from dagbook.credentials.fetching import fetch
from dagbook.credentials.handing_over import hand_over
from dagbook.credentials.kept import kept_values
from dagbook.credentials.private_file import read_private
from dagbook.credentials.provider import Fetched, ProviderDown
from dagbook.credentials.secret_parts import is_public
from dagbook.errors import DagbookError
from dagbook.policy.connections import Connection, Entitlement
from dagbook.policy.platform import Platform


@dataclass(frozen=True)
class Lacking:
    """A connection of which a researcher does not have everything themselves."""

    connection: str
    variables: tuple[str, ...]

    def __str__(self) -> str:
        names = ", ".join(f"`{name}`" for name in self.variables)
        return (
            f"connection `{self.connection}`: {names} {'is' if len(self.variables) == 1 else 'are'} "
            f"neither set here nor kept: `dagbook platform keep {self.connection}`"
        )


def own_delivery(
    entitlement: Entitlement, project_root: Path, environment: Mapping[str, str] = os.environ
) -> Delivery:
    """Everything a run is given, of what its researcher has themselves.

    Args:
        entitlement: what the notebook may have.
        project_root: the project, for what is kept.
        environment: the researcher's own.

    Raises:
        DagbookError: a connection lacks something; the text says what, and how to give it.
    """
    found, lacking = _own(entitlement, project_root, environment)
    if lacking:
        raise DagbookError("; ".join(map(str, lacking)))
    return together([_plain(entitlement), *found])


def trial_delivery(
    entitlement: Entitlement,
    platform: Platform,
    project_root: Path,
    environment: Mapping[str, str] = os.environ,
) -> Delivery:
    """Everything a trial on a researcher's own machine is given.

    A connection that they have whole themselves is their own; any other is fetched from the
    platform's providers, as production does.

    Raises:
        ProviderDown: a provider does not answer; the text says how to do without it.
        DagbookError: there is no way to a connection.
    """
    if not entitlement.connections and not entitlement.values:
        return NOTHING
    found, lacking = _own(entitlement, project_root, environment)
    missing = {each.connection for each in lacking}
    rest = {k: c for k, c in entitlement.connections.items() if c.name in missing}
    if not rest:
        return together([_plain(entitlement), *found])
    try:
        fetched = fetch(Entitlement(rest), platform, environment)
    except DagbookError as error:
        kind = ProviderDown if isinstance(error, ProviderDown) else DagbookError
        # The platform gives the others.
        failed = [each for each in lacking if f"connection `{each.connection}`" in str(error)]
        raise kind(f"{error}; or give your own: {'; '.join(map(str, failed or lacking))}") from None
    return together([_plain(entitlement), *found, fetched])


def not_own(
    entitlement: Entitlement, project_root: Path, environment: Mapping[str, str] = os.environ
) -> frozenset[str]:
    """The keys of those connections that a researcher has not whole themselves.

    Raises:
        DagbookError: what is kept cannot be used.
    """
    _, missing = _own(entitlement, project_root, environment)
    names = {each.connection for each in missing}
    return frozenset(key for key, c in entitlement.connections.items() if c.name in names)


def lacking(
    connection: Connection, kept: Mapping[str, str], environment: Mapping[str, str] = os.environ
) -> Lacking | None:
    """What somebody has to give of a connection before it is theirs; None when that is nothing."""
    names = [*connection.variables, *(file.variable for file in connection.files)]
    missing = tuple(name for name in names if not (environment.get(name) or kept.get(name)))
    return Lacking(connection.name, missing) if missing else None


def public_variables(connection: Connection) -> frozenset[str]:
    """The variables of a connection that are no secret: a user's name, a region."""

    def is_open(field: str | None) -> bool:
        if field is None:
            return False
        listed = connection.public_fields
        return is_public(field) if listed is None else field in listed

    return frozenset(name for name, field in connection.variables.items() if is_open(field))


def together(deliveries: list[Delivery]) -> Delivery:
    """Several deliveries as one, which is renewed as the first of them ends.

    Raises:
        DagbookError: two give different values in one variable.
    """
    environment: dict[str, str] = {}
    giver: dict[str, str] = {}
    for delivery in deliveries:
        by = ", ".join(f"`{name}`" for name in delivery.connections) or "`resources`"
        for name, value in delivery.environment.items():
            if environment.get(name, value) != value:
                raise _twice(name, giver[name], by)
            environment[name] = value
            giver.setdefault(name, by)
        for file in delivery.files:
            if file.variable in giver:
                raise _twice(file.variable, giver[file.variable], by)
            giver[file.variable] = by
    ends = [each.expires_at for each in deliveries if each.expires_at is not None]

    def renewed() -> Delivery:
        return together([each if each.renew is None else each.renew() for each in deliveries])

    return Delivery(
        environment=environment,
        files=tuple(file for each in deliveries for file in each.files),
        tracking={n: v for each in deliveries for n, v in each.tracking.items()},
        secrets=tuple({s.value: s for each in deliveries for s in each.secrets}.values()),
        connections=tuple(dict.fromkeys(n for each in deliveries for n in each.connections)),
        expires_at=min(ends, default=None),
        renew=renewed if any(each.renew is not None for each in deliveries) else None,
    )


def _own(
    entitlement: Entitlement, project_root: Path, environment: Mapping[str, str]
) -> tuple[list[Delivery], list[Lacking]]:
    connections = {c.name: c for c in entitlement.connections.values()}
    if not connections:
        return [], []
    kept = kept_values(project_root)
    found, missing = [], []
    for name, connection in connections.items():
        own = kept.get(name, {})
        lacks = lacking(connection, own, environment)
        if lacks is not None:
            missing.append(lacks)
        else:
            found.append(_delivered(connection, own, environment))
    return found, missing


def _delivered(
    connection: Connection, kept: Mapping[str, str], environment: Mapping[str, str]
) -> Delivery:
    whole: str | bytes | None = None
    fields: dict[str, object] = {}
    for name, field, value in _values(connection, kept, environment):
        if field is None:
            if whole is not None and whole != value:
                raise _not_one(connection, name)
            whole = value
            continue
        if isinstance(value, bytes):
            raise DagbookError(
                f"connection `{connection.name}`: the file of `{name}` is no text in UTF-8"
            )
        if fields.get(field, value) != value:
            raise _not_one(connection, name)
        fields[field] = value
    if fields:
        shown = whole.decode("utf-8", "replace") if isinstance(whole, bytes) else whole
        fetched = Fetched(fields, whole=shown)
    else:
        fetched = Fetched({} if whole is None else whole)
    handed = hand_over(connection, fetched)
    variables = {**connection.values, **handed.variables}
    # A host that its owner has set is meant: their database may be another than production's.
    for name in connection.values:
        variables[name] = environment.get(name) or variables[name]
    return Delivery(
        environment={n: v for n, v in variables.items() if not n.startswith(TRACKING_PREFIX)},
        files=handed.files,
        tracking={n: v for n, v in variables.items() if n.startswith(TRACKING_PREFIX)},
        secrets=handed.secrets,
        connections=(connection.name,),
    )


def _values(
    connection: Connection, kept: Mapping[str, str], environment: Mapping[str, str]
) -> Iterator[tuple[str, str | None, str | bytes]]:
    """Each variable, the field it stands for, and its value; of a file, its content."""
    for name, field in connection.variables.items():
        yield name, field, environment.get(name) or kept[name]
    for file in connection.files:
        path = environment.get(file.variable)
        if not path:
            yield file.variable, file.field, kept[file.variable]
            continue
        try:
            content = read_private(Path(path).expanduser())
        except DagbookError as error:
            raise DagbookError(
                f"connection `{connection.name}`, `{file.variable}`: {error}"
            ) from None
        try:
            yield file.variable, file.field, content.decode("utf-8")
        except UnicodeDecodeError:
            yield file.variable, file.field, content


def _plain(entitlement: Entitlement) -> Delivery:
    return replace(NOTHING, environment=dict(entitlement.values))


def _not_one(connection: Connection, name: str) -> DagbookError:
    return DagbookError(
        f"connection `{connection.name}`: `{name}` is the same as another of its variables, and "
        "has another value here"
    )


def _twice(name: str, first: str, second: str) -> DagbookError:
    return DagbookError(
        f"{first} and {second} both give `{name}`: use one of them, or have one give another "
        "variable"
    )
