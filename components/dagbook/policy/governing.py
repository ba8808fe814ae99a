"""Which project's platform file governs a folder, where projects lie in one another."""

from __future__ import annotations

from pathlib import Path

from dagbook.errors import DagbookError
from dagbook.policy.presence import has_platform_file
from dagbook.project import find_project


def governing_root(folder: Path) -> Path | None:
    """The innermost project around a folder that has a platform file; None: nothing governs it.

    A project made inside of another leads nowhere unless it has a platform file of its own.

    Raises:
        DagbookError: the settings of a project on the way cannot be read.
    """
    inside: Path | None = folder
    while inside is not None and (project := find_project(inside)) is not None:
        if has_platform_file(project.root):
            return project.root
        inside = None if project.root == project.root.parent else project.root.parent
    return None


def refuse_inner_project(project_root: Path) -> None:
    """Refuse the components of a project that lies in one with a platform file and has none.

    Which folder is whose, the other file says of its own project only.

    Raises:
        DagbookError: it does.
    """
    outer = governing_root(project_root)
    if outer is not None and outer != project_root:
        raise DagbookError(
            f"the project {project_root} lies in {outer}, whose platform file would not hold for "
            "it: give it a platform file of its own, or move it out"
        )
