"""What a platform's connections put into the environment of a scheduled run, for its findings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dagbook.policy.connection_choices import connection_choices
from dagbook.policy.connection_judges import ATTRIBUTE, is_plain_value
from dagbook.policy.objections import Case
from dagbook.policy.platform import Platform
from dagbook.policy.request import Request
from dagbook.preflight.given_environment import GivenEnvironment, Offer


def environment_at_night(
    platform: Platform,
    notebook: str,
    attributes: Mapping[str, Any] | None = None,
    *,
    asset: str | None = None,
    environment: str | None = None,
    kernel: Iterable[str] = (),
) -> GivenEnvironment:
    """Say what a scheduled run of a notebook finds in its environment, and what it could find.

    Args:
        platform: the policy in force.
        notebook: relative to the project, with forward slashes.
        attributes: of its component, with the platform's defaults; None where it has none yet.
        asset: the asset's key, where there is one.
        environment: the deployment it would run in; None: that is not known, and not judged.
        kernel: the variables that its kernelspec sets.
    """
    asked = (attributes or {}).get(ATTRIBUTE)
    offers: dict[str, tuple[Offer, ...]] = {}
    withheld: dict[str, tuple[str, ...]] = {}
    choices = connection_choices(platform, notebook, asset=asset, environment=environment)
    for key, found in choices.items():
        for choice in found:
            for name in choice.variables:
                if choice.allowed:
                    offers[name] = (*offers.get(name, ()), Offer(choice.name, key))
                elif choice.name not in withheld.get(name, ()):
                    withheld[name] = (*withheld.get(name, ()), choice.name)
    names = set(kernel)
    for key, value in asked.items() if isinstance(asked, Mapping) else ():
        connection, resource = platform.connections.get(str(value)), platform.resources.get(key)
        if connection is not None:
            # Of the login to the tracking server no kernel sees anything.
            names |= set() if connection.logs_in_to_tracking else set(connection.names)
        elif resource is not None and is_plain_value(resource, str(value)):
            names.add(resource.plain_variable)
    return GivenEnvironment(
        names=frozenset(names),
        offers=offers,
        withheld={name: found for name, found in withheld.items() if name not in offers},
        contact=Case(Request(notebook), platform, platform.team_of(notebook)).contact,
    )
