"""Where a component stands: its file, and the key it has when it names none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from dagbook.project import Project, component_file_in, find_project


@dataclass(frozen=True)
class Place:
    """A component's file and its key by default; nothing of both for one made without a project."""

    file: Path | None
    key: tuple[str, ...]

    @property
    def label(self) -> str:
        """The place as errors name it."""
        return str(self.file) if self.file is not None else "NotebookRunnerComponent"


_being_loaded: ContextVar[Project | None] = ContextVar("_being_loaded", default=None)


@contextmanager
def components_of(project: Project) -> Iterator[None]:
    """Spare each component the search for its project, while all of one are loaded."""
    token = _being_loaded.set(project)
    try:
        yield
    finally:
        _being_loaded.reset(token)


def find_place(context: dg.ComponentLoadContext) -> Place:
    """Find out where a component stands.

    The key is the folder below ``defs``. Several components may be made in one Python file: there
    the function's name is the key's last part.
    """
    path = getattr(context.component_loc, "file_path", None)
    if not isinstance(path, Path):
        return Place(None, ())
    file = component_file_in(path)
    folder = path if file is not None or path.is_dir() else path.parent
    project = _being_loaded.get() or find_project(context.project_root)
    if project is None or not folder.is_relative_to(project.defs_folder):
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
    return Place(file or component_file_in(folder) or path, parts or (name,))
