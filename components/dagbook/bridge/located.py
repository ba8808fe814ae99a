"""Findings as a form and an editor place them: by the keys that lead there, and by the line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dagbook.component_index import index_components
from dagbook.component_keys import KeyTable
from dagbook.defs_yaml import Document
from dagbook.findings import Finding
from dagbook.project import Project
from dagbook.validation import document_problems


def located(document: Document, project: Project) -> list[dict[str, Any]]:
    """Everything wrong with one component; `by` is `rules` where the platform's rules object."""
    found = document_problems(document, project)
    if not found:
        return []
    # What is wrong whatever the platform says.
    without = {(f.key, f.text) for f in document_problems(document, project, judged=False)}
    return [
        _told(document, finding, "rules" if (finding.key, finding.text) not in without else "yaml")
        for finding in found
    ]


def clashes(documents: Sequence[Document], project: Project) -> list[dict[str, Any]]:
    """Keys that another component of the project has already, and circles of `deps`."""
    own = {(document.file.path, document.index) for document in documents}
    table = KeyTable(project)
    for component in index_components(project).components:
        document = component.document
        if (document.file.path, document.index) not in own:
            table.add(document)
    found = []
    mine = [document for document in documents if _runs_notebook(document)]
    for document in mine:
        if not document.file.path.is_relative_to(project.defs_folder):
            continue
        problem = table.add(document)
        if problem is not None:
            loc, text = problem
            line, column = document.position(loc)
            found.append(_error(list(loc[1:]), text, line, column, "yaml"))
    for document, way in table.circles(mine):
        line, column = document.position(("attributes", "deps"))
        text = f"lead back to where they start: {way}"
        found.append(_error(["deps"], text, line, column, "yaml"))
    return found


def _told(document: Document, finding: Finding, by: str) -> dict[str, Any]:
    loc = _keys(finding.key, document.attributes)
    return _error(loc, finding.text, finding.line, finding.column, by)


def _error(loc: list[Any], text: str, line: int, column: int, by: str) -> dict[str, Any]:
    return {"loc": loc, "msg": text, "line": line, "column": column, "by": by}


def _keys(dotted: str, attributes: Mapping[str, Any]) -> list[Any]:
    """The keys in a dotted name, where a key may itself hold dots."""
    keys: list[Any] = []
    at: Any = attributes
    parts = dotted.split(".") if dotted else []
    while parts:
        count = 1
        if isinstance(at, Mapping):
            joined = (n for n in range(len(parts), 0, -1) if ".".join(parts[:n]) in at)
            count = next(joined, 1)
        key: Any = ".".join(parts[:count])
        if isinstance(at, list) and key.isdigit():
            key = int(key)
        try:
            at = at[key]
        except (KeyError, IndexError, TypeError):
            at = None
        keys.append(key)
        parts = parts[count:]
    return keys


def _runs_notebook(document: Document) -> bool:
    return isinstance(document.attributes.get("notebook"), str)
