"""What an account is told of a try of a run, and what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagbook.policy.cost import Expected


@dataclass(frozen=True)
class Occasion:
    """Who runs what. Of parameters the names and one hash are kept, never the values."""

    who: str
    trigger: str
    run: str
    asset: str
    notebook: str
    project: Path
    attempt: int = 1
    partition: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    worker: str = ""


@dataclass(frozen=True)
class Started:
    """What a launch came to. The budget is None where nothing bounds the run's cost.

    Attributes:
        expected: what it will probably cost.
        budget_seconds: how long the run may go on for its money.
        budget_label: whose limit that is, for the reason.
        warnings: what the reader of the run should know now.
    """

    expected: Expected
    budget_seconds: float | None
    budget_label: str
    warnings: tuple[str, ...]


@dataclass(frozen=True)
class Settled:
    """What a run came to. Money is None where its size has no price."""

    cost: float | None
    currency: str
    team: str | None
    month_to_date: str | None
    """``12.30 of 50.00 USD in 2026-11``"""
    advice: str | None
    warnings: tuple[str, ...]
