"""Putting a notebook on a schedule: what would be written, said in words, then written."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagbook.component_index import Component, index_components
from dagbook.cron import next_ticks
from dagbook.defs_yaml import ComponentFile, Document
from dagbook.errors import DagbookError
from dagbook.labels import LABELS
from dagbook.notebook import Notebook, read_notebook, resolve_parameters
from dagbook.policy.sizes import find_size
from dagbook.policy.sizes_in_force import sizes_in_force
from dagbook.project import Project
from dagbook.schedule_words import describe, parse_schedule
from dagbook.time_zones import find_zone, local_zone_name

COMPONENT_TYPE = "dagbook.NotebookRunnerComponent"

_SAID_ABOVE = {"notebook", "schedule", "compute_size", "parameters"}

_SCHEDULE = ("schedule",)
#: The order in which keys that a file does not have yet are written: as people read them.
_ORDER = tuple(name for name in LABELS if "." not in name)

#: What a schedule's time zone is when its YAML names none.
DEFAULT_TIMEZONE = "UTC"


@dataclass(frozen=True)
class Wish:
    """What is asked for a notebook. None leaves a thing as it is, or at its default."""

    schedule: str | None = None
    timezone: str | None = None
    size: str | None = None
    parameters: Mapping[str, Any] | None = None
    """Values; text is read by the type of its parameter, as typed"""
    attributes: Mapping[str, Any] | None = None
    """Other attributes of the component, by key; dots lead into nested ones"""
    removed: tuple[tuple[str, ...], ...] = ()
    """Attributes to take out, each as the keys that lead to it"""
    type: str | None = None
    """The component's type"""


@dataclass(frozen=True)
class Change:
    """One thing that becomes different. ``before`` is None where there was nothing."""

    key: str
    before: str | None
    after: str

    def __str__(self) -> str:
        return self.after if self.before is None else f"{self.before} → {self.after}"


@dataclass(frozen=True)
class Plan:
    """What putting a notebook on a schedule comes to, checked and not yet written."""

    project: Project
    notebook: str
    component: str
    file: ComponentFile
    created: bool
    cron: str
    timezone: str
    changes: tuple[Change, ...]

    @property
    def words(self) -> str:
        """The schedule in words: ``every day at 06:00 (Europe/Berlin)``."""
        return _in_words(self.cron, self.timezone)

    def next_runs(self, count: int = 3) -> list[datetime.datetime]:
        """When it runs next, in the schedule's time zone.

        Nothing where Dagster fills the schedule in from a template.
        """
        return _next_runs((self.cron, self.timezone), count)

    def write(self) -> bool:
        """Write the component file; says whether anything had to be written.

        Raises:
            DagbookError: the file cannot be written.
        """
        return self.file.write()


def plan_schedule(
    project: Project,
    notebook: Path,
    wish: Wish,
    *,
    component: str | None = None,
    checked: bool = True,
) -> Plan:
    """Work out what to write so that a notebook runs as wished. Nothing is written.

    Args:
        project: the project the notebook lies in.
        notebook: its file.
        wish: what is asked for.
        component: which component to change, where several run the notebook; a new name makes
            a further one.
        checked: refuse what Dagster could not load or run; a preview shows it all the same.

    Raises:
        DagbookError: something wished for does not exist, or several components would do.
    """
    name = _name_in(project, notebook)
    read = read_notebook(notebook, within=project.root)
    index = index_components(project)
    existing = index.choose(name, component)
    cron = parse_schedule(wish.schedule) if wish.schedule is not None else None
    if wish.timezone is not None:
        find_zone(wish.timezone)
    sizes, default_size = sizes_in_force(project.root)
    if wish.size is not None:
        find_size(wish.size, sizes)
    parameters = _parameters(read, wish.parameters or {})
    if existing is None:
        if cron is None and _SCHEDULE not in wish.removed:
            raise DagbookError(f'{name} has no schedule yet: say when, for example "daily 06:00"')
        folder = index.new_folder(name, component)
        file = ComponentFile.new(
            folder / "defs.yaml",
            wish.type or COMPONENT_TYPE,
            _attributes(name, cron, wish, parameters, default_size),
        )
        _set_others(file.documents[0], wish)
        before: Mapping[str, Any] = {}
        shown = folder.relative_to(project.defs_folder).as_posix()
    else:
        file, shown = existing.document.file, existing.name
        before = existing.document.attributes
        _update(existing, cron, wish, parameters, default_size)
    document = file.documents[existing.document.index if existing else 0]
    if checked:
        _require_sound(document, project)
    after = document.attributes
    now = _schedule_of(after) or ("", DEFAULT_TIMEZONE)
    return Plan(
        project=project,
        notebook=name,
        component=shown,
        file=file,
        created=existing is None,
        cron=now[0],
        timezone=now[1],
        changes=tuple(_changes(before, after, default_size)),
    )


