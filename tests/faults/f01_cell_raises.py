"""F1: a cell raises."""

from __future__ import annotations

import json
import re
from pathlib import Path

from harness import DAGSTERMILL_PYTHON, ROOT, Fault, Outcome, Trial, Variant, held_or, run_python
from notebooks import read_cells, text_of, write_notebook
from on_dagster import run_as_asset

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
    run = run_as_asset(trial.folder, lambda project: write_notebook(project / "n.ipynb", *CELLS))
    notebook = run.metadata.get("executed_notebook")
    return _judge(run.status, run.said, None if notebook is None else str(notebook))


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


def _judge(status: str, said: str, notebook: str | None) -> Outcome:
    # dagstermill counts as the kernel does, and the kernel counts the injected cell.
    named = re.search(r"cell 2|In \[\d\]", said)
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
