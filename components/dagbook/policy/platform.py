"""What the platform team said, once: the content of ``dagbook-platform.yaml`` as an object.

Without the file this object holds the safe defaults, so nobody has to ask whether there is one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import MappingProxyType

from dagbook.policy.connections import Connection, KernelRules, Resource
from dagbook.policy.sizes import BUILT_IN_SIZES, DEFAULT_SIZE, Size

#: The version of a policy that nobody wrote down.
BUILT_IN = "built-in"


@dataclass(frozen=True)
class Team:
    """Whose notebooks lie below a folder. The first pattern that fits a notebook decides."""

    folder: str
    """A pattern of project-relative paths: ``models/**``"""
    team: str
    contact: str | None = None
    """Whom its members ask: an address, a channel, a page"""


@dataclass(frozen=True)
class Wanted:
    """What a key of metadata has to hold; `pattern` is for the whole text (of each item)."""

    key: str
    """``owners``, ``description``, ``group``, or ``tags.NAME``"""
    pattern: str | None = None
    help: str | None = None


@dataclass(frozen=True)
class Rules:
    """What components have to hold to. The defaults forbid nothing."""

    required_metadata: tuple[Wanted, ...] = ()
    key_patterns: tuple[str, ...] = ()
    """The whole asset key, its parts separated by slashes, has to fit each of them"""
    minimum_schedule_interval_seconds: float = 0.0
    kernels: frozenset[str] | None = None
    folders: tuple[tuple[str, ...], ...] = ()
    """Groups of patterns of paths: a component's notebook has to fit one of each group"""
    component_types: frozenset[str] | None = None
    required_checks: tuple[str, ...] = ()
    """Checks every notebook has to have, by name"""
    maximum_retries: int | None = None
    require_trial: bool = False
    """Whether a notebook must have run well once, as it is now, before its schedule runs it"""
    environment: frozenset[str] = frozenset()
    """Environment variables that component YAML may read as ``{{ env.NAME }}``"""
    template_names: frozenset[str] = frozenset()
    template_vars_modules: frozenset[str] = frozenset()
    post_processing: bool = False
    python_below_defs: bool = True


@dataclass(frozen=True)
class Budget:
    """How much money may be spent, in the platform's currency; None: no such line."""

    warn_at: float | None = None
    stop_at: float | None = None


@dataclass(frozen=True)
class Budgets:
    """Budgets per run, and per team and calendar month (UTC)."""

    per_run: Budget = field(default_factory=Budget)
    per_team: Mapping[str, Budget] = field(default_factory=lambda: MappingProxyType({}))
    """By team; ``*`` is for teams, and notebooks of no team, that have no entry of their own"""

    def of_team(self, team: str | None) -> Budget:
        """The month's budget of a team; without an entry an empty one."""
        if team is not None and team in self.per_team:
            return self.per_team[team]
        return self.per_team.get("*", Budget())


@dataclass(frozen=True)
class Approval:
    """An exception somebody answers for: this asset may use this size, or spend this per run."""

    asset: str
    """The asset's key, its parts separated by slashes"""
    until: date
    """The last day (UTC) on which it holds"""
    by: str
    size: str | None = None
    budget: float | None = None
    """Money per run, in place of ``budgets.per_run.stop_at``"""
    reason: str = ""


@dataclass(frozen=True)
class Bound:
    """Within what a notebook's own YAML may change a default; None: no bound on that side."""

    minimum: float | None = None
    maximum: float | None = None


#: What the runner keeps of outputs where nobody says otherwise, in bytes.
DEFAULT_PER_CELL = 1_000_000
DEFAULT_PER_NOTEBOOK = 50_000_000


@dataclass(frozen=True)
class OutputRule:
    """How much output is kept, in bytes of text as stored; None: the runner's default."""

    per_cell: int | None = None
    per_notebook: int | None = None


@dataclass(frozen=True)
class Tracking:
    """Where runs are recorded."""

    tracking_uri: str | None = None
    allowed_uris: tuple[tuple[str, ...], ...] = ()
    """Groups of patterns of addresses: a notebook's `experiment.tracking_uri` has to fit one of
    each group"""
    experiment_prefix: str = ""
    connection: str | None = None
    """The connection that logs in to `tracking_uri`; the runner alone uses it"""


@dataclass(frozen=True)
class Platform:
    """The policy in force for one project, or for the components of one company package."""

    version: str = BUILT_IN
    """Changes when the file's text does: the first 12 hexadecimal digits of its SHA-256"""
    file: Path | None = None
    contact: str | None = None
    """Whom to ask where a team has no contact of its own"""
    currency: str = "USD"
    sizes: Mapping[str, Size] = field(default_factory=lambda: MappingProxyType(BUILT_IN_SIZES))
    default_size: str = DEFAULT_SIZE
    teams: tuple[Team, ...] = ()
    rules: Rules = field(default_factory=Rules)
    budgets: Budgets = field(default_factory=Budgets)
    approvals: tuple[Approval, ...] = ()
    outputs: OutputRule = field(default_factory=OutputRule)
    tracking: Tracking = field(default_factory=Tracking)
    connections: Mapping[str, Connection] = field(default_factory=lambda: MappingProxyType({}))
    resources: Mapping[str, Resource] = field(default_factory=lambda: MappingProxyType({}))
    """The keys that `resources:` of a component may have"""
    providers: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))
    """By provider, what it is told for all connections: an address, a region"""
    kernels: KernelRules = field(default_factory=KernelRules)
    defaults: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))
    """Values of component attributes, by dotted key, for YAML that leaves them out"""
    bounds: Mapping[str, Bound] = field(default_factory=lambda: MappingProxyType({}))
    """By dotted key of a component attribute that is a number"""
    places: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    """The line in `file` of each dotted key that it gives; what is not here is a default"""
    origins: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """``name:line`` of each dotted key, where more than one file says something"""

    def origin_of(self, key: str) -> str | None:
        """Where a dotted key is given: ``dagbook-platform.yaml:12``; None when it is a default."""
        if key in self.origins:
            return self.origins[key]
        if self.file is not None and key in self.places:
            return f"{self.file.name}:{self.places[key]}"
        return None

    def team_of(self, notebook: str) -> Team | None:
        """The team a notebook belongs to: that of the first pattern its path fits.

        Args:
            notebook: relative to the project, with forward slashes, as the file system has it.
        """
        from dagbook.policy.path_patterns import fits

        return next((team for team in self.teams if fits(team.folder, notebook)), None)

    @property
    def has_prices(self) -> bool:
        """Whether any size has a price: without one no cost is shown anywhere."""
        return any(size.price_per_hour is not None for size in self.sizes.values())


BUILT_IN_PLATFORM = Platform()