def _name_in(project: Project, notebook: Path) -> str:
    name = project.relative(notebook)
    if any(mark in name for mark in ("{{", "{%", "{#")):
        raise DagbookError(f"{name} holds braces that YAML would take for a template: rename it")
    return name


def _parameters(notebook: Notebook, typed: Mapping[str, Any]) -> dict[str, Any]:
    # Names in braces are filled in when a run starts; until then only the name can be checked.
    later = {name: v for name, v in typed.items() if isinstance(v, str) and "{{" in v}
    known = {parameter.name for parameter in notebook.parameters}
    now = {name: value for name, value in typed.items() if name not in later or name not in known}
    resolved: dict[str, Any] = {}
    for as_text in (True, False):
        # A form has numbers and lists where a command line has only text.
        part = {name: v for name, v in now.items() if isinstance(v, str) is as_text}
        if part:
            resolved |= resolve_parameters(notebook, part, from_text=as_text, complete=False)
    return {name: {**later, **resolved}[name] for name in typed}


def _attributes(
    notebook: str,
    cron: str | None,
    wish: Wish,
    parameters: Mapping[str, Any],
    default_size: str,
) -> dict[str, Any]:
    attributes: dict[str, Any] = {"notebook": notebook}
    if cron is not None:
        timezone = wish.timezone or local_zone_name()
        attributes["schedule"] = {"cron": cron, "timezone": timezone}
    if wish.size not in (None, default_size):
        attributes["compute_size"] = wish.size
    if parameters:
        attributes["parameters"] = dict(parameters)
    return attributes


def _update(
    component: Component,
    cron: str | None,
    wish: Wish,
    parameters: Mapping[str, Any],
    default_size: str,
) -> None:
    document, name = component.document, component.notebook
    if wish.type not in (None, document.type):
        document.set(("type",), wish.type)
    for keys in wish.removed:
        document.delete(("attributes", *keys))
    at = ("attributes", *_SCHEDULE)
    before = _schedule_of(document.attributes)
    if before is None and cron is None and _SCHEDULE in wish.removed:
        pass
    elif before is None:
        if cron is None:
            raise DagbookError(f'{name} has no schedule yet: say when, for example "daily 06:00"')
        timezone = wish.timezone or local_zone_name()
        document.set(at, {"cron": cron, "timezone": timezone})
    else:
        is_mapping = isinstance(document.get(at), dict)
        if wish.timezone not in (None, before[1]) and not is_mapping:
            document.set(at, {"cron": cron or before[0], "timezone": wish.timezone})
        else:
            if cron is not None and not _same_cron(cron, before[0]):
                document.set((*at, "cron") if is_mapping else at, cron)
            if wish.timezone not in (None, before[1]):
                document.set((*at, "timezone"), wish.timezone)
    size = ("attributes", "compute_size")
    if wish.size == default_size:
        document.delete(size)
    elif wish.size is not None:
        document.set(size, wish.size)
    for key, value in parameters.items():
        document.set(("attributes", "parameters", key), value)
    _set_others(document, wish)


