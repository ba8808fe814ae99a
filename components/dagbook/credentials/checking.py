"""Tries connections as this deployment, for whoever wants to know before a night tells."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from dagbook.credentials.handing_over import fields_of, hand_over
from dagbook.credentials.looking_up import Answer, look_up
from dagbook.credentials.provider import Fetched, ProviderDown
from dagbook.errors import DagbookError
from dagbook.policy.connection_judges import why_it_ended
from dagbook.policy.connections import Connection
from dagbook.policy.objections import Case, one_line
from dagbook.policy.platform import Platform
from dagbook.policy.request import Request

WORKS, FAILS, DOWN = "works", "fails", "is down"
EXPIRED, REVOKED, NOT_TRIED = "expired", "revoked", "not tried"

#: What has to be mended; a connection that was revoked is as it was meant to be.
TO_MEND = frozenset({FAILS, DOWN, EXPIRED})


@dataclass(frozen=True)
class Checked:
    """What came of trying one connection."""

    connection: Connection
    state: str
    reason: str = ""
    """Why it does not work, in one line without any value"""
    fields: tuple[str, ...] = ()
    """The names of the secret's fields; none where it is one text"""
    expires_at: float | None = None
    """When it ends (Unix time): the credential by itself, or the connection by its date"""


def check_connections(
    connections: Iterable[Connection],
    platform: Platform,
    environment: Mapping[str, str],
    environment_name: str,
) -> list[Checked]:
    """Fetch each connection as a run would, and forget what came.

    One that was revoked, has expired or is for other environments is not fetched.

    Args:
        connections: which, each once.
        platform: the policy in force.
        environment: the deployment's own variables.
        environment_name: what `DAGBOOK_ENVIRONMENT` calls the deployment.
    """
    connections = list(connections)
    checked = {c.name: _without_trying(c, platform, environment_name) for c in connections}
    tried = [c for c in connections if checked[c.name] is None]
    answers = look_up(tried, platform, environment)
    return [checked[c.name] or _tried(c, answers[c.name]) for c in connections]


def _without_trying(
    connection: Connection, platform: Platform, environment_name: str
) -> Checked | None:
    ended = why_it_ended(Case(Request(notebook=""), platform, None), connection)
    if ended is not None:
        state = REVOKED if connection.revoked is not None else EXPIRED
        return Checked(connection, state, f"connection `{connection.name}` {one_line(ended[1])}")
    environments = connection.environments
    if environments is not None and environment_name not in environments:
        names = ", ".join(sorted(environments)) or "none"
        reason = (
            f"connection `{connection.name}` is for the environment {names}, and this one is "
            f"{environment_name}"
        )
        return Checked(connection, NOT_TRIED, reason, expires_at=_end(connection, None))
    return None


def _tried(connection: Connection, answer: Answer) -> Checked:
    if isinstance(answer, DagbookError):
        state = DOWN if isinstance(answer, ProviderDown) else FAILS
        return Checked(connection, state, str(answer))
    fields = tuple(map(one_line, fields_of(answer)))
    end = _end(connection, answer)
    try:
        hand_over(connection, answer)
    except DagbookError as error:
        return Checked(connection, FAILS, str(error), fields, end)
    return Checked(connection, WORKS, "", fields, end)


def _end(connection: Connection, fetched: Fetched | None) -> float | None:
    """When a connection or its credential ends, whichever is first."""
    ends = [] if fetched is None or fetched.expires_at is None else [fetched.expires_at]
    if connection.expires is not None:
        # To the end of that day.
        last = datetime.combine(connection.expires, datetime.max.time(), UTC)
        ends.append(last.timestamp())
    return min(ends, default=None)


def seconds_left(checked: Checked) -> float | None:
    """How long a connection still works, in seconds; None: nothing says when it ends."""
    return None if checked.expires_at is None else max(checked.expires_at - time.time(), 0.0)
