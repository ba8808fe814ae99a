"""Fetches the credentials of one run, just before its kernel starts, and anew while it lasts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping

from dagbook.credentials.delivery import NOTHING, TRACKING_PREFIX, Delivery, Secret, SecretFile
from dagbook.credentials.handing_over import Handed, hand_over
from dagbook.credentials.looking_up import DEADLINE_SECONDS, Answer, look_up
from dagbook.credentials.moments import end_of
from dagbook.credentials.provider import Fetched, ProviderDown
from dagbook.errors import DagbookError
from dagbook.policy.connections import Connection, Entitlement
from dagbook.policy.platform import Platform


def fetch(
    entitlement: Entitlement,
    platform: Platform,
    environment: Mapping[str, str] = os.environ,
    *,
    asset: str | None = None,
    deadline_seconds: float = DEADLINE_SECONDS,
) -> Delivery:
    """Fetch what one run is entitled to.

    Args:
        entitlement: what was decided at its launch.
        platform: whose `providers` say how to reach them.
        environment: the deployment's own; it is not changed.
        asset: the asset's key, for the provider's own log.
        deadline_seconds: how long all providers together may take.

    Returns:
        What the run is given; its `renew` fetches anew what ends, and keeps the rest.

    Raises:
        ProviderDown: a provider does not answer; another try may help.
        DagbookError: another try would not help: there is no such key or field, the deployment
            may not read it, it cannot be masked, or two connections want the same variable.
    """
    connections = list({c.name: c for c in entitlement.connections.values()}.values())
    if not connections and not entitlement.values:
        return NOTHING

    def anew(kept: Mapping[str, Fetched]) -> Delivery:
        wanted = [connection for connection in connections if connection.name not in kept]
        answers = look_up(
            wanted, platform, environment, asset=asset, deadline_seconds=deadline_seconds
        )
        fetched = {**kept, **_all_of(answers)}
        now = time.time()
        ends = {c.name: _end(c, fetched[c.name], now) for c in connections}
        lasting = {name: fetched[name] for name, end in ends.items() if end is None}
        end = min((end for end in ends.values() if end is not None), default=None)
        given = _Given(entitlement.values)
        for connection in connections:
            given.add(connection, hand_over(connection, fetched[connection.name]))
        return given.delivery(end, None if end is None else lambda: anew(lasting))

    return anew({})


def _all_of(answers: Mapping[str, Answer]) -> dict[str, Fetched]:
    errors = [answer for answer in answers.values() if isinstance(answer, DagbookError)]
    if errors:
        # One that no other try can mend makes all of it hopeless.
        kind = ProviderDown if all(isinstance(e, ProviderDown) for e in errors) else DagbookError
        raise kind("; ".join(map(str, errors)))
    return {name: answer for name, answer in answers.items() if isinstance(answer, Fetched)}


def _end(connection: Connection, fetched: Fetched, now: float) -> float | None:
    every = connection.options.get("renew_seconds")
    return end_of(fetched.expires_at, None if every is None else float(every), now)


class _Given:
    """What several connections give together."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._variables = dict(values)
        self._from = dict.fromkeys(values, "`resources`")
        self._files: list[SecretFile] = []
        self._secrets: list[Secret] = []
        self._connections: list[str] = []

    def add(self, connection: Connection, handed: Handed) -> None:
        """Add what one connection gives.

        Raises:
            DagbookError: another one gives something else in the same variable.
        """
        origin = f"connection `{connection.name}`"
        for name, value in {**connection.values, **handed.variables}.items():
            if self._variables.get(name, value) != value:
                raise self._twice(name, origin)
            self._variables[name] = value
            self._from.setdefault(name, origin)
        for file in handed.files:
            if file.variable in self._from:
                raise self._twice(file.variable, origin)
            self._from[file.variable] = origin
            self._files.append(file)
        self._secrets += handed.secrets
        self._connections.append(connection.name)

    def delivery(self, end: float | None, renew: Callable[[], Delivery] | None) -> Delivery:
        """All of it."""
        is_tracking = {name: name.startswith(TRACKING_PREFIX) for name in self._variables}
        return Delivery(
            environment={n: v for n, v in self._variables.items() if not is_tracking[n]},
            files=tuple(self._files),
            tracking={n: v for n, v in self._variables.items() if is_tracking[n]},
            secrets=tuple({secret.value: secret for secret in self._secrets}.values()),
            connections=tuple(self._connections),
            expires_at=end,
            renew=renew,
        )

    def _twice(self, name: str, origin: str) -> DagbookError:
        return DagbookError(
            f"{self._from[name]} and {origin} both give `{name}`: use one of them, or have one "
            "give another variable"
        )
