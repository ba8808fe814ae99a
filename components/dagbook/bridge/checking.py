"""Verbs that check settings, and say what they would cost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagbook.bridge.known_types import notebook_type, require_trusted_type
from dagbook.bridge.located import clashes, located
from dagbook.bridge.planning import as_asked, key_of, require_component
from dagbook.bridge.verbs import Asked
from dagbook.bridge_protocol import BridgeError, Code
from dagbook.checked_things import checked_things
from dagbook.defs_yaml import ComponentFile, Document, shown_path
from dagbook.errors import DagbookError
from dagbook.project import Project
from dagbook.validation import importable


def validate(
    asked: Asked,
    notebook: str | None = None,
    attributes: dict[str, Any] | None = None,
    component: str | None = None,
    type: str | None = None,
    text: str | None = None,
    file: str | None = None,
) -> dict[str, Any]:
    """Everything wrong with attributes, or with the text of a component file, with its place."""
    project = asked.project
    if text is not None:
        return _validate_text(asked, project, text, file)
    if notebook is None:
        raise BridgeError(Code.INVALID_REQUEST, "`validate` needs `notebook` or `text`")
    if attributes is None:
        found = asked.index.choose(notebook, component)
        if found is None:
            raise DagbookError(f"{notebook} is not scheduled: there is nothing to check")
        document = found.document
    else:
        document = as_asked(asked, project, notebook, attributes, component, type)
    return _checked(asked, project, [document])


def cost(
    asked: Asked,
    notebook: str,
    attributes: dict[str, Any] | None = None,
    component: str | None = None,
    type: str | None = None,
) -> dict[str, Any]:
    """What a run will probably cost and what would be cheaper, a line each; nothing unpriced."""
    from dagbook.notebook_runner.foreseen import foreseen

    project = asked.project
    if attributes is None:
        found = require_component(asked, notebook, component)
        document, key = found.document, found.key
    else:
        document = as_asked(asked, project, notebook, attributes, component, type)
        key = key_of(document, project)
    class_ = notebook_type(asked, project, document.type)
    return {"lines": foreseen(document.attributes, project.root, key, class_)}


def _validate_text(asked: Asked, project: Project, text: str, file: str | None) -> dict[str, Any]:
    path = project.root / file if file else project.defs_folder / "new" / "defs.yaml"
    try:
        documents = ComponentFile(path, text, before=None).documents
    except DagbookError as error:
        place, _, rest = str(error).removeprefix(f"{shown_path(path)}:").partition(": ")
        line = int(place) if place.isdigit() else 1
        return {
            "valid": False,
            "errors": [
                {"loc": [], "msg": rest or str(error), "line": line, "column": 1, "by": "yaml"}
            ],
            "text": text,
        }
    return _checked(asked, project, documents)


def _checked(asked: Asked, project: Project, documents: Sequence[Document]) -> dict[str, Any]:
    errors: list[dict[str, Any]] = []
    for document in documents:
        require_trusted_type(asked, document.type)
        errors += located(document, project)
    if not errors:
        errors += clashes(documents, asked)
    return {
        "valid": not errors,
        "errors": errors,
        "warnings": [] if errors else _warnings(asked, project, documents),
        "checked": [] if errors else _looked_at(project, documents),
        "text": documents[0].file.text if documents else "",
    }


def _looked_at(project: Project, documents: Sequence[Document]) -> list[str]:
    """What was looked at and found, a line each, of a single component."""
    if len(documents) != 1:
        return []
    with importable(project):
        return list(checked_things(documents[0], project))


def _warnings(asked: Asked, project: Project, documents: Sequence[Document]) -> list[str]:
    from dagbook.component_types import runs_notebooks
    from dagbook.notebook_runner.policy_problems import policy_warnings

    found: list[str] = []
    for document in documents:
        if isinstance(document.attributes.get("notebook"), str):
            class_ = notebook_type(asked, project, document.type)
            if runs_notebooks(class_):
                key = key_of(document, project)
                found += policy_warnings(document.attributes, class_, project.root, key)
    return found
