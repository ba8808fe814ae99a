"""What becomes different in a component's settings, as a researcher says it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dagbook.cron_words import describe
from dagbook.errors import DagbookError
from dagbook.labels import label_of

_MOST = 60


@dataclass(frozen=True)
class ChangeInWords:
    """One setting that becomes different. None: there was nothing, or there is nothing now."""

    keys: tuple[str, ...]
    label: str
    before: str | None
    after: str | None

    @property
    def words(self) -> str:
        """``size small → medium``; of a schedule ``06:00 → 07:00``."""
        label = f"{self.label[:1].lower()}{self.label[1:]}" if self._is_plain else self.label
        if self.after is None:
            return f"{label} no longer {self.before}"
        if self.keys == ("schedule",):
            return self.after if self.before is None else f"{self.before} → {self.after}"
        return (
            f"{label} {self.after}"
            if self.before is None
            else f"{label} {self.before} → {self.after}"
        )

    @property
    def _is_plain(self) -> bool:
        # The author's own names, and those of others, keep their capitals.
        return self.keys[0] != "parameters" and self.label[1:2].islower()


def changes_in_words(
    before: Mapping[str, Any] | None, after: Mapping[str, Any] | None, default_size: str
) -> list[ChangeInWords]:
    """Say what becomes different, in the order in which forms show it.

    Args:
        before: the attributes as they are; None where there is no component.
        after: as they are to be; None where there is to be none.
        default_size: what a component that names no size runs in.
    """
    old, new = dict(before or {}), dict(after or {})
    if before is not None and after is not None:
        for attributes in (old, new):
            attributes.setdefault("compute_size", default_size)
    else:
        for attributes in (old, new):
            attributes.pop("notebook", None)
    keys = list(dict.fromkeys((*new, *old)))
    found: list[ChangeInWords] = []
    for key in keys:
        if old.get(key) == new.get(key):
            continue
        if key == "schedule":
            found += _of_schedule(old.get(key), new.get(key))
        elif key == "parameters":
            found += _of_values(old.get(key), new.get(key))
        elif isinstance(old.get(key), Mapping) and isinstance(new.get(key), Mapping):
            found += _of_keys(key, old[key], new[key])
        else:
            found.append(
                ChangeInWords((key,), label_of(key), _shown(old.get(key)), _shown(new.get(key)))
            )
    return found


def in_one_line(changes: list[ChangeInWords]) -> str:
    """All of it in one line: ``06:00 → 07:00; size small → medium``."""
    return "; ".join(change.words for change in changes)


def _of_schedule(before: Any, after: Any) -> Iterator[ChangeInWords]:
    old, new = _schedule(before), _schedule(after)
    if old == new:
        return
    said = [None if each is None else f"{each[0]} ({each[1]})" for each in (old, new)]
    if old is not None and new is not None:
        if old[1] == new[1]:
            said = [old[0], new[0]]
            days, at, clock = old[0].rpartition(" at ")
            if at and new[0].startswith(f"{days}{at}"):
                said = [clock, new[0].removeprefix(f"{days}{at}")]
        elif old[0] == new[0]:
            yield ChangeInWords(
                ("schedule", "timezone"), label_of("schedule", "timezone"), old[1], new[1]
            )
            return
    yield ChangeInWords(("schedule",), label_of("schedule"), said[0], said[1])


def _schedule(value: Any) -> tuple[str, str] | None:
    """A schedule's words and zone; without a zone it is in UTC."""
    given = value if isinstance(value, Mapping) else {"cron": value}
    cron = given.get("cron")
    if not isinstance(cron, str):
        return None
    try:
        words = describe(cron)
    except DagbookError:
        words = cron
    return f"{words[:1].lower()}{words[1:]}", str(given.get("timezone") or "UTC")


def _of_values(before: Any, after: Any) -> Iterator[ChangeInWords]:
    old = before if isinstance(before, Mapping) else {}
    new = after if isinstance(after, Mapping) else {}
    for name in dict.fromkeys((*new, *old)):
        if old.get(name, _MISSING) != new.get(name, _MISSING):
            yield ChangeInWords(
                ("parameters", str(name)),
                str(name),  # the author's own word
                _shown(old[name]) if name in old else None,
                _shown(new[name]) if name in new else None,
            )


_MISSING = object()


def _of_keys(key: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[ChangeInWords]:
    for name in dict.fromkeys((*new, *old)):
        if old.get(name) != new.get(name):
            label = f"{label_of(key)}, {label_of(key, name)}"
            yield ChangeInWords((key, name), label, _shown(old.get(name)), _shown(new.get(name)))


def _shown(value: Any) -> str | None:
    if value is None:
        return None
    if isinstance(value, str):
        text = value
    elif isinstance(value, list) and all(map(_is_plain, value)):
        text = ", ".join(map(str, value)) or "none"
    elif isinstance(value, Mapping) and all(map(_is_plain, value.values())):
        text = ", ".join(f"{name} {item}" for name, item in value.items())
    else:
        text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _MOST else f"{text[: _MOST - 1]}…"


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)
