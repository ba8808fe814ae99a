"""Connections: named access that a platform team gives, and that holds no secret itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

from dagbook.policy.owned_variables import TRACKING_PREFIX

#: The resource of the server that runs are recorded on: a plain value under it is the server's
#: address, as under ``experiment.tracking_uri``, and the platform's own login to it goes by it.
TRACKING_KEY = "mlflow"


@dataclass(frozen=True)
class ConnectionFile:
    """A credential that the notebook reads from a file, which is its owner's alone (0600)."""

    variable: str
    """The environment variable that holds the file's path"""
    name: str
    """The file's own name, for programs that look at its ending"""
    field: str | None = None
    """The field of the secret that it holds; None for the secret as a whole"""


@dataclass(frozen=True)
class Connection:
    """Named access: where the credential is kept, how a notebook sees it, and who may have it."""

    name: str
    provider: str
    """Which kind of place keeps it: ``aws_secrets_manager``, ``vault``, ``file``, …"""
    key: str
    """What it is called there"""
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What the provider is told beside the key: a version, a role, a region, …"""
    variables: Mapping[str, str | None] = field(default_factory=lambda: MappingProxyType({}))
    """By environment variable, the field of the secret; None for the secret as a whole"""
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """By environment variable, what everybody may know and that belongs to it: a host, a port"""
    files: tuple[ConnectionFile, ...] = ()
    public_fields: frozenset[str] | None = None
    """The fields of the secret that are none and are shown; None: those whose names say so, such
    as `host`, `port`, `username`, `region`"""
    teams: frozenset[str] | None = None
    """Who may use it; None: everybody"""
    folders: tuple[str, ...] = ()
    """Patterns of notebooks' paths, of which one has to fit; none: any"""
    environments: frozenset[str] | None = None
    """The deployments in which it may be used; None: in each"""
    hosts: tuple[str, ...] = ()
    """The hosts it is bound to: patterns with ``*``; none: bound to no host, so the runner itself
    sends it nowhere"""
    expires: date | None = None
    """The last day (UTC) on which it may be used"""
    revoked: str | None = None
    """Why nobody may use it any more; None: it holds"""
    description: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The environment variables a notebook sees of it."""
        return (*self.variables, *self.values, *(file.variable for file in self.files))

    @property
    def logs_in_to_tracking(self) -> bool:
        """Whether it is the runner's own login to a tracking server, of which no kernel sees any."""
        return any(name.startswith(TRACKING_PREFIX) for name in self.names)


@dataclass(frozen=True)
class Resource:
    """What may stand under one key of ``resources:`` in a component's YAML."""

    key: str
    connections: frozenset[str] | None = None
    """The connections that may be named, none where it is empty; None: each that the notebook may
    use"""
    values: tuple[str, ...] = ()
    """Patterns with ``*`` of plain values (a bucket, a URL) that may stand there instead"""
    variable: str | None = None
    """The environment variable that holds such a plain value; None: the key in capitals"""
    description: str = ""

    @property
    def plain_variable(self) -> str:
        """The environment variable of a plain value."""
        if self.key == TRACKING_KEY:
            return "MLFLOW_TRACKING_URI"
        return self.variable or self.key.upper().replace("-", "_")


@dataclass(frozen=True)
class Entitlement:
    """What one run is entitled to, decided at its launch and before anything is fetched."""

    connections: Mapping[str, Connection] = field(default_factory=lambda: MappingProxyType({}))
    """By key of ``resources:``; the platform's login to its tracking server by `TRACKING_KEY`"""
    values: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """By environment variable, plain values"""

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the connections, for the record."""
        return tuple(sorted({connection.name for connection in self.connections.values()}))


@dataclass(frozen=True)
class KernelRules:
    """What a platform says about the process a notebook runs in."""

    own_home: bool = False
    """Whether a run has a `HOME` of its own, empty, and removed after it"""
    shared_caches: tuple[str, ...] = ()
    """Paths below the real home that are there all the same: ``.cache/huggingface``"""
    run_as: str | None = None
    """The user a kernel runs as, where the runner is root"""
