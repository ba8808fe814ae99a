"""Component files written for an older version of their component, and what they become."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagbook.component_files import component_files_of
from dagbook.component_types import find_component_type, runs_notebooks
from dagbook.defs_yaml import ComponentFile, Document
from dagbook.errors import DagbookError
from dagbook.policy.screening import screening_rules
from dagbook.project import Project
from dagbook.safe_yaml import Screened, Screening, ScreeningRules
from dagbook.validation import importable
from dagbook.yaml_edit import same


@dataclass(frozen=True)
class Fix:
    """What one file becomes; nothing is written before :meth:`write`."""

    file: ComponentFile
    notes: tuple[str, ...]
    """What changes, a line for each component"""

    def write(self) -> bool:
        """Write the file in one step; says whether there was anything to write.

        Raises:
            DagbookError: it cannot be written, or was changed meanwhile.
        """
        return self.file.write()


@dataclass
class Fixes:
    """The files that change, and why others are left as they are, a line for each."""

    fixes: list[Fix] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def plan_fixes(paths: Sequence[Path], rules: ScreeningRules | None = None) -> Fixes:
    """Work out what component files become that were written for older versions.

    A file that is refused, or whose component would not load afterwards, is left as it is:
    ``dagbook validate`` says what is wrong with it.

    Args:
        paths: files, folders, projects, notebooks.
        rules: what component files may hold, instead of what a platform file says.

    Raises:
        DagbookError: a path does not exist or lies in no project.
    """
    chosen: dict[Path, tuple[Project, set[Path]]] = {}
    for path in paths:
        project, found = component_files_of(path)
        chosen.setdefault(project.root, (project, set()))[1].update(found)
    planned = Fixes()
    for project, files in chosen.values():
        screening = Screening(project, rules or screening_rules(project))
        with importable(project):
            for file in sorted(files):
                screened = screening.screen(file)
                if screened.refusals:
                    continue
                try:
                    fix = _fix_of(screened, project)
                except DagbookError as error:
                    planned.left.append(str(error))
                    continue
                if fix is not None:
                    planned.fixes.append(fix)
    return planned


def _fix_of(screened: Screened, project: Project) -> Fix | None:
    """What a file becomes; None when it is written for today's versions.

    Raises:
        DagbookError: it is written in a way that cannot be changed safely.
    """
    before = screened.data.decode()
    file = ComponentFile(screened.path, before, before=screened.data)
    notes = [note for document in file.documents if (note := _bring_up(document, project))]
    if not notes:
        return None
    file.restore_comments(before)
    return Fix(file, tuple(notes))


def _bring_up(document: Document, project: Project) -> str | None:
    from dagbook.notebook_runner.checks import find_yaml_problems
    from dagbook.notebook_runner.versions import VERSION_KEY, find_migration

    try:
        component = find_component_type(document.get(("type",)), document.file.path, project)
        if not runs_notebooks(component):
            return None
        migration = find_migration(component, document.attributes)
    except DagbookError:
        return None  # validation says so, with its line
    if migration is None or find_yaml_problems(migration.attributes, project.root, component):
        return None
    _rewrite(document, migration.attributes)
    return f"{document.type}: {VERSION_KEY} {migration.old} → {migration.new}"


def _rewrite(document: Document, attributes: dict[str, Any]) -> None:
    for old, new in _renamed(document.attributes, attributes):
        document.rename(("attributes", old), new)
    document.set(("attributes",), attributes)


def _renamed(before: dict[str, Any], after: dict[str, Any]) -> list[tuple[str, str]]:
    """Keys that are gone where one new key has just their value: most likely their new names."""
    gone = [key for key in before if key not in after]
    new = [key for key in after if key not in before]
    found = []
    for key in gone:
        alike = [name for name in new if same(before[key], after[name])]
        others = [name for name in gone if same(before[key], before[name])]
        if len(alike) == 1 and len(others) == 1:
            found.append((key, alike[0]))
    return found
