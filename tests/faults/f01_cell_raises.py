"""F1: a cell raises."""

from __future__ import annotations

import json
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from harness import DAGSTERMILL_PYTHON, ROOT, Fault, Outcome, Trial, Variant, held_or, run_python
from notebooks import read_cells, text_of, write_notebook

CELLS = ("print('before')", "print('now')\nraise ValueError('no rows')", "print('after')")


def by_dagbook(trial: Trial) -> Outcome:
    """Run it, and read what it says and keeps."""
    from dagbook.execution import run_notebook

    result = run_notebook(write_notebook(trial.folder / "n.ipynb", *CELLS))
    assert result.executed_notebook is not None
    return held_or(
        "" if result.reason == "ValueError: no rows in cell 2" else f"reason: {result.reason}",
        *_problems_of(result.executed_notebook),
    )


def by_papermill(trial: Trial) -> Outcome:
    """The same by papermill."""
    import papermill

    source = write_notebook(trial.folder / "n.ipynb", *CELLS)
    output = trial.folder / "out.ipynb"
    said = ""
    try:
        papermill.execute_notebook(str(source), str(output), progress_bar=False)
    except Exception as error:
        said = str(error)
    return held_or(
        "" if "ValueError: no rows" in said else "it did not raise", *_problems_of(output)
    )


def on_dagster(trial: Trial) -> Outcome:
    """As an asset, on a Dagster instance of its own."""
    import dagster as dg

    from dagbook.location import load_project
    from dagbook.project import create_project

    # A module of its own for each: Python remembers the ones it has imported.
    project = create_project(trial.folder / "project", name=f"f1_{os.getpid()}_{id(trial)}")
    write_notebook(project.root / "n.ipynb", *CELLS)
    component = project.defs_folder / "n" / "defs.yaml"
    component.parent.mkdir(parents=True)
    component.write_text(
        "type: dagbook.NotebookRunnerComponent\nattributes:\n  notebook: n.ipynb\n"
    )
    home = trial.folder / "home"
    home.mkdir()
    with _surroundings(), dg.DagsterInstance.local_temp(str(home)) as instance:
        job = load_project(project).resolve_implicit_global_asset_job_def()
        run_id = job.execute_in_process(instance=instance, raise_on_error=False).run_id
        run = instance.get_run_by_id(run_id)
        events = [entry.dagster_event for entry in instance.all_logs(run_id)]
    assert run is not None
    failures = [event for event in events if event is not None and event.is_step_failure]
    told = failures[0].step_failure_data if failures else None
    linked = told.user_failure_data.metadata if told and told.user_failure_data else {}
    return _judge(
        run.status.value,
        _with_causes(told.error) if told else "",
        str(linked["executed_notebook"].value) if "executed_notebook" in linked else None,
    )


def by_dagstermill(trial: Trial) -> Outcome:
    """As dagstermill's own asset, on a Dagster instance of its own."""
    notebook = write_notebook(trial.folder / "n.ipynb", *CELLS)
    done = run_python(
        DAGSTERMILL_RUN,
        notebook,
        trial.folder,
        cwd=ROOT / "tests" / "benchmarks",  # its kernel imports the asset's module from there
        python=DAGSTERMILL_PYTHON,
    )
    if not done.stdout.strip():
        return Outcome(False, f"it ended with {done.returncode}: {done.stderr.strip()[-200:]}")
    return _judge(*json.loads(done.stdout.splitlines()[-1]))


DAGSTERMILL_RUN = """
import json, os, sys
os.environ["DAGBOOK_BENCH_NOTEBOOK"], folder = sys.argv[1:]
os.environ["DAGBOOK_BENCH_OUTPUT"] = os.path.join(folder, "out")
os.mkdir(os.path.join(folder, "home"))
import dagster as dg
import dagstermill_asset
with dg.DagsterInstance.local_temp(os.path.join(folder, "home")) as instance:
    job = dg.reconstructable(dagstermill_asset.notebook_job)
    result = dg.execute_job(job, instance=instance, raise_on_error=False)
    run = instance.get_run_by_id(result.run_id)
    events = [e.dagster_event for e in instance.all_logs(result.run_id) if e.dagster_event]
failure = next((e for e in events if e.is_step_failure), None)
error, said = failure and failure.step_failure_data.error, ""
while error is not None:
    error, said = error.cause, said + error.message
data = failure and failure.step_failure_data.user_failure_data
entries = dict(data.metadata) if data else {}
for event in events:
    entries.update(getattr(event.event_specific_data, "metadata", None) or {})
links = [str(entry.value) for entry in entries.values()]
link = next((link for link in links if link.endswith(".ipynb")), None)
print(json.dumps([run.status.value, said, link]))
"""


def _with_causes(error: Any) -> str:
    said = ""
    while error is not None:
        error, said = error.cause, said + error.message
    return said


def _judge(status: str, said: str, notebook: str | None) -> Outcome:
    named = "cell 2" in said or "In [2]" in said
    return held_or(
        "" if status == "FAILURE" else f"the run is {status}",
        "" if "ValueError: no rows" in said else "the event does not say what was raised",
        "" if named else "the event does not name the cell",
        *(["no notebook is linked"] if notebook is None else _problems_of(Path(notebook))),
    )


def _problems_of(notebook: Path) -> list[str]:
    if not notebook.exists():
        return ["the notebook is gone"]
    cells = read_cells(notebook)
    status = cells[2].metadata.get("papermill", {}).get("status")
    return [
        "" if text_of(cells[0]) == "before\n" else "outputs are missing",
        "" if "no rows" in str(cells[1].outputs) else "the error is not in its cell",
        "" if status in {"not_run", "pending"} else f"the cell after is marked {status}",
    ]


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


@cache
def _mlflow_store() -> str:
    # One for all trials: making one takes seconds.
    folder = tempfile.TemporaryDirectory(prefix="fault-mlflow-")
    _kept.append(folder)
    return f"sqlite:///{folder.name}/mlflow.db"


_kept: list[tempfile.TemporaryDirectory[str]] = []


FAULT = Fault(
    "F1",
    "a cell raises",
    "the run is FAILED; cell, exception and message stand in the Dagster event; the notebook is "
    "kept and linked",
    (
        Variant("dagbook run", 20, by_dagbook, by_papermill),
        Variant("an asset on Dagster", 20, on_dagster, dagstermill=by_dagstermill),
    ),
)
