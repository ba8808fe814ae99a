"""Everything that is said of one component, wherever it is said."""

from __future__ import annotations

from dataclasses import dataclass

from dagbook.catalogue.attributes import Attribute, describe_attributes
from dagbook.catalogue.changelog import find_changelog
from dagbook.catalogue.entries import Entry
from dagbook.catalogue.examples import find_example
from dagbook.catalogue.usage import count_notebooks
from dagbook.platform_in_force import platform_in_force
from dagbook.policy.platform import Platform
from dagbook.project import Project


@dataclass(frozen=True)
class Description:
    """One component under the policy in force for it."""

    entry: Entry
    platform: Platform
    attributes: tuple[Attribute, ...]
    example: str | None
    schema_version: int | None
    """The version its YAML is written for; None for a component that knows no versions"""
    older_versions: tuple[int, ...]
    """Which it reads as well"""
    notebooks: int | None
    """How many notebooks of the project run by it; None for one that runs no notebooks"""
    allowed: bool
    """Whether the platform lets the project use it"""

    @property
    def required(self) -> list[Attribute]:
        """What has to be written."""
        return [attribute for attribute in self.attributes if attribute.required]

    @property
    def optional(self) -> list[Attribute]:
        """What may be written."""
        return [attribute for attribute in self.attributes if not attribute.required]

    @property
    def changelog(self) -> str | None:
        """The changelog of its package, in Markdown."""
        return find_changelog(self.entry.package)


def describe_entry(entry: Entry, project: Project | None) -> Description:
    """Describe a component that can be loaded, as it is in a project."""
    component = entry.component
    assert component is not None
    platform = platform_in_force(project, component)
    types = platform.rules.component_types
    is_ours = entry.runs_notebooks
    return Description(
        entry=entry,
        platform=platform,
        attributes=tuple(describe_attributes(component, platform)),
        example=find_example(entry, platform, project),
        schema_version=component.current_schema_version if is_ours else None,
        older_versions=tuple(sorted(component.compatible_versions)) if is_ours else (),
        notebooks=count_notebooks(project).get(entry.name, 0) if project and is_ours else None,
        allowed=types is None or entry.name in types,
    )
