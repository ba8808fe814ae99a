"""What a provider is: a function that is told what to look up, and gives it or says why not.

A company's own is registered as an entry point of the group ``dagbook.credential_providers``::

    [project.entry-points."dagbook.credential_providers"]
    company_safe = "company_credentials.safe:fetch"
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from dagbook.errors import DagbookError

#: How long a provider waits for a connection and for an answer, in seconds, and how often it tries
#: again: one that hangs is one clear line before long.
CONNECT_SECONDS, ANSWER_SECONDS, RETRIES = 4.0, 8.0, 1


class ProviderDown(DagbookError):
    """A provider did not answer: the same may work in a while."""


@dataclass(frozen=True)
class Lookup:
    """What a provider is asked for. Every text of it comes from the platform file."""

    key: str
    """What the credential is called there"""
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What the connection tells the provider beside it"""
    settings: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """What the provider is told for all connections"""
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)
    """The deployment's own"""
    folder: Path | None = None
    """Where the platform file lies"""
    asset: str | None = None
    """The asset whose run asks; None: no run does"""

    def told(self, name: str) -> str | None:
        """An option of the connection, or else the setting of the same name."""
        return self.options.get(name, self.settings.get(name))


@dataclass(frozen=True)
class Fetched:
    """What a provider gave.

    Attributes:
        value: the secret: text, bytes that are none, or fields. Text that is a JSON object has
            fields too, so a provider need not look into it.
        expires_at: when it ends to hold (Unix time); None: that is not known.
        whole: the secret as a whole where that is not `value` itself, for those who ask for no
            field.
    """

    value: str | bytes | Mapping[str, object] = field(repr=False)
    expires_at: float | None = None
    whole: str | None = field(default=None, repr=False)


class Provider(Protocol):
    """A function that looks one credential up.

    It leaves nothing behind: no variable of this process changed, no client for the next call. It
    may be called by several threads at once.
    """

    def __call__(self, lookup: Lookup, /) -> Fetched:
        """Look it up.

        Raises:
            ProviderDown: it cannot be reached now. The text says what to check.
            DagbookError: it will not work the next time either: there is no such key, or this
                deployment may not read it. The text holds no value, and no address with a login.
        """
        ...
