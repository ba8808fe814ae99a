"""Verbs about a notebook's settings: read, preview, compare, write and remove them.

What is written is planned by the very function that `dagbook schedule` plans with, so the same
choices make the same bytes.
"""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from typing import Any

from dagbook.bridge.planning import (
    default_size,
    digest,
    plan_change,
    require_component,
    said_times,
    told_plan,
)
from dagbook.bridge.verbs import Asked
from dagbook.bridge_protocol import BridgeError, Code
from dagbook.changes_in_words import changes_in_words, in_one_line
from dagbook.defs_yaml import ComponentFile, shown_path
from dagbook.errors import DagbookError
from dagbook.new_project import project_made_for
from dagbook.project import find_project
from dagbook.scheduling import COMPONENT_TYPE

#: Of a question that names no `base`: nothing is compared.
UNCHECKED = "unchecked"


def settings(asked: Asked, notebook: str, component: str | None = None) -> dict[str, Any]:
    """What is written for a notebook, and the `base` that a later `write` is compared with."""
    found = asked.index.choose(notebook, component)
    if found is None:
        return {"component": None, "type": COMPONENT_TYPE, "attributes": {}, "base": None}
    document = found.document
    return {
        "component": found.name,
        "type": document.type,
        "key": found.key,
        "attributes": document.attributes,
        "file": shown_path(found.path),
        "base": digest(found.path),
        "text": document.file.text,
        **said_times(document.attributes),
    }


def preview(
    asked: Asked,
    notebook: str,
    attributes: dict[str, Any] | None = None,
    wish: dict[str, Any] | None = None,
    component: str | None = None,
    type: str | None = None,
) -> dict[str, Any]:
    """What `write` would write, to the byte."""
    planned = plan_change(asked, notebook, attributes, wish, component, type, checked=False)
    return told_plan(planned)


def diff(
    asked: Asked,
    notebook: str,
    attributes: dict[str, Any] | None = None,
    wish: dict[str, Any] | None = None,
    component: str | None = None,
    type: str | None = None,
) -> dict[str, Any]:
    """What would become different, in words."""
    told = told_plan(plan_change(asked, notebook, attributes, wish, component, type, checked=False))
    return {name: told[name] for name in ("words", "changes", "diff", "changed")}


def write(
    asked: Asked,
    notebook: str,
    attributes: dict[str, Any] | None = None,
    wish: dict[str, Any] | None = None,
    component: str | None = None,
    type: str | None = None,
    base: str | None = UNCHECKED,
    init: bool = False,
) -> dict[str, Any]:
    """Write settings in one step; nothing is written that could not run."""
    with ExitStack() as stack:
        made = None
        if init and find_project(asked.root) is None:
            if not (asked.root / notebook).is_file():
                raise DagbookError(f"{notebook} does not exist in {asked.root}")
            made, _ = stack.enter_context(project_made_for(asked.root))
        planned = plan_change(asked, notebook, attributes, wish, component, type, checked=True)
        _refuse_changed(planned.plan.file, base)
        told = told_plan(planned)
        told["written"] = planned.plan.write()
        told["made_project"] = None if made is None else made.module
        told["base"] = digest(planned.plan.file.path)
        return told


def remove(
    asked: Asked, notebook: str, component: str | None = None, base: str | None = UNCHECKED
) -> dict[str, Any]:
    """Take a notebook's component out, with its file and the folder it leaves empty."""
    found = require_component(asked, notebook, component)
    file = found.document.file
    if len(file.documents) > 1:
        raise DagbookError(
            f"{shown_path(file.path)} holds {len(file.documents)} components: take this one out "
            "by hand"
        )
    _refuse_changed(file, base)
    try:
        file.path.unlink()
        folder = file.path.parent
        while folder != found.project.defs_folder and not any(folder.iterdir()):
            folder.rmdir()
            folder = folder.parent
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise DagbookError(f"cannot remove {shown_path(file.path)}: {reason}") from None
    changes = changes_in_words(found.document.attributes, None, default_size(found.project))
    return {"file": shown_path(file.path), "text": file.text, "words": in_one_line(changes)}


def _refuse_changed(file: ComponentFile, base: str | None) -> None:
    """Refuse to write over what somebody else wrote since.

    Raises:
        BridgeError: they did.
    """
    now = digest(file.path)
    if base in (UNCHECKED, now):
        return
    text = "Settings were removed on disk"
    if now is not None:
        when = time.localtime(file.path.stat().st_mtime)
        text = f"Settings changed on disk at {time.strftime('%H:%M', when)}"
    raise BridgeError(Code.CHANGED, text, {"file": shown_path(file.path), "base": now})
