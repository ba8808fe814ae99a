"""The verb about what would go wrong with a notebook at night."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagbook.bridge.notebooks import read_of
from dagbook.bridge.verbs import Asked
from dagbook.component_index import Component
from dagbook.execution.situation import circumstances_of
from dagbook.night_environment import given_environment
from dagbook.notebook import parse_notebook
from dagbook.preflight.registry import findings as found_in
from dagbook.preflight.words import as_json
from dagbook.project import find_project


def findings(
    asked: Asked,
    notebook: str,
    component: str | None = None,
    document: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """What would go wrong with a notebook at night; nothing of it is run.

    With `document`, an editor's text is looked at that was not saved yet.
    """
    project = find_project(asked.root)
    path = asked.root / notebook
    read = read_of(asked, notebook) if document is None else parse_notebook(document, path)
    own = [] if project is None else asked.index.of_notebook(notebook)
    own = [c for c in own if component in (None, c.name, c.key)]
    circumstances = circumstances_of(
        read,
        None if project is None else project.root,
        kernel=_kernel(own),
        given=given_environment(path, project, own),
    )
    trial = circumstances.trial
    return {
        "findings": [as_json(finding) for finding in found_in(read, circumstances.situation)],
        "passed_trial": None
        if trial is None
        else {"executed_notebook": str(trial.executed), "started_at": trial.started_at},
        "notes": list(circumstances.notes),
    }


def _kernel(own: Sequence[Component]) -> str | None:
    """The kernel that the notebook's components choose, where they agree."""
    chosen = {component.document.attributes.get("kernel") for component in own}
    kernel = chosen.pop() if len(chosen) == 1 else None
    return kernel if isinstance(kernel, str) else None
