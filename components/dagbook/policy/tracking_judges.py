"""Where may runs be recorded, and with whose login?"""

from __future__ import annotations

from collections.abc import Iterator

from dagbook.policy.connection_judges import NOT_SHOWN, resources_asked_for, why_it_ended
from dagbook.policy.connections import TRACKING_KEY, Connection
from dagbook.policy.credential_texts import looks_like_credential
from dagbook.policy.hosts import is_bound_to
from dagbook.policy.objections import Case, shown
from dagbook.policy.path_patterns import matches
from dagbook.policy.platform import BUILT_IN
from dagbook.policy.request import Loc, Objection

#: So an address begins that a login could be sent to; others are files.
_SERVERS = ("http://", "https://")


def judge_tracking(case: Case) -> Iterator[Objection]:
    """Runs are recorded on a server that is allowed."""
    found, groups = case.attribute("experiment.tracking_uri"), case.platform.tracking.allowed_uris
    loc: Loc = ("experiment", "tracking_uri")
    # The server of those that name none may be one file's, and those that are allowed another's.
    uri = case.platform.tracking.tracking_uri if found is None else found[1]
    if uri is None or (found is None and not case.is_component):
        return
    # Nor is it shown: what refuses it is read by others than its author.
    holds_login = looks_like_credential(str(uri))
    if holds_login and found is not None and case.platform.version != BUILT_IN:
        why = (
            "the tracking server's address holds a login: leave that out, and have the platform "
            "team give the login as `tracking.connection`"
        )
        yield case.object("tracking.connection", loc, NOT_SHOWN, why)
        return
    said = NOT_SHOWN if holds_login else uri
    for patterns in groups:
        if not any(_is_address(pattern, str(uri)) for pattern in patterns):
            why = f"runs may not be recorded at {said}"
            rule = "tracking.allowed_uris"
            yield case.object(rule, loc, said, why, ", ".join(patterns))


def judge_tracking_login(case: Case) -> Iterator[Objection]:
    """The login to the tracking server holds, and goes to no other server."""
    if not case.is_component:
        return
    key, login = _login(case)
    if login is None:
        return
    loc: Loc = ("experiment",) if case.attribute("experiment") is not None else ()
    ended = why_it_ended(case, login)
    if key == TRACKING_KEY and ended is not None and not _is_named(case, login):
        why = f"runs are recorded with the connection {login.name!r}, which {ended[1]}"
        yield case.object(f"connections.{login.name}.{ended[0]}", loc, login.name, why)
    uri = _server(case)
    if uri is None or is_bound_to(login, uri) or _goes_without(case, login, uri):
        return
    said = NOT_SHOWN if looks_like_credential(uri) else shown(uri)
    if case.attribute("experiment.tracking_uri") is not None:
        loc = ("experiment", "tracking_uri")
    why = f"the connection {login.name!r} is bound to other hosts than that of {said}"
    rule = f"connections.{login.name}.hosts"
    yield case.object(rule, loc, said, why, ", ".join(login.hosts))


def tracking_login(case: Case) -> tuple[str, Connection] | None:
    """The login that goes to the tracking server, by the key it has in an entitlement.

    A connection of the component's own goes before the platform's. None where there is no server,
    or none that the login is bound to.
    """
    key, login = _login(case)
    uri = _server(case)
    if login is None or uri is None or not is_bound_to(login, uri):
        return None
    return key, login


def tracking_warnings(case: Case) -> Iterator[str]:
    """What is allowed and still worth a word: a server that gets no login."""
    _, login = _login(case)
    uri = _server(case)
    if login is None or uri is None or is_bound_to(login, uri):
        return
    if _goes_without(case, login, uri):
        yield f"runs are recorded at {uri} without a login: {login.name!r} is bound to other hosts"


def _login(case: Case) -> tuple[str, Connection | None]:
    for key, name in resources_asked_for(case).items():
        connection = case.platform.connections.get(str(name))
        if connection is not None and connection.logs_in_to_tracking:
            return key, connection
    own = case.platform.tracking.connection
    return TRACKING_KEY, None if own is None else case.platform.connections.get(own)


def _is_named(case: Case, login: Connection) -> bool:
    return login.name in resources_asked_for(case).values()


def _goes_without(case: Case, login: Connection, uri: str) -> bool:
    """Whether the platform itself allows a server that its own login is not for."""
    groups = case.platform.tracking.allowed_uris
    return (
        not _is_named(case, login)
        and bool(groups)
        and all(any(_is_address(pattern, uri) for pattern in patterns) for patterns in groups)
    )


def _server(case: Case) -> str | None:
    found = case.attribute("experiment.tracking_uri")
    uri = case.platform.tracking.tracking_uri if found is None else str(found[1])
    return uri if uri is not None and uri.lower().startswith(_SERVERS) else None


def _is_address(pattern: str, uri: str) -> bool:
    # `https://allowed.example.com@other.example.com` leads elsewhere than it reads, and so do
    # `other.example.com?.allowed.example.com` for a pattern with a star and `/..` for a path.
    server, _, path = uri.partition("://")[2].partition("/")
    if any(mark in server for mark in "@?#\\") or ".." in path.split("/"):
        return False
    return matches(pattern, uri.removesuffix("/"))
