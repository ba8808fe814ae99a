"""Something in a notebook that a scheduled run would stumble over, and what mends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """How sure it is that something comes of it."""

    WILL_FAIL = "will fail"
    MAY_SURPRISE = "may surprise"


@dataclass(frozen=True)
class Fix:
    """A change that mends a finding, which a form can offer, apply and undo."""

    kind: str
    """``role`` (give the cell a role, or take it), ``parameter``, ``move``, ``import``, ``line``,
    ``connection``"""
    title: str
    """What the button says: ``Skip cell at night``"""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What it takes to apply it, as plain JSON: ``edits`` of the notebook (`dagbook.preflight.edits`)
    where it changes the notebook, the ``key`` and name of a ``connection`` where its component"""


@dataclass(frozen=True)
class NightFinding:
    """One thing that would go wrong, or may, where it stands and why.

    The cell counts from 0 as in the file, and its line from 1; texts for people count both from 1.
    """

    rule: str
    """Which kind of thing: ``environment-variable``, ``installs-packages``, …"""
    severity: Severity
    cell: int
    cell_id: str
    line: int
    text: str
    """One line: what, why, what to do"""
    fixes: tuple[Fix, ...] = ()
    is_secret: bool = False
    """Whether it is about a secret in the notebook: a passed trial does not clear it"""
