"""What a reader sees below a cell that has a role, and that the cell runs as any other."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from dagbook.execution.metrics import _PYTHON_VALUE
from dagbook.metric_names import as_measurement

MAGIC = "%%dagster"


def test_a_cell_without_a_role_shows_nothing(shell: Any) -> None:
    assert shell.run("x = 1").success
    assert shell.published == []
    assert shell.ip.user_ns["x"] == 1


def test_parameters_are_shown_with_type_default_choices_and_help(shell: Any) -> None:
    shell.run("from typing import Literal")
    shell.run(
        "%%dagster parameters\n"
        "country: Literal['DE', 'FR'] = 'DE'  # Which country\n"
        "rows = 1_000\n"
        "since: str\n"
    )
    assert shell.text == (
        "In production: 3 parameters\n"
        "  country  str  'DE'      one of 'DE', 'FR'  Which country\n"
        "  rows     int  1_000\n"
        "  since    str  required"
    )
    assert shell.ip.user_ns["rows"] == 1000


def test_the_comment_form_says_the_same(shell: Any) -> None:
    shell.run("# dagster: parameters\nrows = 1")
    assert shell.text == "In production: 1 parameter\n  rows  int  1"


def test_the_tag_says_the_same_where_the_front_end_tells_it(shell: Any) -> None:
    shell.run("rows = 1", tags=["parameters", "colour"])
    assert shell.text == "In production: 1 parameter\n  rows  int  1"


def test_metrics_are_listed_with_what_is_none(shell: Any) -> None:
    shell.run("%%dagster metrics\nauc = 0.8125\nrows = 12\nname = 'x'\nok = True")
    assert shell.text == (
        "In production these metrics are recorded:\n"
        "  auc   0.8125\n"
        "  rows  12\n"
        "  name  not recorded: str is not a number\n"
        "  ok    not recorded: bool is not a number"
    )


def test_metrics_without_a_number_are_told(shell: Any) -> None:
    shell.run("%%dagster metrics\nname = 'x'")
    assert shell.text == (
        "! In production nothing is recorded here: no variable of this cell is a number.\n"
        "  name  not recorded: str is not a number"
    )


@pytest.mark.parametrize(
    ("line", "then"),
    [
        ("check rows", "If it fails, the run stops here and publishes nothing."),
        ("check rows --warn", "If it fails, that is noted and the run goes on."),
    ],
)
def test_a_check_that_passes_says_what_a_failure_would_mean(
    shell: Any, line: str, then: str
) -> None:
    assert shell.run(f"{MAGIC} {line}\nassert True").success
    assert shell.text == f"In production: check rows passed here. {then}"


@pytest.mark.parametrize(
    ("line", "then"),
    [
        ("check rows", "the run stops and publishes nothing."),
        ("check rows --warn", "noted, and the run goes on."),
    ],
)
def test_a_check_that_fails_fails_its_cell_too(shell: Any, line: str, then: str) -> None:
    assert not shell.run(f"{MAGIC} {line}\nassert False, 'no rows'").success
    assert "no rows" in shell.shown_errors[0]
    assert shell.text == f"! In production: check rows failed here: {then}"


def test_an_error_in_a_check_is_no_answer(shell: Any) -> None:
    shell.run("%%dagster check rows\n{}['tenure']")
    assert shell.text == (
        "! In production: check rows gave no answer. KeyError is an error of the run; a check "
        "that fails raises AssertionError, as `assert` does."
    )


def test_a_result_is_shown_as_it_will_be_kept(shell: Any) -> None:
    shell.run("%%dagster result best\nbest = {'auc': 0.8}")
    assert shell.text == "In production `best` is kept as a result:\n  {'auc': 0.8}"


def test_a_result_keeps_its_own_display(shell: Any) -> None:
    shell.run(
        "class Table:\n"
        "    def _repr_html_(self): return '<b>table</b>'\n"
        "    def __repr__(self): return 'Table()'\n"
        "t = Table()"
    )
    shell.run("%%dagster result t\nt")
    assert "<b>table</b>" in shell.html
    assert shell.text == "In production `t` is kept as a result:\n  Table()"


def test_a_result_that_is_not_there_is_told(shell: Any) -> None:
    shell.run("%%dagster result best\nbets = 1")
    assert shell.text == "! In production: there is no variable `best` to be kept as a result."


def test_metrics_and_results_in_one_line(shell: Any) -> None:
    shell.run("%%dagster metrics, result auc\nauc = 0.5")
    assert shell.text == (
        "In production these metrics are recorded:\n  auc  0.5\n"
        "In production `auc` is kept as a result:\n  0.5"
    )


def test_a_skipped_cell_runs_here(shell: Any) -> None:
    shell.run("%%dagster skip\nx = 3")
    assert shell.text == "In production this cell is left out."
    assert shell.ip.user_ns["x"] == 3


def test_a_word_that_is_no_role_is_one_line_and_nothing_runs(shell: Any) -> None:
    done = shell.run("%%dagster metric\nx = 1")
    assert not done.success
    assert shell.shown_errors == [
        "DagbookError: this cell: `metric` is not a role. Did you mean `metrics`? "
        "Known: metrics, parameters, check, result, skip"
    ]
    assert "x" not in shell.ip.user_ns
    assert shell.published == []


def test_python_under_a_bare_line_is_asked_about(shell: Any) -> None:
    shell.run("%%dagster\nx = 1")
    assert shell.shown_errors == [
        "DagbookError: this cell: `%%dagster` names no role. Which is it: parameters, skip, "
        "metrics, check, result? Write for example `%%dagster skip`."
    ]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%%time\n%%dagster skip\nx = 1", "`%%dagster` must be the first line of its cell."),
        (
            "%%dagster --save",
            "write the settings below `%%dagster --save`, such as `compute_size: medium`",
        ),
    ],
    ids=["below another magic", "nothing below it"],
)
def test_a_line_that_would_say_nothing_is_refused(shell: Any, cell: str, said: str) -> None:
    done = shell.run(cell)
    assert str(done.error_before_exec) == f"this cell: {said}"
    assert "x" not in shell.ip.user_ns


def test_a_tag_that_contradicts_the_line_is_told_below_the_cell(shell: Any) -> None:
    assert shell.run("%%dagster skip\nx = 1", tags=["parameters"]).success
    assert shell.text == (
        "! In production: this cell: has two roles, `parameters` (its tag) and `skip` (its first "
        "line). Keep one of them."
    )


def test_line_numbers_are_the_authors(shell: Any) -> None:
    done = shell.run("%%dagster skip\nx = 1\nraise ValueError('here')")
    assert done.error_in_exec.__traceback__.tb_next.tb_lineno == 3


def test_a_cell_magic_below_the_line_works(shell: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert shell.run("%%dagster metrics\n%%time\nauc = 0.5").success
    assert "Wall time" in capsys.readouterr().out
    assert shell.text == "In production these metrics are recorded:\n  auc  0.5"


def test_a_captured_cell_is_still_told_about(shell: Any) -> None:
    assert shell.run("%%dagster metrics\n%%capture\nauc = 0.5\nprint(auc)").success
    assert shell.text == "In production these metrics are recorded:\n  auc  0.5"


def test_a_line_that_is_still_being_typed_is_no_error(shell: Any) -> None:
    assert shell.ip.check_complete("%%dagster metri\nx = (")[0] == "incomplete"


def test_loading_twice_shows_once(shell: Any) -> None:
    shell.run("%load_ext dagbook")
    shell.run("%reload_ext dagbook")
    shell.run("%%dagster skip\nx = 1")
    assert len(shell.published) == 1


def test_unloading_leaves_the_shell_as_it_was(bare_shell: Any) -> None:
    before = list(bare_shell.ip.input_transformers_cleanup)
    bare_shell.run("%load_ext dagbook")
    assert bare_shell.ip.input_transformers_cleanup != before
    bare_shell.run("%unload_ext dagbook")
    assert bare_shell.ip.input_transformers_cleanup == before
    bare_shell.run("# dagster: skip\nx = 1")
    assert bare_shell.published == []


def test_what_an_author_writes_cannot_break_the_page(shell: Any) -> None:
    shell.run("%%dagster parameters\nname = '<script>alert(1)</script>'  # <b>bold</b>")
    assert "<script>" not in shell.html
    assert "<b>bold" not in shell.html


def test_a_display_that_raises_is_not_the_cells_error(shell: Any) -> None:
    shell.run("class Bad:\n    def __repr__(self): raise RuntimeError('no')\nbad = Bad()")
    assert shell.run("%%dagster result bad\nbad is None").success
    assert shell.text == "In production `bad` is kept as a result:\n  Bad"


def test_a_run_shows_the_real_thing_instead(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGBOOK_RUN_DIR", "/nowhere")
    shell.run("# dagster: skip\nx = 1")
    assert shell.published == []


@pytest.mark.parametrize(
    "text", ["1", "2.5", "True", "'x'", "None", "float('nan')", "10**400", "np.float32(0.5)",
             "np.array(3)", "np.array([3])", "np.bool_(True)", "1j", "[1]"],
)  # fmt: skip
def test_what_is_a_measurement_here_is_one_in_a_run(text: str) -> None:
    import numpy as np

    value = eval(text, {"np": np})
    names = {"value": value}
    try:
        asked = eval(_PYTHON_VALUE.format(name="value"), names)
    except OverflowError:
        asked = None
    here = as_measurement(value)
    assert (None if here is None else repr(here)) == asked


def test_in_a_real_kernel_the_note_stands_below_its_cell(in_kernel: Any) -> None:
    _, cell = in_kernel("%load_ext dagbook", "%%dagster metrics\nauc = 0.5\nprint('trained')")
    assert cell[0]["text"] == "trained\n"
    assert cell[1]["output_type"] == "display_data"
    assert cell[1]["data"]["text/plain"] == (
        "In production these metrics are recorded:\n  auc  0.5"
    )


def test_loading_imports_nothing_of_what_a_kernel_need_not_have(in_kernel: Any) -> None:
    heavy = ["dagster", "mlflow", "pandas", "numpy", "papermill", "ipywidgets", "sqlalchemy"]
    _, cell = in_kernel(
        "import sys, json\nbefore = set(sys.modules)\n%load_ext dagbook",
        f"print(json.dumps([m for m in {heavy} if m in set(sys.modules) - before]))",
    )
    assert json.loads(cell[0]["text"]) == []


def test_the_front_door_alone_knows_the_extension() -> None:
    code = (
        "import sys, dagbook; "
        "assert 'dagbook_magics' not in sys.modules; "
        "assert dagbook.load_ipython_extension"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parent)


def test_measurements_that_a_cell_reports_are_shown(shell: Any) -> None:
    shell.run("import dagbook")
    shell.run(
        "for step in range(3):\n    dagbook.log_metric('loss', 1 / (step + 1), step=step)\n"
        "dagbook.log_metric('rows', 12)"
    )
    assert shell.text == (
        "In production these measurements are recorded:\n"
        "  loss  0.333333  step 2, last of 3\n"
        "  rows  12"
    )
    shell.run("x = 1")
    assert shell.published == []
