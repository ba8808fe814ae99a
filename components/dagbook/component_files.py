"""Which component files somebody means who names a file, a folder, a project or a notebook."""

from __future__ import annotations

import os
from pathlib import Path

from dagbook.component_index import index_components
from dagbook.errors import DagbookError
from dagbook.policy.presence import PLATFORM_FILE_NAME
from dagbook.project import COMPONENT_FILE_NAMES, Project, absolute_path, require_project


def component_files_of(path: Path) -> tuple[Project, list[Path]]:
    """The project of a path and the component files it means.

    Raises:
        DagbookError: it does not exist, lies in no project, or means none.
    """
    if not os.path.lexists(path):
        raise DagbookError(f"{path} does not exist")
    project = require_project(path)
    absolute = absolute_path(path)
    if path.suffix in (".ipynb", ".py", ".md") and path.is_file():
        name = project.relative(path)
        files = [c.path for c in index_components(project).of_notebook(name)]
        if not files:
            raise DagbookError(
                f'no component runs {name}: `dagbook schedule {path} "daily 06:00"` makes one'
            )
        return project, files
    if absolute == project.root / PLATFORM_FILE_NAME:
        return project, []  # is looked at whatever else is
    if path.is_file():
        if path.suffix not in (".yaml", ".yml"):
            raise DagbookError(f"{path} is neither a component file nor a notebook")
        return project, [absolute]
    every = project.component_paths()
    if absolute == project.root or project.defs_folder.is_relative_to(absolute):
        return project, every
    files = [file for file in every if file.is_relative_to(absolute)]
    if not files:
        names = ", ".join(COMPONENT_FILE_NAMES)
        raise DagbookError(f"{path} holds no component file ({names})")
    return project, files
