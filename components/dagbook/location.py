"""The code location of a project that has no Python of its own.

Named in ``dg.toml`` as ``code_location_target_module = "dagbook.location"``, it finds the project
upward from the working directory (or where DAGBOOK_PROJECT says) and loads each component by
itself: one that cannot be loaded is set aside, visible in Dagster with file, line and reason, and
its neighbours load.
"""

from __future__ import annotations

import ast
import logging
import os
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import dagster as dg

from dagbook.location_conflicts import Unit, set_conflicts_aside, set_first_to_blame_aside
from dagbook.location_faults import Fault, find_fault
from dagbook.project import Project, component_file_in, require_project

PROJECT_VARIABLE = "DAGBOOK_PROJECT"

_log = logging.getLogger("dagbook")


@dg.definitions
def defs() -> dg.Definitions:
    """Everything in the project that can be loaded, and a placeholder for what cannot."""
    return load_project(require_project(os.environ.get(PROJECT_VARIABLE) or Path.cwd()))


def load_project(project: Project) -> dg.Definitions:
    """Load a project folder by folder.

    The cost grows with the number of components, not with its square as Dagster's own loader's
    does, and no component can take another down.
    """
    for folder in (project.root, project.import_root):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    units = [_load(project, folder) for folder in _folders(project.defs_folder)]
    set_conflicts_aside(units)
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


def _folders(folder: Path) -> Iterator[Path]:
    """Every folder that is loaded as one, from the top.

    A folder with a component file is one, and so is one that holds Python of its own, with all
    that lies below it.
    """
    if not folder.is_dir():
        return
    if component_file_in(folder) is not None or any(map(_is_python, folder.glob("*.py"))):
        yield folder
        return
    for below in sorted(folder.iterdir()):
        if below.is_dir() and not below.name.startswith(".") and below.name != "__pycache__":
            yield from _folders(below)


def _is_python(path: Path) -> bool:
    if path.name != "__init__.py":
        return True
    try:
        body = ast.parse(path.read_text("utf-8")).body
    except (OSError, SyntaxError, ValueError):
        return True
    return not all(isinstance(node, ast.Expr) for node in body)


def _load(project: Project, folder: Path) -> Unit:
    try:
        with warnings.catch_warnings():
            # About how Dagster's own loader is made; nobody here can act on it.
            warnings.simplefilter("ignore", dg.BetaWarning)
            warnings.simplefilter("ignore", dg.PreviewWarning)
            tree = dg.ComponentTree.from_module(
                defs_module=_module(project, folder), project_root=project.root
            )
            return Unit(folder, tree.build_defs(folder))
    except Exception as error:
        return Unit(folder, None, find_fault(project, folder, error))


def _module(project: Project, folder: Path) -> ModuleType:
    # Not imported: a folder's name may hold a hyphen or a dot, and what is loaded lies in its
    # files. Relative Python in it is found through its parents, as always.
    parts = folder.relative_to(project.defs_folder).parts
    module = ModuleType(".".join([project.defs_module, *parts]))
    module.__file__ = None
    module.__path__ = [str(folder)]
    return module


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
