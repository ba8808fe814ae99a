"""What the bridge can be asked, and which process answers it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagbook.component_index import ComponentIndex
    from dagbook.project import Project


class Where(Enum):
    """Who answers."""

    FRONT = "front"  # needs no component's code, and is answered whatever that code does
    WORKER = "worker"  # needs Dagster and the components
    RUN = "run"  # runs a notebook, in a process of its own


@dataclass(frozen=True)
class Verb:
    """One thing to ask for."""

    name: str
    where: Where
    function: str
    """``module:function``, imported when it is first asked for"""
    needs_trust: bool = False
    """Whether there is no answer without the project's own code"""
    changes: bool = False
    """Whether something is different afterwards: then it is never asked a second time"""


@dataclass(frozen=True)
class Asked:
    """What a verb is asked about, and how it tells of progress."""

    root: Path
    is_trusted: bool
    tell: Callable[[Mapping[str, Any]], None] = lambda _: None

    @cached_property
    def project(self) -> Project:
        """The project.

        Raises:
            DagbookError: the folder is none yet; the text says how to make one.
        """
        from dagbook.project import require_project

        return require_project(self.root)

    @cached_property
    def index(self) -> ComponentIndex:
        """The project's components, read once for each question.

        Raises:
            DagbookError: the folder is no project.
        """
        from dagbook.component_index import index_components

        return index_components(self.project)


def _verbs() -> dict[str, Verb]:
    front, worker, run = Where.FRONT, Where.WORKER, Where.RUN
    found = [
        Verb("parameters", front, "dagbook.bridge.notebooks:parameters"),
        Verb("findings", front, "dagbook.bridge.night:findings"),
        Verb("next_ticks", front, "dagbook.bridge.notebooks:ticks"),
        Verb("services", front, "dagbook.bridge.services:services", needs_trust=True),
        Verb("reload", front, "dagbook.bridge.services:reload", needs_trust=True),
        Verb("pause", worker, "dagbook.bridge.services:pause", needs_trust=True, changes=True),
        Verb("resume", worker, "dagbook.bridge.services:resume", needs_trust=True, changes=True),
        Verb("catalogue", worker, "dagbook.bridge.forms:catalogue"),
        Verb("form_schema", worker, "dagbook.bridge.forms:schema"),
        Verb("options", worker, "dagbook.bridge.forms:options"),
        Verb("settings", worker, "dagbook.bridge.settings:settings"),
        Verb("validate", worker, "dagbook.bridge.checking:validate"),
        Verb("preview", worker, "dagbook.bridge.settings:preview"),
        Verb("diff", worker, "dagbook.bridge.settings:diff"),
        Verb("write", worker, "dagbook.bridge.settings:write", changes=True),
        Verb("remove", worker, "dagbook.bridge.settings:remove", changes=True),
        Verb("cost", worker, "dagbook.bridge.checking:cost"),
        Verb("runs", worker, "dagbook.bridge.runs:runs", needs_trust=True),
        Verb("state", worker, "dagbook.bridge.runs:state"),
        Verb(
            "cancel_run", worker, "dagbook.bridge.runs:cancel_run", needs_trust=True, changes=True
        ),
        Verb("trial", run, "dagbook.bridge.trial:run_trial", needs_trust=True),
    ]
    return {verb.name: verb for verb in found}


VERBS: Mapping[str, Verb] = _verbs()
