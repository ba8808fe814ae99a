"""What a run will probably cost and what would be cheaper, for whoever is about to launch.

Where nothing has a price nothing is said of cost.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import TypeAdapter, ValidationError

from dagbook.errors import DagbookError
from dagbook.ledger.history import History, read_history
from dagbook.ledger.project_ledger import ledger_of_project
from dagbook.notebook_runner.attributes import StaticPartitions, TimePartitions
from dagbook.notebook_runner.partitions import build_partitions
from dagbook.notebook_runner.policy_problems import policy_in_force
from dagbook.policy.advice import advise_size
from dagbook.policy.approvals import approved_budget
from dagbook.policy.cost import Expected, expected_cost
from dagbook.policy.objections import Case
from dagbook.policy.platform import Platform
from dagbook.policy.platform_file import find_platform
from dagbook.policy.request import Request
from dagbook.policy.sizes import HOUR

if TYPE_CHECKING:
    from dagbook.notebook_runner.asset import NotebookAsset
    from dagbook.notebook_runner.component import NotebookRunnerComponent

#: For how long a project's history is not read anew, in seconds: loading asks for every asset.
_FRESH_SECONDS = 10.0
_known: dict[Path, tuple[float, History]] = {}


def cost_metadata(asset: NotebookAsset) -> dict[str, Any]:
    """What Dagster shows of an asset before it is launched; nothing without prices."""
    component = asset.component
    try:
        platform = policy_in_force(type(component), asset.project_root)
    except DagbookError:
        return {}  # Said where the rules are asked.
    limits = component.limits
    expected = _expected(
        platform,
        asset.project_root,
        notebook=component.notebook,
        key="/".join(asset.key.path),
        size=component.compute_size,
        hours=None if limits is None else limits.max_runtime_hours,
        max_cost=None if limits is None else limits.max_cost_usd,
    )
    if expected is None or expected.cost is None:
        return {}
    told = {"expected_cost": str(expected.words())}
    count = _count(asset.partitions)
    if count > 1:
        told["expected_cost_of_all_partitions"] = str(expected.words(count))
    return told


def foreseen(
    attributes: Mapping[str, Any],
    project_root: Path,
    key: str,
    component_class: type[NotebookRunnerComponent] | None = None,
) -> list[str]:
    """The expected cost of a sound component, of a backfill, and advice, a line each.

    Args:
        attributes: what stands below ``attributes:`` in its YAML.
        project_root: its project.
        key: the asset's key.
        component_class: a company's own class, if the YAML names one.

    Raises:
        DagbookError: a platform file cannot be used.
    """
    if component_class is None:
        platform = find_platform(project_root)
    else:
        platform = policy_in_force(component_class, project_root)
    size_name = attributes.get("compute_size") or platform.default_size
    size = platform.sizes.get(str(size_name))
    if size is None:
        return []
    limits = attributes.get("limits")
    limits = limits if isinstance(limits, Mapping) else {}
    notebook = str(attributes.get("notebook"))
    expected = _expected(
        platform,
        project_root,
        notebook=notebook,
        key=key,
        size=size.name,
        hours=_number(limits.get("max_runtime_hours")),
        max_cost=_number(limits.get("max_cost_usd")),
    )
    lines = []
    if expected is not None and (words := expected.words()) is not None:
        lines.append(f"expected cost: {words}")
        count = _count(_partitions_of(attributes))
        if count > 1:
            lines.append(f"a backfill of all partitions: {expected.words(count)}")
    team = platform.team_of(notebook)
    uses = _history(project_root).of(key, size.name)
    advice = advise_size(platform, size, None if team is None else team.team, uses)
    return [*lines, advice] if advice is not None else lines


def _expected(
    platform: Platform,
    project_root: Path,
    *,
    notebook: str,
    key: str,
    size: str | None,
    hours: float | None,
    max_cost: float | None,
) -> Expected | None:
    found = platform.sizes.get(size or platform.default_size)
    if found is None or found.price_per_hour is None:
        return None
    case = Case(Request(notebook, asset=key), platform, platform.team_of(notebook))
    budgets = [money for money in (approved_budget(case), max_cost) if money is not None]
    uses = _history(project_root).of(key, found.name)
    return expected_cost(
        found,
        platform.currency,
        good_runs=[use.seconds for use in uses if use.succeeded],
        longest=None if hours is None else hours * HOUR,
        run_budget=min(budgets, default=None),
    )


def _history(project_root: Path) -> History:
    """What is known of a project's runs; nothing where that cannot be found out here."""
    now = time.monotonic()
    read_at, history = _known.get(project_root, (0.0, History()))
    if project_root in _known and now - read_at < _FRESH_SECONDS:
        return history
    try:
        ledger = ledger_of_project(project_root)
        history = History() if ledger is None else read_history(ledger)
    except DagbookError:
        history = History()
    _known[project_root] = (now, history)
    return history


def _partitions_of(attributes: Mapping[str, Any]) -> dg.PartitionsDefinition[str] | None:
    given = attributes.get("partitions")
    if not isinstance(given, Mapping):
        return None
    kind: Any = StaticPartitions if given.get("type") == "static" else TimePartitions
    try:
        return build_partitions(TypeAdapter(kind).validate_python(dict(given)), None)
    except (DagbookError, ValidationError):
        return None


def _count(partitions: dg.PartitionsDefinition[str] | None) -> int:
    return 1 if partitions is None else partitions.get_num_partitions()


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
