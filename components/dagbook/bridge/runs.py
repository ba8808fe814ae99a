"""Verbs about runs: those there were, and how a notebook stands."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.bridge.verbs import Asked
from dagbook.component_index import Component, index_components
from dagbook.errors import DagbookError
from dagbook.notebook import code_version, local_modules, read_notebook
from dagbook.project import Project
from dagbook.scheduling import next_runs, said_schedule

if TYPE_CHECKING:
    from dagster import DagsterInstance

    from dagbook.services.run_history import Run

_MOST_RUNS = 500
_LOOKED_AT = 50

#: What every run tells; the other numbers are the notebook's own metrics.
_OURS = {
    "runtime_seconds", "peak_memory_bytes", "mean_memory_bytes", "cpu_seconds",
    "gpu_utilization_percent", "gpu_peak_memory_bytes", "cost", "month_to_date",
}  # fmt: skip

#: Opening an instance takes longer than an answer may.
_opened: dict[Path, tuple[tuple[int, ...], Any, Any]] = {}
_known_runs: dict[str, Run] = {}
_MOST_KNOWN = 5000


def runs(
    asked: Asked, notebook: str | None = None, component: str | None = None, limit: int = 20
) -> dict[str, Any]:
    """The last runs, the newest first: state, time, values, what they used, cost and found."""
    if not 0 < limit <= _MOST_RUNS:
        raise DagbookError(f"limit: at least 1 and at most {_MOST_RUNS}")
    project = asked.project
    assets = None
    if notebook is not None:
        own = index_components(project).of_notebook(notebook)
        assets = {c.key for c in own if component in (None, c.name, c.key)}
    return {"runs": [told_of(run) for run in _runs(project, limit, assets)]}


def state(asked: Asked, notebook: str, component: str | None = None) -> dict[str, Any]:
    """How a notebook stands: its schedule, next and last run, whether it was edited since."""
    project = asked.project
    own = index_components(project).of_notebook(notebook)
    if component is not None:
        own = [c for c in own if component in (c.name, c.key)]
    states = [_state(asked, project, each) for each in own]
    return {
        "notebook": notebook,
        "trusted": asked.is_trusted,
        "components": states,
        "words": states[0]["words"] if states else f"{notebook} is not scheduled",
    }


def cancel_run(asked: Asked, run: str) -> dict[str, Any]:
    """Ask a run under way to end; its notebook is stored as cancelled."""
    from dagbook.services.run_history import find_run

    found = find_run(asked.project, run)
    with _instance(asked.project) as instance:
        assert instance is not None
        reached = bool(instance.run_coordinator.cancel_run(found.id))
    return {"run": found.id, "asked": reached}


class _instance:
    """A project's instance, kept open from one question to the next."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def __enter__(self) -> DagsterInstance | None:
        from dagbook.services.instance import instance_home, load_instance, require_dagster

        require_dagster()
        home = instance_home(self._project)
        stamp = _stamp(home)
        if stamp is None:
            return None
        known = _opened.get(home)
        if known is not None and known[0] == stamp:
            found: DagsterInstance = known[2]
            return found
        if known is not None:
            known[1].__exit__(None, None, None)
        holder = load_instance(home)
        instance = holder.__enter__()
        _opened[home] = (stamp, holder, instance)
        return instance

    def __exit__(self, *_: object) -> None:
        pass


def _stamp(home: Path) -> tuple[int, ...] | None:
    """What must not change for an open instance to be the one that is there."""
    from dagbook.services.instance import READY_FILE_NAME

    try:
        settings, ready = (home / "dagster.yaml").stat(), (home / READY_FILE_NAME).stat()
    except OSError:
        return None
    return settings.st_mtime_ns, settings.st_ino, settings.st_size, ready.st_ino


