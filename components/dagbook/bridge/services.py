"""Verbs about the project's Dagster: does it run, have it read the project, pause a schedule."""

from __future__ import annotations

from typing import Any

from dagbook.bridge.verbs import Asked
from dagbook.component_index import index_components
from dagbook.errors import DagbookError
from dagbook.project import Project
from dagbook.services.running import find_services, reload_services
from dagbook.services.schedules import switch_off, switch_on


def services(asked: Asked) -> dict[str, Any]:
    """Whether something runs the schedules, and where its page is."""
    found = find_services(asked.project)
    return {"running": found is not None, "url": None if found is None else found.url}


def reload(asked: Asked) -> dict[str, Any]:
    """Have a Dagster that runs for the project read it anew."""
    found = reload_services(asked.project)
    return {"running": found is not None, "url": None if found is None else found.url}


def pause(asked: Asked, notebook: str, component: str | None = None) -> dict[str, Any]:
    """Switch a notebook's schedule off; its settings stay."""
    return _switch(asked.project, notebook, component, on=False)


def resume(asked: Asked, notebook: str, component: str | None = None) -> dict[str, Any]:
    """Switch it on again."""
    return _switch(asked.project, notebook, component, on=True)


def _switch(project: Project, notebook: str, component: str | None, *, on: bool) -> dict[str, Any]:
    found = index_components(project).choose(notebook, component)
    if found is None or "schedule" not in found.document.attributes:
        raise DagbookError(f'{notebook} is not scheduled: say when, for example "daily 06:00"')
    # Asks Dagster how it names things.
    from dagbook.sample_run import schedule_name

    running = find_services(project)
    if running is None:
        raise DagbookError("nothing is running schedules here: `dagbook up` starts it")
    switch = switch_on if on else switch_off
    if not switch(running.url, project.module, schedule_name(found.key)):
        raise DagbookError(
            f"Dagster knows no schedule of {found.key}: `dagbook validate` says what keeps it "
            "from loading"
        )
    return {"paused": not on, "schedule": schedule_name(found.key)}
