"""Names a connection in the components of a notebook, and takes that back."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dagbook.component_index import Component
from dagbook.defs_yaml import ComponentFile, shown_path
from dagbook.errors import DagbookError
from dagbook.preflight.finding import Fix
from dagbook.project import Project

KIND = "connection"
_RESOURCES = ("attributes", "resources")


def connection_edits(fix: Fix, components: Sequence[Component]) -> list[Mapping[str, Any]]:
    """What a fix of this kind changes, as plain data; nothing where it is of another kind.

    Each edit says what it expects to find::

        {"edit": "resource", "file": "shop/defs/churn/defs.yaml", "document": 0,
         "key": "database", "before": null, "after": "analytics_prod"}
    """
    if fix.kind != KIND:
        return []
    key, name = str(fix.arguments["key"]), str(fix.arguments["connection"])
    edits: list[Mapping[str, Any]] = []
    for component in components:
        before = component.document.get((*_RESOURCES, key))
        if before != name:
            edits.append(
                {
                    "edit": "resource",
                    "file": component.path.relative_to(component.project.root).as_posix(),
                    "document": component.document.index,
                    "key": key,
                    "before": before,
                    "after": name,
                }
            )
    return edits


def edited_files(project: Project, edits: Sequence[Mapping[str, Any]]) -> list[ComponentFile]:
    """The component files with the edits made, not yet written.

    Raises:
        DagbookError: one of them no longer reads as it did, or what it becomes could not be run.
    """
    files: dict[str, ComponentFile] = {}
    for edit in edits:
        path = project.root / Path(edit["file"])
        file = files.setdefault(edit["file"], ComponentFile.load(path))
        at = (*_RESOURCES, edit["key"])
        index = int(edit["document"])
        if index >= len(file.documents) or file.documents[index].get(at) != edit["before"]:
            raise DagbookError(f"{shown_path(path)}: was changed meanwhile; look at it again")
        document = file.documents[index]
        if edit["after"] is None:
            document.delete(at)
            if not document.get(_RESOURCES):
                document.delete(_RESOURCES)
            continue
        if document.get(_RESOURCES):
            document.set(at, edit["after"])
        else:
            document.set(_RESOURCES, {edit["key"]: edit["after"]})
        _refuse_unusable(project, file, index)
    return list(files.values())


def undoing(edits: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The edits that take these back."""
    return [{**edit, "before": edit["after"], "after": edit["before"]} for edit in reversed(edits)]


def is_connection_edit(edit: Mapping[str, Any]) -> bool:
    """Whether an edit is of this kind, and not one of a notebook."""
    return edit.get("edit") == "resource"


def _refuse_unusable(project: Project, file: ComponentFile, index: int) -> None:
    if importlib.util.find_spec("dagster") is None:
        return  # the place that runs them checks it
    from dagbook.validation import document_problems

    for problem in document_problems(file.documents[index], project):
        if problem.key.startswith("resources"):
            raise DagbookError(f"nothing was written. {problem}")
