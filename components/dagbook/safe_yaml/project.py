"""Screens a whole project at once, in one line ahead of Dagster's own loader."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from dagbook.errors import DagbookError
from dagbook.project import Project, folders_below
from dagbook.safe_yaml.registered import Registry
from dagbook.safe_yaml.rules import Refusal, ScreeningRules
from dagbook.safe_yaml.screen import Screened, screen_file

PYTHON_REFUSED = "Python below `defs` is not allowed in this project: put it into a package"


class Screening:
    """What the component files of one project are screened by."""

    def __init__(
        self, project: Project, rules: ScreeningRules | None = None, *, read_again: bool = False
    ) -> None:
        self.project = project
        self.rules = rules or ScreeningRules()
        self._root = project.root.resolve()
        self._read_again = read_again

    @cached_property
    def registry(self) -> Registry:
        """The modules whose components the project may use."""
        return Registry.of(self.project)

    def screen(self, file: Path) -> Screened:
        """Read and screen one component file."""
        return screen_file(
            file, self.rules, self.registry, inside=self._root, read_again=self._read_again
        )

    def python_refusals(self, folder: Path) -> list[Refusal]:
        """The Python files below a folder, where the project allows none."""
        if self.rules.python_below_defs:
            return []
        return [
            Refusal(path, 1, PYTHON_REFUSED)
            for inner in folders_below(folder)
            for path in sorted(inner.glob("*.py"))
            if holds_python(path)
        ]


@dataclass(frozen=True)
class ScreenedProject:
    """What was looked at: the project and how many component files it has."""

    project: Project
    files: int


def refuse_unsafe(project: Project, rules: ScreeningRules) -> ScreenedProject:
    """Look at every component file of a project before somebody else loads them.

    Raises:
        DagbookError: a file is refused; the text has its place and the reason of the first.
    """
    screening = Screening(project, rules, read_again=True)
    files = project.component_paths()
    refusals = [refusal for path in files for refusal in screening.screen(path).refusals]
    refusals += screening.python_refusals(project.defs_folder)
    if refusals:
        more = f" ({len(refusals) - 1} more: `dagbook validate`)" if len(refusals) > 1 else ""
        raise DagbookError(f"{refusals[0]}{more}")
    return ScreenedProject(project, len(files))


def holds_python(path: Path) -> bool:
    """Whether a Python file does anything; an `__init__.py` with a docstring does not."""
    import ast

    if path.name != "__init__.py":
        return True
    try:
        body = ast.parse(path.read_text("utf-8")).body
    except (OSError, SyntaxError, ValueError):
        return True
    return not all(
        isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body
    )
