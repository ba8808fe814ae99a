"""F1: a cell raises."""

from __future__ import annotations

from harness import Fault, Outcome, Trial, Variant, held_or
from notebooks import read_cells, text_of, write_notebook

CELLS = ("print('before')", "print('now')\nraise ValueError('no rows')", "print('after')")


def by_dagbook(trial: Trial) -> Outcome:
    """Run it, and read what it says and keeps."""
    from dagbook.execution import run_notebook

    result = run_notebook(write_notebook(trial.folder / "n.ipynb", *CELLS))
    assert result.executed_notebook is not None
    cells = read_cells(result.executed_notebook)
    return held_or(
        "" if result.reason == "ValueError: no rows in cell 2" else f"reason: {result.reason}",
        "" if text_of(cells[0]) == "before\n" else "outputs are missing",
        "" if cells[2].metadata["papermill"]["status"] == "not_run" else "cell 3 is not not_run",
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
    cells = read_cells(output)
    status = cells[2].metadata["papermill"]["status"]
    return held_or(
        "" if "ValueError: no rows" in said else "it did not raise",
        "" if text_of(cells[0]) == "before\n" else "outputs are missing",
        "" if status in {"not_run", "pending"} else f"the cell after is marked {status}",
    )


FAULT = Fault(
    "F1",
    "a cell raises",
    "the run is FAILED; cell, exception and message stand in the Dagster event; the notebook is "
    "kept and linked",
    (Variant("dagbook run", 20, by_dagbook, by_papermill),),
)
