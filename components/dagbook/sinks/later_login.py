"""The logins of runs that are delivered later: fetched anew, for none is kept with the spool."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from dagbook.errors import DagbookError
from dagbook.policy.connections import TRACKING_KEY, Connection, Entitlement
from dagbook.policy.platform import Platform
from dagbook.sinks.login import Login
from dagbook.sinks.spool import Spool

#: The policies that hold in a project: of it alone, and with what its components' packages add.
Platforms = Callable[[], Iterable[Platform]]


@dataclass(frozen=True)
class LaterLogins:
    """What logs in for which folder of the spool, by its name; `repr` tells no value."""

    variables: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    problems: dict[str, str] = field(default_factory=dict)
    """Why there is none, which another day may mend"""


def fetch_logins(spools: Iterable[Spool], platforms: Platforms) -> LaterLogins:
    """Fetch the logins that folders of the spool wait for, each connection once.

    Nothing is read where none of them names a connection.
    """
    found, fetched = LaterLogins(), dict[str, Login | str]()
    for spool in spools:
        head = spool.head
        if head is None or head.login is None or head.tracking_uri is None:
            continue
        if head.login not in fetched:
            fetched[head.login] = _fetch(head.login, platforms)
        login = fetched[head.login]
        problem = login if isinstance(login, str) else login.problem(head.tracking_uri)
        if problem is not None:
            found.problems[spool.folder.name] = problem
        elif isinstance(login, Login):
            found.variables[spool.folder.name] = login.for_server(head.tracking_uri)
    return found


def _fetch(name: str, platforms: Platforms) -> Login | str:
    try:
        for platform in platforms():
            connection = platform.connections.get(name)
            if connection is not None:
                return _ended(connection) or _fetched(connection, platform)
    except DagbookError as error:
        return str(error)
    return f"the platform file has no connection `{name}` any more"


def _fetched(connection: Connection, platform: Platform) -> Login:
    # Of no use where nothing waits for a login.
    from dagbook.credentials.fetching import fetch

    delivery = fetch(Entitlement({TRACKING_KEY: connection}), platform)
    return Login.of(delivery.tracking, [connection])


def _ended(connection: Connection) -> str | None:
    if connection.revoked is not None:
        return f"connection `{connection.name}` is revoked: {connection.revoked}"
    if connection.expires is not None and datetime.now(UTC).date() > connection.expires:
        return f"connection `{connection.name}` expired on {connection.expires}"
    return None
