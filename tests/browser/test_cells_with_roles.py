"""What a reader sees in JupyterLab below a cell that has a role."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = [pytest.mark.needs("browser"), pytest.mark.early]

CELLS = (
    "%load_ext dagbook",
    "%%dagster parameters\n"
    "from typing import Literal\n"
    "country: Literal['DE', 'FR'] = 'DE'  # Which country\n"
    "days = 30  # How many days back",
    "%%dagster metrics\nauc = 0.8125\nrows = 4711\nname = 'model 3'",
    "%%dagster check rows_positive\nassert rows > 0",
    "%%dagster check-warn auc_good\nassert auc > 0.9, f'only {auc}'",
    "%%dagster skip\nprint('only here')",
    "%%dagster metric\nx = 1",
)


def test_notes_stand_below_their_cells_in_both_themes(lab: Any, open_notebook: Any) -> None:
    lab.write("roles.ipynb", *CELLS)
    notebook = open_notebook("roles.ipynb", height=1500)
    notebook.run_cells(len(CELLS))
    notes = notebook.page.locator(".dagbook-note")
    assert [text.split("\n")[0] for text in notes.all_inner_texts()] == [
        "In production: 2 parameters",
        "In production these metrics are recorded:",
        "In production: check rows_positive passed here. If it fails, the run stops here and "
        "publishes nothing.",
        "⚠ In production: check auc_good failed here: noted, and the run goes on.",
        "In production this cell is left out.",
    ]
    errors = notebook.page.locator("[data-mime-type='application/vnd.jupyter.stderr']")
    assert "`metric` is not a role. Did you mean `metrics`?" in errors.last.inner_text()
    for theme in ("Light", "Dark"):
        notebook.theme(f"JupyterLab {theme}")
        # The page's own colour, so that it can be read in each.
        own = notes.first.evaluate("note => getComputedStyle(note).color")
        page = notes.first.evaluate("note => getComputedStyle(note.parentElement).color")
        assert own == page
        notebook.picture(f"roles-{theme.lower()}")
