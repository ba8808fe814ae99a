"""What a recorder is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: The line that ends it.
END = "end\n"


@dataclass(frozen=True)
class Settings:
    """What a recorder is told; only ever through a pipe."""

    folder: str
    """The run's, in the spool"""
    token: str = field(repr=False)
    """Who does not know it is not heard"""
    managed: dict[str, Any]
    """The run that the notebook is recorded in, as a call"""
    uri: str = field(repr=False)
    """Where calls are passed on to, perhaps with a login"""
    artifacts: str | None
    """Of a store in a file or database: where files lie by default"""
    variables: dict[str, str] = field(repr=False)
    """``MLFLOW_TRACKING_…``: the login"""
    secrets: list[tuple[str, str]] = field(repr=False)
    """What must not be seen: each a value and what is shown for it"""
    port: int = 0
    """Where it listens, if it takes another's place; 0: anywhere"""
