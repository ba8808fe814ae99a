"""The whole form, with a real bridge behind it and no page around it."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from dagbook.project import create_project
from dagbook_magics.form.form import Form
from dagbook_magics.saved import CellsSeen
from dagbook_magics.situation import Situation

pytestmark = pytest.mark.early

SETTINGS = """\
# ours
type: dagbook.NotebookRunnerComponent
attributes:
  notebook: churn.ipynb  # the one
  schedule: "0 6 * * *"  # early
  parameters: {opts: {a: null}, rows: 5}  # these
"""


@pytest.fixture
def form_of(tmp_path: Path, shell: Any) -> Callable[..., Form]:
    """The form of a notebook of these cells, with these settings."""

    def make(*cells: str, settings: str = "") -> Form:
        project = create_project(tmp_path / "growth")
        kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        made = [nbformat.v4.new_code_cell(source) for source in cells]
        path = project.root / "churn.ipynb"
        document = nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": kernelspec})
        nbformat.write(document, path)
        if settings:
            (project.defs_folder / "churn").mkdir()
            (project.defs_folder / "churn" / "defs.yaml").write_text(settings)
        return Form(Situation(shell.ip, CellsSeen(), str(path)))

    return make


PARAMETERS = "# dagster: parameters\nopts = {}\nrows = 3"


def settings_of(form: Form) -> str:
    return (form._situation.root / "growth" / "defs" / "churn" / "defs.yaml").read_text()


def test_one_change_changes_one_thing(form_of: Callable[..., Form]) -> None:
    form = form_of(PARAMETERS, settings=SETTINGS)
    form._on_save()
    assert settings_of(form) == SETTINGS
    form._fields["parameters"].children()["rows"]._input.value = "6"
    form._on_save()
    assert settings_of(form) == SETTINGS.replace("5", "6")


def test_settings_that_changed_meanwhile_stay_and_what_was_typed_too(
    form_of: Callable[..., Form],
) -> None:
    form = form_of(PARAMETERS, settings=SETTINGS)
    path = form._situation.root / "growth" / "defs" / "churn" / "defs.yaml"
    path.write_text(SETTINGS.replace("early", "late"))
    rows = form._fields["parameters"].children()["rows"]
    rows._input.value = "6"
    form._guarded(form._on_save)
    assert "early" not in settings_of(form)
    assert rows._input.value == "6"
    assert "Nothing was written: run this cell again" in form._state.value


def test_an_error_without_a_field_names_its_key(form_of: Callable[..., Form]) -> None:
    form = form_of("x = 1", settings=SETTINGS.replace("parameters", "frobnicate"))
    assert "frobnicate: unknown key." in form._state.value


def test_an_interrupted_trial_is_said_to_be_cancelled(form_of: Callable[..., Form]) -> None:
    form = form_of("open('began', 'w').close()\nimport time\ntime.sleep(300)")
    began = form._situation.root / "began"

    def interrupt() -> None:
        while not began.exists():
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    form._guarded(form._on_run)
    assert "The trial of churn.ipynb was cancelled. Not scheduled." in form._state.value
    assert not form._run.disabled
