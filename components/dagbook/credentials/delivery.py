"""What a run is given of its credentials, ready to be handed to its kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

#: What begins so logs in to the tracking server: the recorder keeps it, a kernel never sees it.
TRACKING_PREFIX = "MLFLOW_TRACKING_"
#: Shorter ones are in every text, so they cannot be masked: they are refused as credentials.
SHORTEST_SECRET = 6


@dataclass(frozen=True)
class Secret:
    """A value that must not be seen, and what is shown in its place."""

    value: str = field(repr=False)
    label: str
    """``CONNECTION`` or ``CONNECTION.FIELD``; no part of the value"""


@dataclass(frozen=True)
class SecretFile:
    """A file for the kernel, in a folder that is the run's own."""

    variable: str
    """The environment variable that holds its path"""
    name: str
    content: bytes = field(repr=False)


@dataclass(frozen=True)
class Delivery:
    """Everything one run is given, fetched just before its kernel starts.

    Nothing in here is ever written anywhere or shown: `repr` tells names only.
    """

    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Variables for the kernel's environment"""
    files: tuple[SecretFile, ...] = ()
    tracking: Mapping[str, str] = field(default_factory=dict, repr=False)
    """``MLFLOW_TRACKING_…`` variables, for the recorder and never for the kernel"""
    secrets: tuple[Secret, ...] = ()
    """What is masked wherever it turns up, of `environment`, `files` and `tracking`"""
    connections: tuple[str, ...] = ()
    """The names of the connections, for the audit"""
    expires_at: float | None = None
    """When the first of them has to be fetched anew (Unix time); None: not while the run lasts"""
    renew: Callable[[], Delivery] | None = field(default=None, repr=False, compare=False)
    """Fetches anew; `files` alone can reach a kernel that runs already"""

    def __bool__(self) -> bool:
        """Whether there is anything to hand over or to mask."""
        return bool(self.environment or self.files or self.tracking or self.secrets)


NOTHING = Delivery()
