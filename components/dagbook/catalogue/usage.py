"""How much of a project uses each component."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping

from dagbook.component_index import index_components
from dagbook.project import Project


def count_notebooks(project: Project) -> Mapping[str, int]:
    """How many notebooks of a project run by each component type, by the name in the YAML."""
    notebooks: dict[str, set[str]] = defaultdict(set)
    for component in index_components(project).components:
        notebooks[component.document.type or ""].add(component.notebook)
    return {name: len(found) for name, found in notebooks.items()}
