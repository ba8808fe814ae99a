"""Tells when the policy of a project is another than the one seen last, and what changed in it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from dagbook.ledger.audit import Kind, append
from dagbook.ledger.tables import POLICIES
from dagbook.policy.platform import BUILT_IN, Platform

#: How many changed keys an entry lists, and how much of a value it shows.
MOST_KEYS = 200
MOST_CHARACTERS = 200

#: Said by the policy itself, or about where it was read.
_NOT_CONTENT = frozenset({"version", "file", "places", "origins"})
#: May hold an address with a password in it, or says what a provider is told: only that it changed
#: is told.
_NOT_SHOWN = re.compile(r"tracking\.|providers\.|connections\..*\.(?:key$|options\.|values\.)")


def note_policy(connection: Connection, platform: Platform, project: Path, *, who: str) -> bool:
    """Write into the audit that the policy is another than before, if it is.

    The first policy of a project that is not the built-in one counts as a change from that.

    Returns:
        Whether it was another.
    """
    place = platform.file or project / "dagbook-platform.yaml"
    key = hashlib.sha256(str(place).encode("utf-8", "surrogateescape")).hexdigest()
    row = connection.execute(select(POLICIES).where(POLICIES.c.place == key)).one_or_none()
    before = BUILT_IN if row is None else row.version
    if before == platform.version:
        return False
    content = flatten(platform)
    known = flatten(Platform()) if row is None else json.loads(row.content)
    connection.execute(delete(POLICIES).where(POLICIES.c.place == key))
    connection.execute(
        insert(POLICIES).values(
            place=key, version=platform.version, content=json.dumps(content, sort_keys=True)
        )
    )
    changes = changed_keys(known, content)
    append(
        connection,
        Kind.PLATFORM_CHANGED,
        policy=platform.version,
        who=who,
        detail={
            "file": str(place),
            "from": before,
            "to": platform.version,
            "keys": dict(list(changes.items())[:MOST_KEYS]),
            "more_keys": max(0, len(changes) - MOST_KEYS),
        },
    )
    return True


def flatten(platform: Platform) -> dict[str, str]:
    """The content of a policy as text by dotted key; what must not be shown as its hash."""
    found: dict[str, str] = {}
    for field in fields(platform):
        if field.name not in _NOT_CONTENT:
            _flatten(field.name, getattr(platform, field.name), found)
    return found


def changed_keys(
    before: Mapping[str, str], after: Mapping[str, str]
) -> dict[str, list[str | None]]:
    """Each key that differs, with what it was and what it is; None: it was, or is, not there."""
    return {
        key: [before.get(key), after.get(key)]
        for key in sorted(before.keys() | after.keys())
        if before.get(key) != after.get(key)
    }


def _flatten(key: str, value: Any, found: dict[str, str]) -> None:
    if is_dataclass(value) and not isinstance(value, type):
        for field in fields(value):
            _flatten(f"{key}.{field.name}", getattr(value, field.name), found)
    elif isinstance(value, Mapping):
        for name in value:
            _flatten(f"{key}.{name}", value[name], found)
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            _flatten(f"{key}[{index}]", item, found)
    elif value is not None:
        found[key] = _shown(key, value)


def _shown(key: str, value: Any) -> str:
    if isinstance(value, frozenset | set):
        value = sorted(value)
    text = value.isoformat() if isinstance(value, date) else json.dumps(value, default=str)
    if _NOT_SHOWN.match(key):
        return f"sha256 {hashlib.sha256(text.encode()).hexdigest()[:12]}"
    return text if len(text) <= MOST_CHARACTERS else text[: MOST_CHARACTERS - 1] + "…"
