"""Runs a notebook as a sample: for real, in the smallest size it may use, recorded nowhere.

What comes out lies in a folder of its own; the Dagster instance it ran in is thrown away.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.component_files import component_files_of
from dagbook.component_index import Component
from dagbook.component_types import find_component_type, runs_notebooks
from dagbook.defs_yaml import ComponentFile, shown_path
from dagbook.errors import DagbookError
from dagbook.notebook import read_notebook, resolve_parameters
from dagbook.platform_in_force import platform_in_force
from dagbook.project import Project
from dagbook.validation import importable, validate_paths

if TYPE_CHECKING:
    import dagster as dg


@dataclass(frozen=True)
class SampleRun:
    """What one sample run came to."""

    component: str
    notebook: str
    partition: str | None
    size: str
    folder: Path
    """Holds all that it left"""
    result: dg.ExecuteInProcessResult

    @property
    def succeeded(self) -> bool:
        """Whether everything ran, and no blocking check failed."""
        return bool(self.result.success)

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the run told Dagster: of its materialisation, or of its failure."""
        for event in reversed(self.result.all_events):
            data = event.step_failure_data if event.is_step_failure else None
            if data is not None and data.user_failure_data is not None:
                return {k: v.value for k, v in data.user_failure_data.metadata.items()}
            if event.is_step_materialization:
                found = event.step_materialization_data.materialization.metadata
                return {name: value.value for name, value in found.items()}
        return {}


def components_in(path: Path) -> tuple[Project, list[Component]]:
    """The components that run notebooks among those that a file means; each is sound.

    Args:
        path: a notebook or a component file.

    Raises:
        DagbookError: it means none, or one of them would not load; the text is the first finding.
    """
    if path.is_dir():
        raise DagbookError(f"{path} is a folder: name a notebook or a component file")
    project, files = component_files_of(path)
    report = validate_paths([path])
    if report.findings:
        more = len(report.findings) - 1
        rest = f" ({more} more: `dagbook validate {path}`)" if more else ""
        raise DagbookError(f"{report.findings[0]}{rest}")
    documents = [document for file in files for document in ComponentFile.load(file).documents]
    with importable(project):
        found = [
            Component(project, document)
            for document in documents
            if runs_notebooks(find_component_type(document.type, document.file.path, project))
        ]
    if path not in files and path.suffix in (".ipynb", ".py", ".md"):
        name = project.relative(path)
        found = [component for component in found if component.notebook == name]
    if not found:
        raise DagbookError(f"no component in {shown_path(path)} runs a notebook")
    return project, found


def run_sample(component: Component, parameters: Mapping[str, str]) -> SampleRun:
    """Run a component's notebook once, now.

    With the values of its YAML and the notebook's defaults, for the last complete partition where
    it has any, and in the smallest size that the platform allows it.

    Args:
        component: what to run; it was validated.
        parameters: other values, as typed.

    Raises:
        DagbookError: it cannot be loaded, or a value is refused.
    """
    import dagster as dg

    from dagbook.notebook_runner.asset import op_name
    from dagbook.notebook_runner.sample import Sample, loading_for
    from dagbook.tour import run_asset

    project, path = component.project, component.path
    with importable(project):
        class_ = find_component_type(component.document.type, path, project)
    size = smallest_size(component, class_)
    config = _config(component, parameters)
    folder = Path(tempfile.mkdtemp(prefix="dagbook-test-"))
    with tempfile.TemporaryDirectory(prefix="dagbook-home-") as home:
        overrides = {"telemetry": {"enabled": False}}
        with dg.DagsterInstance.local_temp(home, overrides) as instance:
            with importable(project), loading_for(Sample(folder, size)):
                defs = definitions_of(project, path)
            key = dg.AssetKey(component.key.split("/"))
            partition = last_partition(defs, key, component)
            result = run_asset(
                defs.resolve_implicit_global_asset_job_def(),
                instance,
                component.key,
                partition,
                {op_name(key): {"config": config}} if config else None,
            )
    return SampleRun(component.name, component.notebook, partition, size, folder, result)


def smallest_size(component: Component, component_class: type[Any]) -> str:
    """The smallest size that a notebook may use: by GPUs, then memory, then processors.

    Raises:
        DagbookError: it may use none.
    """
    from dagbook.policy.decision import options

    platform = platform_in_force(component.project, component_class)
    choices = options(platform, component.notebook, asset=component.key)
    allowed = [platform.sizes[choice.name] for choice in choices if choice.allowed]
    if not allowed:
        raise DagbookError(f"{component.notebook}: {choices[0].reason}")
    return min(allowed, key=lambda size: (size.gpus, size.memory_bytes, size.cpus)).name


def schedule_name(key: str) -> str:
    """The name of the schedule of an asset, by its key."""
    from dagster import AssetKey

    from dagbook.notebook_runner.asset import op_name

    return f"{op_name(AssetKey(key.split('/')))}_schedule"


def definitions_of(project: Project, path: Path) -> dg.Definitions:
    """What one component file makes, screened; the project must be importable.

    Raises:
        DagbookError: it cannot be loaded.
    """
    import dagster as dg

    from dagbook.location_trees import quiet
    from dagbook.location_units import load_units
    from dagbook.policy.screening import screening_rules
    from dagbook.safe_yaml import Screening

    with quiet():
        units = list(load_units(Screening(project, screening_rules(project)), path.parent))
    for unit in units:
        if unit.fault is not None:
            raise DagbookError(unit.fault.text)
    return dg.Definitions.merge(*(unit.defs for unit in units if unit.defs is not None))


def _config(component: Component, typed: Mapping[str, str]) -> dict[str, Any]:
    if not typed:
        return {}
    project = component.project
    if component.document.attributes.get("engine") == "dagstermill":
        raise DagbookError("-p is for dagbook's own engine: write the values into the YAML")
    notebook = read_notebook(project.root / component.notebook, within=project.root)
    try:
        resolved = resolve_parameters(notebook, typed, from_text=True, complete=False)
    except DagbookError as error:
        # Of a notebook, its path in the project says enough.
        raise DagbookError(str(error).replace(f"{project.root}/", "")) from None
    return {"parameters": {name: resolved[name] for name in typed}}


def last_partition(defs: dg.Definitions, key: dg.AssetKey, component: Component) -> str | None:
    """The last complete partition of a component; None where it has no partitions.

    Raises:
        DagbookError: none is complete yet.
    """
    import dagster as dg

    from dagbook.notebook_runner.partitions import last_complete_partition

    partitions = defs.resolve_assets_def(key).partitions_def
    if partitions is None:
        return None
    if isinstance(partitions, dg.TimeWindowPartitionsDefinition):
        last = last_complete_partition(partitions, datetime.now(UTC))
    else:
        keys = partitions.get_partition_keys()
        last = keys[-1] if keys else None
    if last is None:
        raise DagbookError(
            f"{component.name} has no complete partition yet: it can be tried when the first ends"
        )
    return last
