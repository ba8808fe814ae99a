"""What the platform's connections put into the environment of a notebook's scheduled runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from dagbook.component_index import Component
from dagbook.context import ENVIRONMENT_VARIABLE
from dagbook.errors import DagbookError
from dagbook.policy.presence import has_platform_file
from dagbook.project import Project

if TYPE_CHECKING:
    from dagbook.preflight.given_environment import GivenEnvironment


def given_environment(
    path: Path, project: Project | None, components: Sequence[Component]
) -> GivenEnvironment | None:
    """Ask the rules what a notebook's runs find in their environment, and what they could.

    Of several components only what each of them names is there for certain.

    Returns:
        None where no platform file says anything, or it cannot be used, which is told elsewhere.
    """
    if project is None or not has_platform_file(project.root):
        return None
    from dagbook.policy.attribute_defaults import with_defaults
    from dagbook.policy.environment_at_night import environment_at_night
    from dagbook.policy.platform_file import find_platform

    try:
        platform = find_platform(project.root)
    except DagbookError:
        return None
    name, here = project.relative(path), os.environ.get(ENVIRONMENT_VARIABLE) or None
    found = [
        environment_at_night(
            platform,
            name,
            with_defaults(component.document.attributes, platform),
            asset=component.key,
            environment=here,
        )
        for component in components
    ]
    if not found:
        return environment_at_night(platform, name, environment=here)
    names = frozenset.intersection(*(each.names for each in found))
    return replace(found[0], names=names)
