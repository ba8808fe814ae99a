"""Where packages and projects say which modules hold their components."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dagbook.project import Project, read_dg_table

#: Where packages tell Dagster which modules hold their components, and where they once did.
ENTRY_POINT_GROUPS = (
    "dagster_dg_cli.registry_modules",
    "dagster_dg_cli.plugin",
    "dagster_dg.plugin",
    "dagster_dg.library",
)


def own_modules(project: Project) -> Iterable[str]:
    """The modules that a project itself registers, as its configuration names them."""
    table: Any = read_dg_table(project.config_file) or {}
    settings = table.get("project", {})
    modules = settings.get("registry_modules", []) if isinstance(settings, dict) else []
    return [module for module in modules if isinstance(module, str)] if modules else []
