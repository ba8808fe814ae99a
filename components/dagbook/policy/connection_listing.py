"""Connections as the platform file would say them, for those who look at what is in force.

What a provider is told is shown only where nothing in it can be secret.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagbook.policy.connection_kinds import WHOLE
from dagbook.policy.connections import Connection, KernelRules, Resource
from dagbook.policy.providers import PROVIDERS

#: Stands where something is said that is not shown.
NOT_SHOWN = "(not shown)"


def connection_values(connection: Connection) -> dict[str, Any]:
    """One connection in the shape of the file, without what it says nothing of."""
    values = {
        "provider": connection.provider,
        # A command line may hold anything.
        "key": NOT_SHOWN if connection.provider == "process" else connection.key,
        "options": options_shown(connection.provider, connection.options),
        "variables": {
            name: WHOLE if part is None else part for name, part in connection.variables.items()
        },
        "values": dict(connection.values),
        "files": {
            file.variable: file.name
            if file.field is None
            else {"name": file.name, "field": file.field}
            for file in connection.files
        },
        "public_fields": _sorted(connection.public_fields),
        "teams": _sorted(connection.teams),
        "folders": list(connection.folders) or None,
        "environments": _sorted(connection.environments),
        "hosts": list(connection.hosts) or None,
        "expires": None if connection.expires is None else connection.expires.isoformat(),
        "revoked": connection.revoked,
        "description": connection.description or None,
    }
    return {key: value for key, value in values.items() if value not in (None, {})}


def resource_values(resource: Resource) -> Any:
    """What may stand under one key, in the shape of the file."""
    if resource.connections is None:
        return True
    values = {
        "connections": sorted(resource.connections) or (None if resource.values else []),
        "values": list(resource.values) or None,
        "variable": resource.variable,
        "description": resource.description or None,
    }
    return {key: value for key, value in values.items() if value is not None}


def options_shown(provider: str, options: Mapping[str, str]) -> dict[str, str]:
    """What one of our own providers is told; of a company's only what is told it, not what."""
    own = provider in PROVIDERS
    return {name: text if own else NOT_SHOWN for name, text in options.items()}


def kernel_process_values(rules: KernelRules) -> dict[str, Any]:
    """The process a notebook runs in, in the shape of the file."""
    return {
        "own_home": rules.own_home,
        "shared_caches": list(rules.shared_caches) or None,
        "run_as": rules.run_as,
    }


def _sorted(names: frozenset[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)
