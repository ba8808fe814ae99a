"""The code location of a project that has no Python of its own.

Named in ``dg.toml`` as ``code_location_target_module = "dagbook.location"``, it finds the project
upward from the working directory (or where DAGBOOK_PROJECT says), screens each component file and
loads it by itself: one that is refused or cannot be loaded is set aside, visible in Dagster with
file, line and reason, and its neighbours load.
"""

from __future__ import annotations

import gc
import logging
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg

from dagbook.errors import DagbookError
from dagbook.location_conflicts import Unit, set_conflicts_aside, set_first_to_blame_aside
from dagbook.location_faults import Fault
from dagbook.location_trees import quiet
from dagbook.location_units import load_units
from dagbook.notebook_runner.place import components_of
from dagbook.policy.presence import PLATFORM_FILE_NAME, has_platform_file
from dagbook.policy.screening import screening_rules
from dagbook.project import Project, require_project
from dagbook.safe_yaml import Screening, ScreeningRules

PROJECT_VARIABLE = "DAGBOOK_PROJECT"

_log = logging.getLogger("dagbook")


@dg.definitions
def defs() -> dg.Definitions:
    """Everything in the project that can be loaded, and a placeholder for what cannot."""
    return load_project(require_project(os.environ.get(PROJECT_VARIABLE) or Path.cwd()))


def load_project(project: Project, rules: ScreeningRules | None = None) -> dg.Definitions:
    """Load a project folder by folder, each component file only after it has been screened.

    The cost grows with the number of components, not with its square as Dagster's own loader's
    does, and no component can take another down.

    Args:
        project: the project.
        rules: what its component files may hold, instead of what its platform file says.
    """
    for folder in (project.root, project.import_root):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    try:
        screening = Screening(project, rules or screening_rules(project))
        approved = _approved_keys(project)
    except DagbookError as error:
        return _nothing_loads(project, error)
    with _without_collection(), quiet(), components_of(project):
        return _load(screening, approved)


def _nothing_loads(project: Project, error: DagbookError) -> dg.Definitions:
    """Every component set aside: what they may do, nobody knows."""
    _log.warning("set aside: every component, for %s", error)
    file = project.root / PLATFORM_FILE_NAME
    placed = re.match(rf"(?:.*/)?{re.escape(file.name)}:(\d+):(.*)", str(error))
    fault = Fault(file, placed[2].strip(), int(placed[1])) if placed else Fault(file, str(error))
    folders = dict.fromkeys(path.parent for path in project.component_paths())
    return _merge(project, [Unit(folder, None, fault) for folder in folders])


def _approved_keys(project: Project) -> set[str]:
    if not has_platform_file(project.root):
        return set()
    from dagbook.policy.platform_file import find_platform

    return {approval.asset for approval in find_platform(project.root).approvals}


def _load(screening: Screening, approved: set[str]) -> dg.Definitions:
    project = screening.project
    units = list(load_units(screening, project.defs_folder))
    set_conflicts_aside(units, approved)
    while True:
        try:
            merged = _merge(project, units)
            # What is resolved here is kept in `merged`: Dagster does not do it again.
            dg.Definitions.validate_loadable(merged)
        except Exception:
            if not any(unit.defs is not None for unit in units):
                raise
            set_first_to_blame_aside(units)
        else:
            break
    for unit in units:
        if unit.fault is not None:
            _log.warning("set aside: %s", unit.fault.text)
    return merged


@contextmanager
def _without_collection() -> Iterator[None]:
    # Nearly all that is made here stays: looking for garbage in it is a tenth of the time.
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _merge(project: Project, units: list[Unit]) -> dg.Definitions:
    return dg.Definitions.merge(
        *(unit.defs for unit in units if unit.defs is not None),
        dg.Definitions(assets=_placeholders(project, units)),
    )


def _placeholders(project: Project, units: list[Unit]) -> list[dg.AssetSpec]:
    taken = {key for unit in units for key in unit.dependencies}
    placeholders = []
    for unit in units:
        if unit.fault is None:
            continue
        parts = list(unit.folder.relative_to(project.defs_folder).parts) or [project.module]
        key = dg.AssetKey(parts)
        while key in taken:
            key = dg.AssetKey([*key.path[:-1], f"{key.path[-1]}_set_aside"])
        taken.add(key)
        placeholders.append(_placeholder(key, unit.fault))
    return placeholders


def _placeholder(key: dg.AssetKey, fault: Fault) -> dg.AssetSpec:
    metadata: dict[str, dg.MetadataValue] = {
        "file": dg.MetadataValue.path(str(fault.file)),
        "reason": dg.MetadataValue.text(fault.reason),
    }
    if fault.line is not None:
        metadata["line"] = dg.MetadataValue.int(fault.line)
    return dg.AssetSpec(
        key,
        description=f"Set aside, because it cannot be loaded: {fault.text}",
        metadata=metadata,
        kinds={"error"},
    )
