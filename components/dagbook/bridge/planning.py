"""Plans a change of settings as `dagbook schedule` does, and says what it comes to."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagbook.bridge.forms import schema_of
from dagbook.bridge.known_types import notebook_type, require_trusted_type
from dagbook.bridge.verbs import Asked
from dagbook.bridge.wishes import wish_of_form
from dagbook.bridge_protocol import BridgeError, Code
from dagbook.changes_in_words import changes_in_words, in_one_line
from dagbook.component_index import Component, index_components
from dagbook.defs_yaml import ComponentFile, Document, shown_path
from dagbook.errors import DagbookError
from dagbook.policy.sizes_in_force import sizes_in_force
from dagbook.project import Project
from dagbook.scheduling import COMPONENT_TYPE, Plan, Wish, next_runs, plan_schedule, said_schedule


def plan_change(
    asked: Asked,
    notebook: str,
    attributes: Mapping[str, Any] | None,
    wish: Mapping[str, Any] | None,
    component: str | None,
    type_name: str | None,
    *,
    checked: bool,
) -> Plan:
    """What to write so that a notebook has these attributes, or so that a wish comes true.

    Raises:
        DagbookError: it cannot be.
    """
    project = asked.project
    found = index_components(project).choose(notebook, component)
    now = None if found is None else found.document.type
    require_trusted_type(asked, type_name or now)
    if (attributes is None) == (wish is None):
        raise BridgeError(Code.INVALID_REQUEST, "give either `attributes` or `wish`")
    if attributes is not None:
        name = type_name or now or COMPONENT_TYPE
        class_ = notebook_type(asked, project, name)
        asset = None if found is None else found.key
        schema = schema_of(project, class_, notebook, asset, name)["dataSchema"]
        before = {} if found is None else found.document.attributes
        asked_for = wish_of_form(attributes, before, schema, type_name)
    else:
        assert wish is not None
        asked_for = _wish(wish, type_name)
    path = project.root / notebook
    return plan_schedule(project, path, asked_for, component=component, checked=checked)


def as_asked(
    asked: Asked,
    project: Project,
    notebook: str,
    attributes: Mapping[str, Any],
    component: str | None,
    type_name: str | None,
) -> Document:
    """The document that would be written; where nothing can be planned, one as it was asked for."""
    try:
        plan = plan_change(asked, notebook, attributes, None, component, type_name, checked=False)
        return document_in(plan)
    except BridgeError:
        raise
    except DagbookError:
        index = index_components(project)
        found = index.choose(notebook, component)
        path = index.new_folder(notebook) / "defs.yaml" if found is None else found.path
        name = type_name or (found.document.type if found else None) or COMPONENT_TYPE
        given = {k: v for k, v in attributes.items() if v not in (None, "", [], {})}
        return ComponentFile.new(path, name, {"notebook": notebook, **given}).documents[0]


def told_plan(plan: Plan) -> dict[str, Any]:
    """A plan as answers have it."""
    document = document_in(plan)
    before = _before(plan)
    after = document.attributes
    changes = changes_in_words(before, after, default_size(plan.project))
    return {
        "file": shown_path(plan.file.path),
        "component": plan.component,
        "key": key_of(document, plan.project),
        "created": plan.created,
        "changed": plan.file.changed,
        "text": plan.file.text,
        "base": digest(plan.file.path),
        "diff": plan.file.diff(),
        "words": in_one_line(changes) or "nothing changes",
        "changes": [
            {
                "loc": list(change.keys),
                "label": change.label,
                "before": change.before,
                "after": change.after,
                "words": change.words,
            }
            for change in changes
        ],
        **said_times(after),
    }


def document_in(plan: Plan) -> Document:
    """The component that a plan is about, as it would be written."""
    name, _, number = plan.component.rpartition(":")
    return plan.file.documents[int(number) - 1 if name and number.isdigit() else 0]


def said_times(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """A schedule in words, and when it comes next."""
    return {
        "schedule": said_schedule(attributes),
        "next_runs": [moment.isoformat() for moment in next_runs(attributes, 3)],
    }


def require_component(project: Project, notebook: str, component: str | None) -> Component:
    """The component of a notebook.

    Raises:
        DagbookError: it has none, or several.
    """
    found = index_components(project).choose(notebook, component)
    if found is None:
        raise DagbookError(f'{notebook} is not scheduled: say when, for example "daily 06:00"')
    return found


def digest(path: Path) -> str | None:
    """What a file's bytes come to; None where there is none.

    Raises:
        DagbookError: it cannot be read.
    """
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise DagbookError(f"cannot read {shown_path(path)}: {reason}") from None


def default_size(project: Project) -> str:
    """The size of a component that names none."""
    return sizes_in_force(project.root)[1]


def key_of(document: Document, project: Project) -> str:
    """The key of a component's asset, its parts separated by slashes."""
    key = document.attributes.get("key")
    return key if isinstance(key, str) else "/".join(project.asset_key(document.file.path))


def _wish(given: Mapping[str, Any], type_name: str | None) -> Wish:
    known = {"schedule": str, "timezone": str, "size": str, "parameters": dict, "attributes": dict}
    for name, value in given.items():
        if name not in known or not isinstance(value, known[name] | None):
            raise BridgeError(
                Code.INVALID_REQUEST,
                f"`wish` takes {', '.join(known)}, as `dagbook schedule` does: see `{name}`",
            )
    return Wish(**given, type=type_name)


def _before(plan: Plan) -> dict[str, Any] | None:
    if plan.created:
        return None
    index = index_components(plan.project)
    found = next((c for c in index.components if c.name == plan.component), None)
    return None if found is None else found.document.attributes
