"""May a notebook use the connections and plain values that its component names?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta

from dagbook.errors import did_you_mean
from dagbook.policy.connections import TRACKING_KEY, Connection, Resource
from dagbook.policy.credential_texts import looks_like_credential
from dagbook.policy.objections import Case, shown
from dagbook.policy.path_patterns import fits
from dagbook.policy.plain_values import fits_value
from dagbook.policy.platform import BUILT_IN
from dagbook.policy.presence import PLATFORM_FILE_NAME
from dagbook.policy.request import Loc, Objection

#: The attribute of a component that names them, and the rule that says which keys it has.
ATTRIBUTE = "resources"
#: Stands for a value that must not be shown.
NOT_SHOWN = "(not shown)"
#: So long before its end a connection is worth a word.
_ENDS_SOON = timedelta(days=7)


def resources_asked_for(case: Case) -> Mapping[str, object]:
    """What stands under ``resources:``, by key."""
    found = case.request.attributes.get(ATTRIBUTE)
    return found if isinstance(found, Mapping) else {}


def judge_resources(case: Case) -> Iterator[Objection]:
    """Each connection and plain value is one that the notebook may use."""
    setters: dict[str, str] = {}
    for key, name in resources_asked_for(case).items():
        objection = _objection_to(case, str(key), name)
        if objection is None:
            objection = _objection_beside(case, str(key), str(name), setters)
        if objection is not None:
            yield objection


def why_not_usable(case: Case, connection: Connection) -> tuple[str, str] | None:
    """By which of its keys a notebook may not use a connection, and why; None when it may."""
    gone = why_it_ended(case, connection)
    if gone is not None:
        return gone
    notebook, here = case.request.notebook, case.request.environment
    teams = connection.teams
    if teams is not None and (case.team is None or case.team.team not in teams):
        of = f"the team {case.team.team}" if case.team is not None else "no team"
        return "teams", f"is for {_said_teams(teams)}, and {notebook} is of {of}"
    folders = connection.folders
    if folders and not any(fits(pattern, notebook) for pattern in folders):
        return "folders", f"is for notebooks in {', '.join(folders)}, and not for {notebook}"
    environments = connection.environments
    if environments is not None and here is not None and here not in environments:
        names = ", ".join(sorted(environments)) or "none"
        return "environments", f"is for the environment {names}, and this one is {shown(here)}"
    return None


def why_it_ended(case: Case, connection: Connection) -> tuple[str, str] | None:
    """By which of its keys nobody may use a connection any more; None when it holds."""
    if connection.revoked is not None:
        return "revoked", f"is revoked: {connection.revoked}"
    if connection.expires is not None and case.today > connection.expires:
        return "expires", f"expired on {connection.expires}"
    return None


def connections_for(case: Case, resource: Resource) -> list[Connection]:
    """The connections that may stand under a key, whoever may use them, in the file's order."""
    return [
        connection
        for name, connection in case.platform.connections.items()
        if resource.connections is None or name in resource.connections
    ]


def is_plain_value(resource: Resource, value: str) -> bool:
    """Whether a value is one of the plain ones that may stand under a key."""
    return any(fits_value(pattern, value) for pattern in resource.values)


def connection_warnings(case: Case) -> Iterator[str]:
    """What is allowed and still worth a word: connections that end soon."""
    own = case.platform.tracking.connection if case.is_component else None
    names = [*map(str, resources_asked_for(case).values()), *([own] if own is not None else [])]
    for name in dict.fromkeys(names):
        connection = case.platform.connections.get(name)
        if connection is None or connection.expires is None:
            continue
        if timedelta(0) <= connection.expires - case.today <= _ENDS_SOON:
            yield f"the connection {name!r} expires on {connection.expires}"


