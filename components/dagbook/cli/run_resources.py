"""Which connections `dagbook run` hands a notebook: those that its component names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagbook.errors import DagbookError, did_you_mean
from dagbook.policy.platform import Platform


def resources_of(
    root: Path, notebook: str, platform: Platform, chosen: str | None
) -> Mapping[str, Any]:
    """What the notebook's component names under ``resources``, with the platform's defaults.

    Args:
        root: the project.
        notebook: relative to it, with forward slashes.
        platform: the policy in force; one that gives no connections spares the search.
        chosen: the component's name or asset key, where several run the notebook.

    Raises:
        DagbookError: several that differ in it run the notebook, or none is called so.
    """
    if not platform.resources and chosen is None:
        return {}
    from dagbook.component_index import components_of
    from dagbook.policy.attribute_defaults import with_defaults
    from dagbook.project import find_project

    project = find_project(root)
    components = [] if project is None else components_of(project, notebook)
    if chosen is not None:
        known = [component.name for component in components]
        components = [c for c in components if chosen.strip("/") in (c.name, c.key)]
        if not components:
            raise DagbookError(
                f"no component `{chosen[:60]}` runs {notebook}. {did_you_mean(chosen, known)}"
            )
    found = [with_defaults(c.document.attributes, platform).get("resources") for c in components]
    named = [dict(each) if isinstance(each, Mapping) else {} for each in found]
    if any(each != named[0] for each in named):
        names = ", ".join(f"`{component.name}`" for component in components)
        raise DagbookError(
            f"{notebook} is run by the components {names}, whose `resources` differ: say which one "
            "with --component"
        )
    return named[0] if named else {}
