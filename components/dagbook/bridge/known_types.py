"""The component types there are here, and which of them may be looked at."""

from __future__ import annotations

from typing import Any

from dagbook.bridge.verbs import Asked
from dagbook.bridge_protocol import BridgeError, Code
from dagbook.component_types import find_component_type, runs_notebooks
from dagbook.errors import DagbookError
from dagbook.project import Project
from dagbook.safe_yaml.registered import Registry
from dagbook.scheduling import COMPONENT_TYPE
from dagbook.trust import untrusted_text
from dagbook.validation import importable


def require_trusted_type(asked: Asked, name: Any) -> None:
    """Refuse a type that only code of the project can explain, where nobody trusted that code.

    What is installed with this Python was installed by its user.

    Raises:
        BridgeError: it is one.
    """
    if asked.is_trusted or not isinstance(name, str) or "." not in name:
        return
    if not Registry.of(None).knows(name):
        raise BridgeError(Code.UNTRUSTED, untrusted_text(asked.root))


def notebook_type(asked: Asked, project: Project, name: str | None) -> type[Any]:
    """The class of a component that runs notebooks; ours by default.

    Raises:
        DagbookError: there is none of that name, or it runs none.
    """
    name = name or COMPONENT_TYPE
    require_trusted_type(asked, name)
    with importable(project):
        found = find_component_type(name, project.defs_folder / "defs.yaml", project)
        if not runs_notebooks(found):
            raise DagbookError(f"`{name}` runs no notebooks")
    return found
