"""Where a component stands: its file, and the key it has when it names none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from dagbook.project import component_file_in, find_project


@dataclass(frozen=True)
class Place:
    """A component's file and its key by default; nothing of both for one made without a project."""

    file: Path | None
    key: tuple[str, ...]

    @property
    def label(self) -> str:
        """The place as errors name it."""
        return str(self.file) if self.file is not None else "NotebookRunnerComponent"


def find_place(context: dg.ComponentLoadContext) -> Place:
    """Find out where a component stands.

    The key is the folder below ``defs``. Several components may be made in one Python file: there
    the function's name is the key's last part.
    """
    path = getattr(context.component_loc, "file_path", None)
    if not isinstance(path, Path):
        return Place(None, ())
    folder = path if path.is_dir() else path.parent
    project = find_project(folder)
    if project is not None and folder.is_relative_to(project.defs_folder):
        parts = folder.relative_to(project.defs_folder).parts
        name = project.module
    else:
        parts = folder.relative_to(context.defs_module_path).parts
        name = folder.name
    if path.suffix == ".py" and path.name != "component.py":
        function = context.component_path.instance_key
        return Place(path, (*parts, str(function or path.stem)))
    return Place(component_file_in(folder) or path, parts or (name,))
