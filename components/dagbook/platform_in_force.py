"""The policy that holds for a component, in a project or outside of any."""

from __future__ import annotations

from typing import Any

from dagbook.policy.package_platform import package_platform, platform_of
from dagbook.policy.platform import BUILT_IN_PLATFORM, Platform
from dagbook.project import Project


def platform_in_force(project: Project | None, component: type[Any] | None = None) -> Platform:
    """The policy of a project, with what a component's package adds to it.

    Args:
        project: the project; None outside of any.
        component: a component class, whose package may have a platform file of its own.

    Raises:
        DagbookError: a platform file cannot be used.
    """
    if project is not None:
        return platform_of(project.root, component)
    return BUILT_IN_PLATFORM if component is None else package_platform(component)