def _runs(project: Project, limit: int, assets: set[str] | None) -> list[Run]:
    from dagbook.services.run_history import runs_in

    if assets is not None and not assets:
        return []
    with _instance(project) as instance:
        if instance is None:
            return []
        if len(_known_runs) > _MOST_KNOWN:
            _known_runs.clear()
        return runs_in(instance, limit=limit, assets=assets, known=_known_runs)


def _state(asked: Asked, project: Project, component: Component) -> dict[str, Any]:
    attributes = component.document.attributes
    words = said_schedule(attributes)
    moments = next_runs(attributes, 3)
    told: dict[str, Any] = {
        "component": component.name,
        "key": component.key,
        "type": component.document.type,
        "schedule": words,
        "next_runs": [moment.isoformat() for moment in moments],
        "paused": None,
        "last": None,
        "last_good": None,
        "edited": None,
    }
    if asked.is_trusted and _has_dagster():
        # Dagster's own settings name classes; of a project nobody trusts they are not read.
        found = _runs(project, _LOOKED_AT, {component.key})
        last = found[0] if found else None
        good = next((run for run in found if run.state == "succeeded"), None)
        told["paused"] = words is not None and _is_paused(project, component)
        told["last"] = None if last is None else told_of(last)
        told["last_good"] = None if good is None else told_of(good)
        told["edited"] = None if good is None else _is_edited(project, component, good)
    told["words"] = _in_words(component.notebook, told)
    return told


def _has_dagster() -> bool:
    return importlib.util.find_spec("dagster_webserver") is not None


def _in_words(notebook: str, told: Mapping[str, Any]) -> str:
    if told["schedule"] is None:
        words = "runs when it is launched"
    elif told["paused"]:
        words = f"paused, otherwise {told['schedule']}"
    else:
        words = told["schedule"]
    last = told["last"]
    if last is not None:
        when = datetime.fromtimestamp(last["started_at"] or last["created_at"], UTC).astimezone()
        words += f" · last {last['state']} {when.strftime('%a %d %b %H:%M')}"
    if told["edited"]:
        words += " · edited since its last good run"
    return f"{notebook}: {words}"


def _is_paused(project: Project, component: Component) -> bool:
    from dagbook.sample_run import schedule_name

    name = schedule_name(component.key)
    with _instance(project) as instance:
        if instance is None:
            return False
        states = instance.all_instigator_state()
        return any(s.instigator_name == name and s.status.value == "STOPPED" for s in states)


def _is_edited(project: Project, component: Component, good: Run) -> bool | None:
    """Whether notebook, YAML or a module of the project differs from those of a run."""
    version = good.told.get("code_version")
    if not isinstance(version, str):
        return None
    path = project.root / component.notebook
    try:
        notebook = read_notebook(path, within=project.root)
    except DagbookError:
        return True
    modules = local_modules(notebook, [path.parent, project.root])
    return code_version(notebook, component.path, *modules) != version


def told_of(run: Run) -> dict[str, Any]:
    """A run as answers have it."""
    told = run.told
    metrics = {
        name.removeprefix("metric/"): value
        for name, value in told.items()
        if isinstance(value, float) and name not in _OURS
    }
    checks = told.get("checks")
    return {
        "run": run.id,
        "state": run.state,
        "created_at": run.created_at,
        "started_at": run.started_at,
        "duration_seconds": run.duration_seconds,
        "assets": list(run.assets),
        "partition": run.partition,
        "parameters": told.get("parameters", {}),
        "reason": run.reason,
        "size": told.get("size"),
        "peak_memory_bytes": told.get("peak_memory_bytes"),
        "cost": told.get("cost"),
        "currency": told.get("currency"),
        "metrics": metrics,
        "checks": checks if isinstance(checks, Mapping) else {},
        "different_from_last_good": told.get("different_from_last_good", []),
        "code_version": told.get("code_version"),
        "executed_notebook": _there(run.executed_notebook),
        "executed_html": _there(run.executed_html),
    }


def _there(path: Path | None) -> str | None:
    return None if path is None or not os.path.exists(path) else str(path)  # noqa: PTH110
