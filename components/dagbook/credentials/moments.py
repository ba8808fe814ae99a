"""Moments as providers write them, and until when what has no end is held for good."""

from __future__ import annotations

from datetime import UTC, datetime

#: The runner fetches a credential anew this long before its end, in seconds, or after half of its
#: life: see `execution/renewal.py`.
_EARLY_SECONDS = 20 * 60.0


def moment_from(text: object) -> float | None:
    """The Unix time of an ISO 8601 text; without a zone it is UTC. None: it is no such text."""
    if not isinstance(text, str):
        return None
    try:
        found = datetime.fromisoformat(text)
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def end_of(expires_at: float | None, renew_seconds: float | None, now: float) -> float | None:
    """Until when a credential that was fetched now is held for good (Unix time); None: for ever.

    Args:
        expires_at: when it ends; None: nobody knows.
        renew_seconds: how often to fetch it anew all the same.
        now: the Unix time.
    """
    if renew_seconds is None:
        return expires_at
    # Renewed early, and so once in this many seconds.
    end = now + renew_seconds + min(renew_seconds, _EARLY_SECONDS)
    return end if expires_at is None else min(end, expires_at)
