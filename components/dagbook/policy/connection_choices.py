"""The connections a form offers under each key: those that are not allowed too, with the reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from dagbook.policy.connection_judges import ATTRIBUTE, connections_for, judge_resources
from dagbook.policy.objections import Case
from dagbook.policy.platform import Platform
from dagbook.policy.request import Request


@dataclass(frozen=True)
class ConnectionChoice:
    """A connection as a form offers it."""

    name: str
    description: str
    variables: tuple[str, ...]
    """The environment variables a notebook sees of it"""
    allowed: bool
    reason: str
    """Why it is not allowed, in one line; empty when it is"""


def connection_choices(
    platform: Platform,
    notebook: str,
    *,
    asset: str | None = None,
    environment: str | None = None,
    moment: datetime | None = None,
) -> Mapping[str, list[ConnectionChoice]]:
    """By key of ``resources:``, what a notebook may name there, and what it may not.

    Args:
        platform: the policy in force.
        notebook: relative to the project, with forward slashes.
        asset: the asset's key, where there is one.
        environment: the deployment it would run in; None: that is not known, and not judged.
        moment: when it would run; now by default.
    """
    team = platform.team_of(notebook)
    choices: dict[str, list[ConnectionChoice]] = {}
    for key, resource in platform.resources.items():
        found = choices.setdefault(key, [])
        base = Case(Request(notebook), platform, team)
        for connection in connections_for(base, resource):
            request = Request(
                notebook,
                asset=asset,
                attributes={ATTRIBUTE: {key: connection.name}},
                environment=environment,
                moment=moment or datetime.now(UTC),
            )
            reason = next(judge_resources(Case(request, platform, team)), None)
            found.append(
                ConnectionChoice(
                    name=connection.name,
                    description=connection.description,
                    variables=() if connection.logs_in_to_tracking else connection.names,
                    allowed=reason is None,
                    reason="" if reason is None else reason.text,
                )
            )
    return choices