def _set_others(document: Document, wish: Wish) -> None:
    # In one order, or the same choices would make another file when they come from a form.
    for key, value in sorted((wish.attributes or {}).items(), key=_place_of):
        document.set(("attributes", *key.split(".")), value)


def _place_of(item: tuple[str, Any]) -> int:
    first = item[0].partition(".")[0]
    return _ORDER.index(first) if first in _ORDER else len(_ORDER)


def _schedule_of(attributes: Mapping[str, Any]) -> tuple[str, str] | None:
    schedule = attributes.get("schedule")
    if isinstance(schedule, str):
        return schedule, DEFAULT_TIMEZONE
    if isinstance(schedule, dict) and isinstance(schedule.get("cron"), str):
        timezone = schedule.get("timezone")
        return schedule["cron"], timezone if isinstance(timezone, str) else DEFAULT_TIMEZONE
    return None


def _same_cron(one: str, other: str) -> bool:
    try:
        return one == parse_schedule(other)
    except DagbookError:
        return False


def _changes(
    before: Mapping[str, Any], after: Mapping[str, Any], default_size: str
) -> list[Change]:
    def said_size(attributes: Mapping[str, Any]) -> str:
        return str(attributes.get("compute_size", default_size))

    changes = []
    for label, said in (("schedule", said_schedule), ("size", said_size)):
        old, new = said(before) if before else None, said(after)
        if new is not None and old != new and (before or label == "schedule" or _sized(after)):
            changes.append(Change(label, old, new))
    old_values, new_values = _dict(before.get("parameters")), _dict(after.get("parameters"))
    for name, value in new_values.items():
        old = _shown(old_values[name]) if name in old_values else None
        if old != _shown(value):
            changes.append(Change(f"parameter {name}", old, _shown(value)))
    for name in sorted(after.keys() - _SAID_ABOVE):
        if before.get(name) != after[name]:
            old = _shown(before[name]) if name in before else None
            changes.append(Change(name, old, _shown(after[name])))
    return changes


def said_schedule(attributes: Mapping[str, Any]) -> str | None:
    """The schedule in a component's attributes, in words; None when there is none."""
    schedule = _schedule_of(attributes)
    return None if schedule is None else _in_words(*schedule)


def next_runs(attributes: Mapping[str, Any], count: int) -> list[datetime.datetime]:
    """When a component runs next; nothing without a schedule that can be read."""
    schedule = _schedule_of(attributes)
    return [] if schedule is None else _next_runs(schedule, count)


def _next_runs(schedule: tuple[str, str], count: int) -> list[datetime.datetime]:
    cron, timezone = schedule
    try:
        return next_ticks(cron, find_zone(timezone), count)
    except DagbookError:
        return []


def _sized(attributes: Mapping[str, Any]) -> bool:
    return "compute_size" in attributes


def _in_words(cron: str, timezone: str) -> str:
    try:
        words = describe(cron)
    except DagbookError:
        return f"{cron} ({timezone})"
    return f"{words[0].lower()}{words[1:]} ({timezone})"


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _shown(value: Any) -> str:
    import json

    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _require_sound(document: Document, project: Project) -> None:
    """Refuse what Dagster could not load or run, before it is on disk."""
    import importlib.util

    if importlib.util.find_spec("dagster") is None:
        # Where only notebooks are written; the place that runs them checks the rest.
        return
    from dagbook.validation import document_problems

    problems = document_problems(document, project)
    if problems:
        first, more = problems[0], len(problems) - 1
        others = ", ".join(dict.fromkeys(problem.key for problem in problems[1:]))
        rest = f" (and {more} more: {others})" if more else ""
        where = f"{first.key}: " if document.file.is_new else f"{first.place}: "
        raise DagbookError(f"nothing was written. {where}{first.text}{rest}")
