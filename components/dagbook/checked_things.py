"""What was checked of a sound component and what was found, a line for each thing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dagbook.component_types import find_component_type, runs_notebooks
from dagbook.defs_yaml import Document
from dagbook.platform_in_force import platform_in_force
from dagbook.policy.attribute_defaults import with_defaults
from dagbook.policy.platform import BUILT_IN_PLATFORM
from dagbook.project import Project

_MOST_NAMES = 6

#: Behind a schedule, where the platform file has `rules.require_trial`.
TRIAL = ", only after the notebook has run well once as it is"


def checked_things(document: Document, project: Project) -> Iterator[str]:
    """Say of a component without a problem what was looked at: ``kernel: python3``.

    Args:
        document: the component; it was validated, and nothing was found.
        project: its project.
    """
    lines = document.file.text.count("\n") + (not document.file.text.endswith("\n"))
    yield f"YAML: safe to load, {lines} {'line' if lines == 1 else 'lines'}"
    yield f"component: {document.type}"
    attributes = document.attributes
    yield f"attributes: {_listed(list(attributes)) if attributes else 'none'}"
    component = find_component_type(document.type, document.file.path, project)
    if runs_notebooks(component):
        yield from _of_notebook(component, attributes, project)


def _of_notebook(
    component_class: type[Any], attributes: dict[str, Any], project: Project
) -> Iterator[str]:
    from dagbook.notebook import read_notebook
    from dagbook.notebook_runner.checks import kernel_of, loaded_as

    component = loaded_as(attributes, component_class)
    if component.schema_version is not None or component.current_schema_version > 1:
        current = component.current_schema_version
        version = component.schema_version or 1
        yield f"schema version: {version}" + ("" if version == current else f", read as {current}")
    notebook = read_notebook(project.root / component.notebook, within=project.root)
    code = sum(cell.cell_type == "code" for cell in notebook.cells)
    checks = [cell.role.name for cell in notebook.checks if cell.role and cell.role.name]
    said = f", checks {_listed(checks)}" if checks else ""
    cells = "cell" if code == 1 else "cells"
    yield f"notebook: {component.notebook}, {code} {cells} of code{said}"
    if component.engine == "dagbook":
        yield f"parameters: {_parameters(notebook, component.parameters)}"
        yield f"kernel: {kernel_of(component, notebook)}, installed"
    platform = platform_in_force(project, component_class)
    trial = TRIAL if platform.rules.require_trial and component.schedule is not None else ""
    yield f"schedule: {_schedule(attributes)}{trial}"
    size = platform.sizes.get(with_defaults(attributes, platform)["compute_size"])
    yield f"size: {component.compute_size if size is None else size.label}"
    if component.resources:
        named = [f"{name} ({key})" for key, name in component.resources.items()]
        yield f"connections: {_listed(named)}"
    built_in = platform.version == BUILT_IN_PLATFORM.version
    where = "built in, no platform file" if built_in else f"version {platform.version}"
    yield f"policy: nothing against it ({where})"


def _parameters(notebook: Any, given: dict[str, Any]) -> str:
    parameters = notebook.parameters
    if not parameters:
        return "the notebook has none"
    own = [p.name for p in parameters if p.name not in given and not p.required]
    asked = [p.name for p in parameters if p.name not in given and p.required]
    parts = [
        f"{_listed(list(given))} from the YAML" if given else "",
        f"{_listed(own)} as in the notebook" if own else "",
        f"{_listed(asked)} to be given at launch" if asked else "",
    ]
    return "; ".join(part for part in parts if part)


def _schedule(attributes: dict[str, Any]) -> str:
    from dagbook.scheduling import next_runs, said_schedule

    words = said_schedule(attributes)
    if words is None:
        return "none, it runs when it is launched"
    moments = next_runs(attributes, 1)
    return f"{words}, next run {moments[0].strftime('%a %d %b %Y %H:%M %Z')}" if moments else words


def _listed(names: list[str]) -> str:
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