def _objection_to(case: Case, key: str, name: object) -> Objection | None:
    loc: Loc = (ATTRIBUTE, key)
    if not isinstance(name, str):
        why = f"the name of a connection is wanted under `{shown(key)}`"
        return case.object(ATTRIBUTE, loc, NOT_SHOWN, why)
    if looks_like_credential(name):
        why = (
            f"what stands under `{shown(key)}` looks like a credential: name a connection there, "
            "and have this credential changed, which others may have read by now"
        )
        return case.object(ATTRIBUTE, loc, NOT_SHOWN, why)
    resource = case.platform.resources.get(key)
    if resource is None:
        return case.object(ATTRIBUTE, loc, name, _unknown_key(case, key))
    rule, allowed = f"{ATTRIBUTE}.{key}", _allowed(case, resource)
    connection = case.platform.connections.get(name)
    if connection is None:
        return _objection_to_value(case, resource, name)
    if resource.connections is not None and name not in resource.connections:
        why = f"the connection {name!r} may not stand under `{key}`"
        return case.object(rule, loc, name, why, allowed)
    found = why_not_usable(case, connection)
    if found is None:
        return None
    why = f"the connection {name!r} {found[1]}"
    return case.object(f"connections.{name}.{found[0]}", loc, name, why, allowed)


def _objection_to_value(case: Case, resource: Resource, value: str) -> Objection | None:
    loc: Loc = (ATTRIBUTE, resource.key)
    if is_plain_value(resource, value):
        found = case.attribute("experiment.tracking_uri")
        if resource.key != TRACKING_KEY or found is None or str(found[1]) == value:
            return None
        why = f"{shown(value)!r} is another server than `experiment.tracking_uri`: name one of them"
        return case.object(f"{ATTRIBUTE}.{resource.key}", loc, value, why)
    rule = f"{ATTRIBUTE}.{resource.key}"
    if resource.values:
        why = f"{shown(value)!r} may not stand under `{resource.key}`"
        return case.object(rule, loc, value, why, _allowed(case, resource))
    known = [connection.name for connection in connections_for(case, resource)]
    usable = _usable(case, resource) or known
    nearest = f". {did_you_mean(value, usable)}" if usable else ""
    return case.object(rule, loc, value, f"there is no connection {shown(value)!r}{nearest}")


def _objection_beside(case: Case, key: str, name: str, setters: dict[str, str]) -> Objection | None:
    """A notebook's variable holds one value, so of two that set it neither is meant."""
    for variable in _variables_of(case, key, name):
        other = setters.setdefault(variable, name)
        if other != name:
            why = f"{shown(other)!r} and {shown(name)!r} both set `{variable}`: take one of them"
            return case.object(f"{ATTRIBUTE}.{key}", (ATTRIBUTE, key), name, why)
    return None


def _variables_of(case: Case, key: str, name: str) -> tuple[str, ...]:
    connection = case.platform.connections.get(name)
    if connection is not None:
        return connection.names
    return (case.platform.resources[key].plain_variable,)


def _unknown_key(case: Case, key: str) -> str:
    known = case.platform.resources
    if known:
        return f"`{shown(key)}` is no resource here. {did_you_mean(key, known)}"
    if case.platform.version == BUILT_IN:
        return (
            f"`{shown(key)}` is not known here: connections come from the platform team, in "
            f"{PLATFORM_FILE_NAME}, and this project has none"
        )
    return f"`{shown(key)}` is not known here: the platform file names no `{ATTRIBUTE}`"


def _usable(case: Case, resource: Resource) -> list[str]:
    found = connections_for(case, resource)
    return [c.name for c in found if why_not_usable(case, c) is None]


def _allowed(case: Case, resource: Resource) -> str:
    return ", ".join((*_usable(case, resource), *resource.values))


def _said_teams(teams: frozenset[str]) -> str:
    names = sorted(teams)
    if not names:
        return "nobody"  # a project and a package name no team in common
    return f"the team {names[0]}" if len(names) == 1 else f"the teams {', '.join(names)}"
