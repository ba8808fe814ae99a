"""One notebook as an asset, run by a real Dagster instance in this process."""

from __future__ import annotations

import itertools
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

COMPONENT = "type: dagbook.NotebookRunnerComponent\nattributes:\n  notebook: {}\n"


@dataclass(frozen=True)
class DagsterRun:
    """What Dagster kept of a run: its status, what the failure says, what is linked to it."""

    status: str
    said: str
    metadata: dict[str, Any] = field(default_factory=dict)


def run_as_asset(
    folder: Path, write: Callable[[Path], Path], then: Callable[[Path], object] | None = None
) -> DagsterRun:
    """Make a project with the notebook that `write` puts into it, load it, and run its asset.

    Args:
        then: what happens in the project between the two.
    """
    import dagster as dg

    from dagbook.location import load_project

    project = make_project(folder / "project", write)
    home = folder / "home"
    home.mkdir()
    with _surroundings(), dg.DagsterInstance.local_temp(str(home)) as instance:
        job = load_project(project).resolve_implicit_global_asset_job_def()
        if then is not None:
            then(project.root)
        run_id = job.execute_in_process(instance=instance, raise_on_error=False).run_id
        run = instance.get_run_by_id(run_id)
        events = [entry.dagster_event for entry in instance.all_logs(run_id)]
    assert run is not None
    failure = next((event for event in events if event is not None and event.is_step_failure), None)
    if failure is None:
        return DagsterRun(run.status.value, "")
    told = failure.step_failure_data
    entries = told.user_failure_data.metadata if told.user_failure_data is not None else {}
    return DagsterRun(
        run.status.value,
        _with_causes(told.error),
        {name: entry.value for name, entry in entries.items()},
    )


_numbers = itertools.count()


def make_project(root: Path, write: Callable[[Path], Path | str]) -> Any:
    """A project of one component, for the notebook that `write` puts into it.

    Args:
        write: returns the notebook's path, or what the YAML is to say instead.
    """
    from dagbook.project import create_project

    # A module of its own for each: Python remembers the ones it has imported.
    project = create_project(root, name=f"faults_{os.getpid()}_{next(_numbers)}")
    notebook = write(project.root)
    component = project.defs_folder / "n" / "defs.yaml"
    component.parent.mkdir(parents=True)
    component.write_text(
        COMPONENT.format(notebook.name if isinstance(notebook, Path) else notebook)
    )
    return project


def _with_causes(error: Any) -> str:
    said = ""
    while error is not None:
        error, said = error.cause, said + error.message
    return said


_one_at_a_time = threading.Lock()


@contextmanager
def _surroundings() -> Iterator[None]:
    """What a run in this process needs around it, and what it changes put back."""
    with _one_at_a_time:
        names = {"MLFLOW_TRACKING_URI": _mlflow_store(), "DAGSTER_DISABLE_TELEMETRY": "1"}
        path, before = list(sys.path), {name: os.environ.get(name) for name in names}
        os.environ.update(names)
        try:
            yield
        finally:
            sys.path[:] = path
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value


_kept: list[tempfile.TemporaryDirectory[str]] = []


@cache
def _mlflow_store() -> str:
    # One for all trials: making one takes seconds.
    _kept.append(tempfile.TemporaryDirectory(prefix="fault-mlflow-"))
    return f"sqlite:///{_kept[0].name}/mlflow.db"
