"""What one run may use, decided when it starts, with the rules as they are then."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagbook.context import DEFAULT_ENVIRONMENT, ENVIRONMENT_VARIABLE
from dagbook.execution.allowance import Allowance, allowance_of
from dagbook.notebook import Notebook
from dagbook.notebook_runner.patience import patiently
from dagbook.notebook_runner.policy_problems import policy_in_force
from dagbook.notebook_runner.policy_request import (
    attributes_of,
    effective,
    judge,
    request_of,
)
from dagbook.policy.connections import Entitlement
from dagbook.policy.entitlement import entitle
from dagbook.policy.platform import Platform
from dagbook.policy.request import Decision, Request
from dagbook.policy.sizes import HOUR, Size

if TYPE_CHECKING:
    from dagbook.notebook_runner.asset import NotebookAsset
    from dagbook.notebook_runner.component import NotebookRunnerComponent

#: Set on runs that nobody started by hand, and that nobody may be watching.
_UNWATCHED = (
    "dagster/schedule_name",
    "dagster/sensor_name",
    "dagster/from_automation_condition",
    "dagster/auto_materialize",
)
#: With run retries switched on, Dagster itself launches a failed run so often again.
_MAX_RETRIES_TAG = "dagster/max_retries"
#: So many runs of a notebook are looked through for one of it as it is now.
_RUNS_LOOKED_AT = 200


#: The size that whoever runs it in this very process asked for; no tag and no config says it.
_asked_size: ContextVar[str | None] = ContextVar("asked_size", default=None)


@contextmanager
def asking_for_size(size: str | None) -> Iterator[None]:
    """Ask for another size than the component's, for runs in this process meanwhile.

    It is judged as if the YAML said it. None asks for nothing.
    """
    token = _asked_size.set(size)
    try:
        yield
    finally:
        _asked_size.reset(token)


@dataclass(frozen=True)
class Asked:
    """What a launch asks for, and what the rules say to it."""

    component: NotebookRunnerComponent
    """With the platform's defaults"""
    platform: Platform
    request: Request
    decision: Decision


@dataclass(frozen=True)
class Grant:
    """What the run may use. Nothing else is looked at from here on."""

    component: NotebookRunnerComponent
    platform: Platform
    request: Request
    allowance: Allowance
    entitlement: Entitlement
    """The connections it may use, and the plain values it is given"""

    @property
    def size(self) -> Size:
        """The size it runs in."""
        return self.allowance.size

    @property
    def kernel(self) -> str | None:
        """The kernel it runs on; None for the notebook's own."""
        # Where kernels are judged, the very one that was: none that is installed meanwhile.
        judged = self.platform.rules.kernels is not None
        return self.request.kernel if judged else self.component.kernel

    @property
    def run_seconds(self) -> float | None:
        """How long the run may take; None for as long as its size allows."""
        limits = self.component.limits
        hours = None if limits is None else limits.max_runtime_hours
        return None if hours is None else hours * HOUR

    @property
    def cell_seconds(self) -> float | None:
        """How long a cell may take; None for as long as the run."""
        asked = self.component.timeout
        # A notebook that says nothing gets no more than one that asks.
        bound = self.platform.bounds.get("timeout")
        most = None if bound is None else bound.maximum
        return min((seconds for seconds in (asked, most) if seconds is not None), default=None)

    @property
    def retries(self) -> int:
        """How often a try may follow another."""
        retries = self.component.retries
        asked = 0 if retries is None else retries.max
        return asked if self.most_retries is None else min(asked, self.most_retries)

    @property
    def most_retries(self) -> int | None:
        """How often a try may follow another, whoever asks for it."""
        return self.platform.rules.maximum_retries


def ask(context: dg.AssetExecutionContext, asset: NotebookAsset, notebook: Notebook) -> Asked:
    """Ask the rules about one launch: the platform file and the notebook as they are now.

    Args:
        context: the run, whose tags count.
        asset: what is run, as it was loaded.
        notebook: as it was read for this very run.

    Raises:
        DagbookError: the platform file cannot be read.
    """
    written = asset.written or asset.component
    platform = policy_in_force(type(written), asset.project_root)
    component = effective(written, platform)
    tags = context.run.tags
    scheduled = any(tag in tags for tag in _UNWATCHED)
    request = request_of(
        component,
        project_root=asset.project_root,
        asset="/".join(asset.key.path),
        notebook=notebook,
        scheduled=scheduled,
        tried=_has_run_well(context, asset, notebook)
        if scheduled and platform.rules.require_trial
        else None,
        attributes={
            **_changed_by_launch(component, platform, tags.get(_MAX_RETRIES_TAG)),
            # Judged as if the YAML said it.
            **({} if (size := _asked_size.get()) is None else {"compute_size": size}),
        },
        environment=os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_ENVIRONMENT,
    )
    if asset.scratch is not None:
        # Of a sample, where a connection may be used is judged once it is known whose it is.
        request = replace(request, environment=None)
    return Asked(component, platform, request, judge(component, request, platform))


def granted(asked: Asked) -> Grant:
    """What a run may use of what it asks for.

    Raises:
        DagbookError: it may not run: the first objection, and how many more there are.
    """
    allowance = allowance_of(asked.request, asked.decision, asked.platform)
    return Grant(
        asked.component,
        asked.platform,
        asked.request,
        allowance,
        entitle(asked.request, asked.platform),
    )


def _changed_by_launch(
    component: NotebookRunnerComponent, platform: Platform, max_retries: str | None
) -> dict[str, Any]:
    """What tags and the environment would change, so that it is judged as if YAML said it."""
    changed: dict[str, Any] = {}
    attributes = attributes_of(component)
    again = _number_in(max_retries)
    if again is not None:
        retries = attributes.get("retries") or {"max": 0}
        changed["retries"] = {**retries, "max": max(retries.get("max", 1), again)}
    # Where a tracking server is nobody's choice but the platform's, the environment has none.
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    names_none = component.experiment.tracking_uri is None and not platform.tracking.tracking_uri
    if uri and names_none and (platform.tracking.allowed_uris or platform.tracking.connection):
        changed["experiment"] = {**attributes.get("experiment", {}), "tracking_uri": uri}
    return changed


def _number_in(tag: str | None) -> int | None:
    # As Dagster reads it, to which ` +5` is a number.
    try:
        return None if tag is None else int(tag)
    except ValueError:
        return None


def _has_run_well(
    context: dg.AssetExecutionContext, asset: NotebookAsset, notebook: Notebook
) -> bool:
    version = asset.code_version(notebook)
    found = patiently(
        lambda: context.instance.fetch_materializations(asset.key, limit=_RUNS_LOOKED_AT)
    )
    entries = (
        record.asset_materialization.metadata.get("code_version")
        for record in found.records
        if record.asset_materialization is not None
    )
    return any(entry is not None and entry.value == version for entry in entries)
