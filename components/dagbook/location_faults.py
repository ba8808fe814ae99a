"""Why a component could not be loaded: file, line and reason, for a reader of one line."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagbook.errors import DagbookError
from dagbook.project import Project, component_file_in

OUR_TYPE = "dagbook.NotebookRunnerComponent"

_LENGTH = 500


@dataclass(frozen=True)
class Fault:
    """What is wrong with one folder. `line` counts from 1, where it is known."""

    file: Path
    reason: str
    line: int | None = None

    @property
    def text(self) -> str:
        """The fault as one line: ``models/churn/defs.yaml:4: …``."""
        at = f":{self.line}" if self.line is not None else ""
        return f"{self.file}{at}: {self.reason}"


def find_fault(project: Project, folder: Path, error: Exception) -> Fault:
    """Say what is wrong with a folder that could not be loaded, and where."""
    file = component_file_in(folder)
    if file is None:
        return fault_from(error, folder)
    fault = fault_from(error, file)
    found = _faults_in_yaml(project, file)
    if isinstance(_cause(error), DagbookError):
        # Our own words for it: all that is missing is the line.
        return next((other for other in found if other.reason == fault.reason), fault)
    return found[0] if found else _fault_in_values(_cause(error), file) or fault


def fault_from(error: BaseException, file: Path) -> Fault:
    """Take the reason from an exception: that of the deepest cause, on one line."""
    cause = _cause(error)
    text = re.sub(r"\s+", " ", str(cause)).strip()
    if not isinstance(cause, DagbookError):
        text = f"{type(cause).__name__}: {text}"
    if len(text) > _LENGTH:
        text = text[:_LENGTH] + " …"
    return _split(text, file)


def _cause(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _faults_in_yaml(project: Project, file: Path) -> list[Fault]:
    """What our own check finds, which knows lines and nearest words."""
    from dagbook.defs_yaml import ComponentFile
    from dagbook.notebook_runner.checks import find_yaml_problems

    try:
        documents = ComponentFile.load(file, allow_duplicates=True).documents
    except DagbookError as error:
        return [_split(str(error), file)]
    asset = "/".join(project.asset_key(file))
    try:
        return [
            Fault(file, str(problem), document.position(("attributes", *problem.loc))[0])
            for document in documents
            if (found := _notebook_runner(document.type)) is not None
            for problem in find_yaml_problems(document.attributes, project.root, found, asset=asset)
        ]
    except DagbookError:
        return []  # the platform file is at fault, and its own words say where


def _fault_in_values(cause: BaseException, file: Path) -> Fault | None:
    """What is wrong with a value that only Dagster knew: a name in braces stands in the file."""
    from pydantic import ValidationError

    if not isinstance(cause, ValidationError):
        return None
    from dagbook.defs_yaml import ComponentFile
    from dagbook.notebook_runner.schema_errors import schema_problems

    for document in ComponentFile.load(file, allow_duplicates=True).documents:
        component_class = _notebook_runner(document.type)
        if component_class is not None and component_class.__name__ == cause.title:
            loc, text = schema_problems(cause, component_class)[0]
            line = document.position(("attributes", *loc))[0]
            return Fault(file, f"{'.'.join(map(str, loc))}: {text}", line)
    return None


def _notebook_runner(type_name: str | None) -> Any:
    """Our component, or a company's that extends it; of what was imported to load the file."""
    from dagbook.notebook_runner.component import NotebookRunnerComponent

    module, _, name = (type_name or "").rpartition(".")
    found = getattr(sys.modules.get(module), name, None)
    is_ours = isinstance(found, type) and issubclass(found, NotebookRunnerComponent)
    return found if is_ours else None


def _split(text: str, file: Path) -> Fault:
    """Take the file and its line out of a text that begins with them."""
    begins = re.match(rf"{re.escape(str(file))}:(?:(\d+):)? (.*)", text)
    if begins is None:
        return Fault(file, text)
    line, rest = begins.groups()
    return Fault(file, rest, int(line) if line else None)
