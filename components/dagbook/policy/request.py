"""What is asked of a platform, what it answers, and how it objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from dagbook.policy.platform import Team
from dagbook.policy.sizes import Size

Loc = tuple[str | int, ...]


@dataclass(frozen=True)
class Request:
    """What somebody asks for. Facts that nobody knows yet are None and are not judged.

    `attributes` are those of the component after its defaults, as plain values: what stands
    below ``attributes:`` in the YAML, with everything a launch changed merged in.
    """

    notebook: str
    """Relative to the project, with forward slashes, and as the file system resolves it"""
    asset: str | None = None
    """The asset's key, its parts separated by slashes; None for `dagbook run` of a loose notebook"""
    component_type: str | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    kernel: str | None = None
    """The kernel it will run on"""
    checks: Sequence[str] | None = None
    """The names of the notebook's checks"""
    shortest_interval_seconds: float | None = None
    """The shortest time between two ticks of its schedule; None without a schedule"""
    scheduled: bool = False
    """At a launch: whether a schedule launches it, and nobody watches"""
    tried: bool | None = None
    """Whether the notebook, as it is now, has run well before"""
    environment: str | None = None
    """The deployment it would run in, `dev` or `prod`, as the deployment itself says; never YAML's"""
    moment: datetime = field(default_factory=lambda: datetime.now(UTC))


@dataclass(frozen=True)
class Objection:
    """Why something is not allowed, in a way that a form, a terminal and a log can show."""

    rule: str
    """The dotted key in the platform file that says so: ``compute_sizes.gpu_large.teams``"""
    loc: Loc
    """Leads from ``attributes`` to the value it is about"""
    value: Any
    allowed: str
    """What would be allowed, in words; empty when nothing would"""
    ask: str | None
    """Whom to ask for an exception"""
    text: str
    """One whole line: what, why, what is allowed, whom to ask"""


@dataclass(frozen=True)
class Decision:
    """What may happen, and within what. `size` is bound even when something is refused."""

    policy_version: str
    team: Team | None
    size: Size | None
    """None when the name is none of the platform's"""
    run_budget: float | None
    """Where a run ends like one that is out of time; money in the platform's currency"""
    objections: tuple[Objection, ...] = ()
    warnings: tuple[str, ...] = ()
    """What is allowed and still worth saying, such as an approval that ends soon"""

    @property
    def allowed(self) -> bool:
        """Whether nothing stands against it."""
        return not self.objections
