"""How something is objected to: one line with what, why, what is allowed, and whom to ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date
from typing import Any

from dagbook.policy.platform import Platform, Team
from dagbook.policy.request import Loc, Objection, Request


@dataclass(frozen=True)
class Case:
    """What is judged: a request, the policy in force, and whose notebook it is."""

    request: Request
    platform: Platform
    team: Team | None

    @property
    def today(self) -> date:
        """The day on which it is judged, in UTC."""
        return self.request.moment.astimezone(UTC).date()

    @property
    def is_component(self) -> bool:
        """Whether a component asks, and not somebody with a loose notebook."""
        return self.request.asset is not None or self.request.component_type is not None

    @property
    def contact(self) -> str | None:
        """Whom to ask: the team's contact, else the platform's."""
        of_team = None if self.team is None else self.team.contact
        return of_team or self.platform.contact

    def attribute(self, name: str) -> tuple[Loc, Any] | None:
        """The place and value of an attribute by its dotted key; None when it is not given."""
        value: Any = self.request.attributes
        loc: Loc = ()
        for part in name.split("."):
            if not isinstance(value, Mapping):
                # `retries: 2` and `schedule: "0 6 * * *"` are how component files write them.
                short = name in ("retries.max", "schedule.cron") and value is not None
                return (loc, value) if short else None
            if part not in value:
                return None
            loc, value = (*loc, part), value[part]
        return None if value is None else (loc, value)

    def object(self, rule: str, loc: Loc, value: Any, why: str, allowed: str = "") -> Objection:
        """An objection by a key of the platform file.

        Args:
            rule: the dotted key that says so.
            loc: leads from ``attributes`` to the value.
            value: what was asked for.
            why: what is wrong, without a full stop.
            allowed: what would be allowed instead, in words.
        """
        text = f"{why}. Allowed: {allowed}" if allowed else why
        if self.contact is not None:
            text += f". For an exception ask {self.contact}"
        origin = self.platform.origin_of(rule)
        if origin is not None:
            text += f" ({origin})"
        return Objection(rule, loc, value, allowed, self.contact, one_line(text))


#: More of a value is cut off where a message shows it.
_LONGEST = 80


def shown(value: object) -> str:
    """A value out of a component file for a message: one line, and short."""
    text = one_line(str(value))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def one_line(text: str) -> str:
    """A text on one line, and nothing in it that a terminal would obey."""
    return "".join(c if c.isprintable() else "�" for c in " ".join(text.split()))
