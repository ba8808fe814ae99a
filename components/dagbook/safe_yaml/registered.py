"""Which component types a project may name, found out without importing any of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from dagbook.project import Project, read_dg_table

#: Where packages tell Dagster which modules hold their components, and where they once did.
ENTRY_POINT_GROUPS = (
    "dagster_dg_cli.registry_modules",
    "dagster_dg_cli.plugin",
    "dagster_dg.plugin",
    "dagster_dg.library",
)


@dataclass(frozen=True)
class Registry:
    """The modules whose components a project may use.

    A module that ends in ``.*`` stands for every module right below it, as in
    ``registry_modules`` of ``dg.toml``.
    """

    modules: frozenset[str]

    @classmethod
    def of(cls, project: Project | None) -> Registry:
        """The registry of this Python environment, with what the project itself registers."""
        # Slow, and nobody who only parses YAML needs it.
        import importlib.metadata

        # All at once: each question for a group reads what every package says.
        points = importlib.metadata.entry_points()
        found = {
            entry.value for group in ENTRY_POINT_GROUPS for entry in points.select(group=group)
        }
        if project is not None:
            found |= set(own_modules(project))
        return cls(frozenset(found))

    def knows(self, type_name: str) -> bool:
        """Whether the module of a type is registered."""
        module = type_name.rpartition(".")[0]
        return module in self.modules or f"{module.rpartition('.')[0]}.*" in self.modules


def own_modules(project: Project) -> Iterable[str]:
    """The modules that a project itself registers, as its configuration names them."""
    table: Any = read_dg_table(project.config_file) or {}
    settings = table.get("project", {})
    modules = settings.get("registry_modules", []) if isinstance(settings, dict) else []
    return [module for module in modules if isinstance(module, str)] if modules else []
