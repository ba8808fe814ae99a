"""The policy of a project, for those who have none at all to pay nothing for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.policy.governing import refuse_inner_project
from dagbook.policy.presence import has_platform_file

if TYPE_CHECKING:
    from dagbook.notebook import Notebook
    from dagbook.notebook_runner.component import NotebookRunnerComponent
    from dagbook.policy.platform import Platform
    from dagbook.policy.request import Objection


def platform_for(
    component_class: type[NotebookRunnerComponent], project_root: Path
) -> Platform | None:
    """The policy that components of a class are held against in a project; None without one.

    Raises:
        DagbookError: a platform file cannot be used.
    """
    from dagbook.notebook_runner.component import NotebookRunnerComponent

    has_file = has_platform_file(project_root)
    if not has_file:
        refuse_inner_project(project_root)
    own_rules = component_class.more_rules is not NotebookRunnerComponent.more_rules
    if component_class.platform or own_rules or has_file:
        return policy_in_force(component_class, project_root)
    return None


def policy_in_force(component_class: type[NotebookRunnerComponent], project_root: Path) -> Platform:
    """The policy for components of a class in a project: as the files say now, or the defaults.

    Raises:
        DagbookError: a platform file cannot be used.
    """
    from dagbook.policy.package_platform import platform_of

    return platform_of(project_root, component_class)


def with_defaults(
    component: NotebookRunnerComponent, platform: Platform | None
) -> NotebookRunnerComponent:
    """The component with the platform's defaults for what its YAML leaves out.

    Raises:
        DagbookError: a default of the platform file cannot be a value of this component.
    """
    if platform is None:
        return component
    from dagbook.notebook_runner.policy_request import effective

    return effective(component, platform)


def policy_objections(
    component: NotebookRunnerComponent,
    project_root: Path,
    platform: Platform,
    asset: str | None,
    notebook: Notebook | None,
) -> tuple[Objection, ...]:
    """What the rules say to a component before anybody launches it.

    Args:
        component: with the platform's defaults.
        project_root: the folder that its notebook is relative to.
        platform: the policy.
        asset: its key, the parts separated by slashes.
        notebook: as it is now; without it nothing of what it says is judged.
    """
    from dagbook.notebook_runner.policy_request import judge, request_of

    request = request_of(component, project_root=project_root, asset=asset, notebook=notebook)
    return judge(component, request, platform).objections


def policy_warnings(
    attributes: Mapping[str, Any],
    component_class: type[NotebookRunnerComponent],
    project_root: Path,
    asset: str,
) -> tuple[str, ...]:
    """What is allowed and still worth a word, such as an approval that ends soon.

    Args:
        attributes: what stands below ``attributes:`` in the YAML of a sound component.
        component_class: the class it names.
        project_root: the folder that its notebook is relative to.
        asset: its key, the parts separated by slashes.
    """
    platform = platform_for(component_class, project_root)
    if platform is None:
        return ()
    from dagbook.notebook_runner.checks import loaded_as
    from dagbook.notebook_runner.policy_request import judge, request_of

    component = with_defaults(loaded_as(attributes, component_class), platform)
    request = request_of(component, project_root=project_root, asset=asset)
    return judge(component, request, platform).warnings
