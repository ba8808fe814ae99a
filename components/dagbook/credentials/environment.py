"""Takes a credential out of a variable of the deployment's own environment."""

from __future__ import annotations

from dagbook.credentials.provider import Fetched, Lookup
from dagbook.errors import DagbookError


def fetch(lookup: Lookup) -> Fetched:
    """Read the variable."""
    value = lookup.environment.get(lookup.key)
    if value is None:
        raise DagbookError(
            f"the deployment's environment has no variable `{lookup.key}`: set it where Dagster's "
            "code server and workers start, or mend `key`"
        )
    if not value:
        raise DagbookError(f"the variable `{lookup.key}` of the deployment's environment is empty")
    return Fetched(value)
