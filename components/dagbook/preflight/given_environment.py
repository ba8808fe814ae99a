"""What environment a scheduled run of a notebook has, and which connections could add to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from dagbook.environment_names import ALLOWED_NAMES, ALLOWED_PREFIXES, PROXY_NAMES

#: What a run says of itself.
_OF_THE_RUN = frozenset(
    (
        *("DAGBOOK_RUN_DIR", "DAGBOOK_PROJECT", "DAGBOOK_ENVIRONMENT", "JPY_PARENT_PID"),
        *("MLFLOW_TRACKING_URI", "MLFLOW_RUN_ID", "MLFLOW_EXPERIMENT_ID", "MLFLOW_EXPERIMENT_NAME"),
        *("PYDEVD_DISABLE_FILE_VALIDATION", "JPY_SESSION_NAME", "PWD", "PYTHONUNBUFFERED"),
    )
)


@dataclass(frozen=True)
class Offer:
    """A connection that this notebook may name, and the key of ``resources:`` it goes under."""

    connection: str
    key: str


@dataclass(frozen=True)
class GivenEnvironment:
    """What a scheduled run of one notebook finds in its environment beside what all runs do.

    Plain names only: whoever has the platform's rules and the component at hand fills it, so that
    reading a notebook needs neither.
    """

    names: frozenset[str] = frozenset()
    """Variables of the connections and values that its component names, and of its kernel"""
    offers: Mapping[str, tuple[Offer, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """By variable, the connections that deliver it and that it may name"""
    withheld: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """By variable, the connections that deliver it, but not to this notebook"""
    contact: str | None = None
    """Whom its author asks for a connection"""

    def gives(self, name: str) -> bool:
        """Whether a scheduled run has a variable, or has it as its machine does."""
        return (
            name in self.names
            or name in ALLOWED_NAMES
            or name in _OF_THE_RUN
            or name.startswith(ALLOWED_PREFIXES)
            or name.upper() in PROXY_NAMES
        )
