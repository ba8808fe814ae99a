"""The login of a tracking server: from the run's connections, or the deployment's environment.

It is for the server alone: it goes to the processes that send and record, through a pipe, and
neither to a kernel nor to a file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from dagbook.credentials.delivery import TRACKING_PREFIX
from dagbook.policy.connections import Connection
from dagbook.policy.hosts import is_bound_to
from dagbook.sinks.mlflow import is_server, without_login

#: The variable that names the server, which is no secret.
TRACKING_URI = "MLFLOW_TRACKING_URI"

_WHO = frozenset({f"{TRACKING_PREFIX}{name}" for name in ("USERNAME", "PASSWORD", "TOKEN")})


@dataclass(frozen=True)
class Login:
    """What logs in to the tracking server; `repr` tells no value."""

    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    """``MLFLOW_TRACKING_…``, of connections"""
    connections: tuple[Connection, ...] = ()
    """Those that they come from"""

    @classmethod
    def of(cls, tracking: Mapping[str, str], connections: Iterable[Connection]) -> Login:
        """What a run was given for the tracking server.

        Args:
            tracking: the ``MLFLOW_TRACKING_…`` variables.
            connections: all of the run's.
        """
        own = [c for c in connections if any(n.startswith(TRACKING_PREFIX) for n in c.names)]
        return cls(dict(tracking), tuple(own))

    @property
    def name(self) -> str | None:
        """The connection that logs in."""
        return self.connections[0].name if self.connections else None

    @property
    def uri(self) -> str | None:
        """The server that a connection names."""
        return self.variables.get(TRACKING_URI)

    def for_server(self, uri: str) -> dict[str, str]:
        """The variables for one address; of connections only where each may be sent there."""
        own = own_login(uri)
        given = {n: v for n, v in self.variables.items() if n != TRACKING_URI}
        if not given:
            return own
        if self.problem(uri) is not None:
            # Who names a connection for one server means no other login for another.
            return _anonymous(own)
        if _WHO & given.keys():
            # One login at a time: of two, MLflow's client would take the deployment's.
            own = _anonymous(own)
        return {**own, **given}

    def problem(self, uri: str) -> str | None:
        """Why the login is not sent to an address; None where it is, or there is none."""
        if not self.variables or not is_server(uri):
            return None
        address = without_login(uri)
        wrong = [c.name for c in self.connections if not is_bound_to(c, address)]
        if not wrong:
            return None
        return (
            f"connection `{wrong[0]}` is not bound to {address}, so its login is not sent there: "
            "add the server to its `hosts` in the platform file"
        )


def own_login(uri: str, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The deployment's own variables for one address.

    Its login is for the server that it names by `MLFLOW_TRACKING_URI`, where it names one: YAML may
    name another.
    """
    own = {n: v for n, v in environment.items() if n.startswith(TRACKING_PREFIX)}
    named = own.pop(TRACKING_URI, "")
    is_elsewhere = is_server(named) and is_server(uri) and _server_of(named) != _server_of(uri)
    return _anonymous(own) if is_elsewhere else own


def _anonymous(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name not in _WHO}


def _server_of(uri: str) -> str:
    scheme, _, rest = without_login(uri).lower().partition("://")
    return f"{scheme}://{rest.partition('/')[0]}"
