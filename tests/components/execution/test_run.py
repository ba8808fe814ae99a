"""What a run does with a notebook: roles, parameters, reports, and what it stores."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import nbformat
import papermill
import pytest
from tests.components.execution.conftest import code_cells, text_of

from dagbook.errors import DagbookError
from dagbook.execution import (
    CellFinished,
    CellStarted,
    CellStatus,
    MetricsReported,
    RunStatus,
    run_notebook,
)


def test_papermill_drives_and_the_dagbook_engine_runs_the_cells(make_notebook, monkeypatch):
    calls = []
    real = papermill.execute_notebook

    def spy(source, output, **options):
        calls.append((type(source).__name__, output, options["engine_name"]))
        return real(source, output, **options)

    monkeypatch.setattr(papermill, "execute_notebook", spy)
    path = make_notebook(("n = 1", "parameters"), "print('hello', n)")
    result = run_notebook(path, {"n": 2})
    assert calls == [("NotebookNode", None, "dagbook")]
    stored = nbformat.read(result.executed_notebook, as_version=4)
    assert stored.metadata.papermill.version == papermill.__version__
    assert text_of(stored.cells[2].outputs) == "hello 2\n"


def test_without_parameters_papermill_is_not_even_imported(make_notebook):
    code = (
        "import sys\n"
        "from dagbook.execution import run_notebook\n"
        "result = run_notebook(sys.argv[1])\n"
        "print(result.status, *({'papermill', 'nbformat', 'asyncio', 'traitlets'} & {*sys.modules}))"
    )
    path = make_notebook(("n = 1", "parameters"), "print('hello', n)")
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("succeeded\n", "")


def test_a_succeeded_run_lies_in_runs_beside_the_notebook_named_by_time_and_state(make_notebook):
    path = make_notebook("1 + 1")
    result = run_notebook(path)
    assert result.status is RunStatus.SUCCEEDED
    assert result.executed_notebook.parent == path.parent / "runs" / "notebook"
    assert result.executed_notebook.name.endswith("-succeeded.ipynb")
    assert [entry.name for entry in result.executed_notebook.parent.iterdir()] == [
        result.executed_notebook.name
    ]
    assert result.cells[0].status is CellStatus.COMPLETED
    assert result.resources.peak_memory_bytes > 10_000_000
    assert result.resources.cpu_seconds > 0


def test_parameters_are_injected_below_the_parameters_cell_and_typed(make_notebook):
    path = make_notebook(
        ("days: int = 7\nregion = 'DE'  # country", "parameters"), "print(repr((days, region)))"
    )
    result = run_notebook(path, {"days": 30})
    cells = code_cells(result.executed_notebook)
    assert cells[1].metadata.tags == ["injected-parameters"]
    assert text_of(cells[2].outputs) == "(30, 'DE')\n"
    assert result.parameters == {"days": 30}
    assert [cell.index for cell in result.cells] == [0, 1]


def test_papermill_does_not_call_a_parameter_unknown_that_we_know(make_notebook, caplog):
    path = make_notebook(
        ("from typing import Literal\nregion: Literal['DE', 'FR'] = 'DE'", "parameters"),
        "print(region)",
    )
    result = run_notebook(path, {"region": "FR"})
    assert text_of(code_cells(result.executed_notebook)[2].outputs) == "FR\n"
    assert [r.message for r in caplog.records if r.levelname == "WARNING"] == []


@pytest.mark.parametrize(
    ("parameters", "text"),
    [
        ({"dayz": 1}, "dayz"),
        ({"days": "soon"}, "days"),
        ({"days; import os": 1}, "days; import os"),
    ],
    ids=["unknown", "wrong-type", "no-identifier"],
)
def test_a_wrong_parameter_is_refused_before_a_kernel_starts(make_notebook, parameters, text):
    path = make_notebook(("days: int = 7", "parameters"))
    with pytest.raises(DagbookError) as refused:
        run_notebook(path, parameters)
    assert text in str(refused.value)
    assert "\n" not in str(refused.value)
    assert not (path.parent / "runs").exists()


def test_a_missing_required_parameter_is_refused(make_notebook):
    path = make_notebook(("day: str", "parameters"))
    with pytest.raises(DagbookError, match="day"):
        run_notebook(path)


def test_an_unknown_kernel_is_refused_with_those_there_are(make_notebook):
    path = make_notebook("1")
    with pytest.raises(DagbookError) as refused:
        run_notebook(path, kernel="python33")
    assert str(refused.value).startswith(
        "kernel 'python33' is not installed here. Did you mean `python3`? Known: python3"
    )
    assert not (path.parent / "runs").exists()


def test_a_notebook_that_asks_for_an_unknown_kernel_is_named(make_notebook):
    path = make_notebook("1")
    path.write_text(path.read_text().replace('"python3"', '"python33"'))
    with pytest.raises(DagbookError) as refused:
        run_notebook(path)
    assert str(refused.value).startswith(f"{path}: kernel 'python33' is not installed here.")


def test_a_metrics_cell_in_an_unreadable_language_is_refused(make_notebook, bash_kernel):
    path = make_notebook(("X=1", "metrics"), language="bash")
    with pytest.raises(DagbookError, match="cell 1"):
        run_notebook(path)


def test_our_lines_do_not_reach_the_kernel_and_the_authors_text_is_stored(make_notebook):
    source = "%%dagster check rows\nx = 1\n%dagster validate\nassert x == 1"
    result = run_notebook(make_notebook(source))
    assert result.status is RunStatus.SUCCEEDED, result.reason
    assert code_cells(result.executed_notebook)[0].source == source
    assert [(c.name, c.passed) for c in result.checks] == [("rows", True)]


@pytest.mark.parametrize("first", ["%%dagster metrics", "# dagster: metrics"])
def test_tracebacks_name_the_authors_lines(make_notebook, first):
    result = run_notebook(make_notebook(f"{first}\nx = 1\n\n1 / 0"))
    traceback = "\n".join(code_cells(result.executed_notebook)[0].outputs[0].traceback)
    assert "line 4" in traceback
    assert result.reason == "ZeroDivisionError: division by zero in cell 1"


def test_a_cell_magic_below_our_line_still_works(make_notebook):
    result = run_notebook(make_notebook("%%dagster metrics\n%%time\nauc = 0.5"))
    assert result.status is RunStatus.SUCCEEDED, result.reason
    assert result.last_metrics == {"auc": 0.5}


def test_skipped_cells_are_left_out_and_told_so(make_notebook):
    result = run_notebook(
        make_notebook("x = 1", ("x = 2", "skip"), ("x = 3", "skip-execution"), "print(x)")
    )
    assert [str(cell.status) for cell in result.cells] == [
        "completed",
        "skipped",
        "skipped",
        "completed",
    ]
    cells = code_cells(result.executed_notebook)
    assert text_of(cells[3].outputs) == "1\n"
    assert cells[1].source == "x = 2"


def test_metrics_are_numbers_assigned_in_the_metrics_cell(make_notebook):
    result = run_notebook(
        make_notebook(
            "import fractions\ntry:\n    import numpy as np\n"
            "except ImportError:\n    np = None\nold = 3",
            (
                "auc = 0.875\nrows = 12\nok = True\nname = 'x'\n_hidden = 1\n"
                "for i in range(3):\n    last = i\nloss = float('nan')\nfloat = str\n"
                "if np is not None:\n    small = np.float32(0.5)\n    zero_d = np.array(2)\n"
                "    many = np.ones(3)",
                "metrics",
            ),
        )
    )
    assert result.status is RunStatus.SUCCEEDED, result.reason
    metrics = result.last_metrics
    assert math.isnan(metrics.pop("loss"))
    assert metrics == {"auc": 0.875, "rows": 12.0, "last": 2.0, "small": 0.5, "zero_d": 2.0}


def test_a_failed_check_stops_the_run(make_notebook):
    result = run_notebook(
        make_notebook("rows = 0", ("assert rows > 0, '0 rows'", "check:rows_positive"), "print(1)")
    )
    assert result.status is RunStatus.FAILED
    assert result.reason == "check rows_positive failed in cell 2: 0 rows"
    assert [(c.name, c.passed, c.blocking, c.message) for c in result.checks] == [
        ("rows_positive", False, True, "0 rows")
    ]
    assert [str(cell.status) for cell in result.cells] == ["completed", "failed", "not_run"]


def test_a_check_without_a_message_says_what_was_asserted(make_notebook):
    result = run_notebook(make_notebook("rows = 0", ("assert rows > 0", "check:rows")))
    assert result.checks[0].message == "rows > 0"


def test_a_noted_check_fails_and_the_run_goes_on(make_notebook):
    result = run_notebook(
        make_notebook(
            ("assert False, 'few rows'", "check-warn:rows"),
            ("x = 1", "check-warn:fine"),
            "print(5)",
        )
    )
    assert result.status is RunStatus.SUCCEEDED
    assert [(c.name, c.passed, c.blocking) for c in result.checks] == [
        ("rows", False, False),
        ("fine", True, False),
    ]
    cells = code_cells(result.executed_notebook)
    assert text_of(cells[2].outputs) == "5\n"
    assert not [o for o in cells[0].outputs if o.output_type == "error"]
    assert "few rows" in text_of(cells[0].outputs)


def test_a_subclass_of_assertion_error_is_a_failed_check(make_notebook):
    result = run_notebook(
        make_notebook(
            ("class TooFew(AssertionError): pass\nraise TooFew('3')", "check-warn:few"), "print(1)"
        )
    )
    assert result.status is RunStatus.SUCCEEDED
    assert result.checks[0].passed is False


def test_another_exception_in_a_check_is_an_error_not_a_verdict(make_notebook):
    result = run_notebook(make_notebook(("missing > 1", "check-warn:rows"), "print(1)"))
    assert result.status is RunStatus.FAILED
    assert result.checks == []
    assert result.reason == "NameError: name 'missing' is not defined in cell 1"


def test_a_named_result_is_previewed_as_jupyter_would_show_it(make_notebook):
    result = run_notebook(
        make_notebook(
            (
                "class Table:\n    def __repr__(self):\n        return '3 rows'\n"
                "    def _repr_html_(self):\n        return '<b>3 rows</b>'\ntable = Table()\nn = 3",
                "result:table",
                "metrics",
            ),
            ("pass", "result:missing"),
        )
    )
    assert result.status is RunStatus.SUCCEEDED, result.reason
    assert result.last_metrics == {"n": 3.0}
    cells = code_cells(result.executed_notebook)
    shown = next(o for o in cells[0].outputs if "dagbook_result" in o.metadata)
    assert shown.data["text/plain"] == "Result table: 3 rows"
    assert shown.data["text/html"] == "<b>3 rows</b>"
    assert text_of(cells[1].outputs) == "Result missing: there is no such variable"


def test_the_notebooks_folder_is_the_working_directory_and_the_project_is_importable(
    make_notebook, tmp_path
):
    (tmp_path / "dg.toml").write_text(
        'directory_type = "project"\n[project]\nroot_module = "x"\n', "utf-8"
    )
    (tmp_path / "shared_code.py").write_text("VALUE = 1\n", "utf-8")
    path = make_notebook(
        "import helper, shared_code, pathlib\n"
        "print(helper.VALUE, shared_code.VALUE, pathlib.Path('data.csv').read_text())",
        name="deep/churn.ipynb",
    )
    (path.parent / "helper.py").write_text("VALUE = 2\n", "utf-8")
    (path.parent / "data.csv").write_text("a,b", "utf-8")
    result = run_notebook(path)
    assert text_of(code_cells(result.executed_notebook)[0].outputs) == "2 1 a,b\n"
    assert result.executed_notebook.parent == tmp_path / "runs" / "churn"


def test_the_kernel_gets_an_allow_list_not_the_steps_environment(make_notebook, monkeypatch):
    monkeypatch.setenv("DATABASE_PASSWORD", "hunter2")
    monkeypatch.setenv("HTTPS_PROXY", "http://user:pass@proxy:3128")
    monkeypatch.setenv("LC_TIME", "C")
    result = run_notebook(
        make_notebook(
            "import os\nprint(sorted(n for n in os.environ if n in "
            "('DATABASE_PASSWORD', 'HTTPS_PROXY', 'LC_TIME', 'PATH', 'GIVEN')))"
        ),
        environment={"GIVEN": "1"},
    )
    assert (
        text_of(code_cells(result.executed_notebook)[0].outputs) == "['GIVEN', 'LC_TIME', 'PATH']\n"
    )


def test_the_kernel_listens_on_sockets_in_a_private_folder_not_on_ports(make_notebook):
    result = run_notebook(
        make_notebook(
            "import json, os, stat, ipykernel\n"
            "c = json.load(open(ipykernel.get_connection_file()))\n"
            "mode = stat.S_IMODE(os.stat(os.path.dirname(c['ip'])).st_mode)\n"
            "print(c['transport'], oct(mode))"
        )
    )
    assert text_of(code_cells(result.executed_notebook)[0].outputs) == "ipc 0o700\n"


def test_raw_output_of_the_kernel_stays_out_of_our_own(make_notebook, capfd):
    run_notebook(
        make_notebook(
            "import os, subprocess\nos.write(1, b'raw')\nsubprocess.run(['echo', 'child'])"
        )
    )
    captured = capfd.readouterr()
    assert captured.out == ""
    assert "raw" not in captured.err


def test_context_and_reported_metrics_reach_notebook_and_result(make_notebook):
    result = run_notebook(
        make_notebook(
            "import dagbook\nprint(dagbook.context.partition_key, dagbook.context.in_run)",
            "%%capture\nfor step in range(3):\n    dagbook.log_metric('loss', 1 / (step + 1), step)",
            "from IPython.display import clear_output\n"
            "dagbook.log_metrics({'a': float('nan'), 'b': float('-inf')})\nclear_output()",
        ),
        context={"partition_key": "2026-01-02"},
    )
    assert result.status is RunStatus.SUCCEEDED, result.reason
    cells = code_cells(result.executed_notebook)
    assert text_of(cells[0].outputs) == "2026-01-02 True\n"
    assert [(p.name, p.value, p.step) for p in result.metrics[:3]] == [
        ("loss", 1.0, 0),
        ("loss", 0.5, 1),
        ("loss", 1 / 3, 2),
    ]
    assert math.isnan(result.last_metrics["a"])
    assert result.last_metrics["b"] == -math.inf
    assert text_of(cells[1].outputs) == "Metrics: loss = 0.333333 (last of 3)"


def test_a_hundred_thousand_reports_do_not_bloat_the_notebook(make_notebook):
    result = run_notebook(
        make_notebook("import dagbook\nfor i in range(100_000):\n    dagbook.log_metric('x', i, i)")
    )
    assert len(result.metrics) == 100_000
    assert result.last_metrics == {"x": 99_999.0}
    assert result.executed_notebook.stat().st_size < 20_000


def test_reports_from_threads_and_forked_children_arrive(make_notebook):
    result = run_notebook(
        make_notebook(
            "import dagbook, os, threading\n"
            "thread = threading.Thread(target=dagbook.log_metric, args=('thread', 1))\n"
            "thread.start(); thread.join()\n"
            "pid = os.fork()\n"
            "if pid == 0:\n    dagbook.log_metric('child', 2)\n    os._exit(0)\n"
            "_ = os.waitpid(pid, 0)"
        )
    )
    assert result.last_metrics == {"thread": 1.0, "child": 2.0}


def test_events_tell_how_far_the_run_is(make_notebook):
    events = []
    run_notebook(make_notebook("1", ("m = 2", "metrics"), ("3", "skip")), on_event=events.append)
    told = [(type(e).__name__, getattr(e, "number", None), getattr(e, "of", None)) for e in events]
    assert told == [
        ("CellStarted", 1, 3),
        ("CellFinished", 1, 3),
        ("CellStarted", 2, 3),
        ("MetricsReported", None, None),
        ("CellFinished", 2, 3),
        ("CellFinished", 3, 3),
    ]
    assert isinstance(events[0], CellStarted)
    assert isinstance(events[3], MetricsReported)
    assert isinstance(events[4], CellFinished)


def test_sys_exit_ends_a_notebook_early_and_well(make_notebook):
    result = run_notebook(make_notebook("import sys\nsys.exit(0)", "print(1)"))
    assert result.status is RunStatus.SUCCEEDED
    assert [str(cell.status) for cell in result.cells] == ["completed", "not_run"]


def test_a_cell_expected_to_raise_may(make_notebook):
    result = run_notebook(make_notebook(("1 / 0", "raises-exception"), "print('on')"))
    assert result.status is RunStatus.SUCCEEDED
    cells = code_cells(result.executed_notebook)
    assert cells[0].outputs[0].ename == "ZeroDivisionError"
    assert text_of(cells[1].outputs) == "on\n"


def test_output_of_a_thread_goes_to_the_cell_that_started_it(make_notebook):
    result = run_notebook(
        make_notebook(
            "import threading, time\ndef late():\n    time.sleep(0.4)\n    print('late')\n"
            "t = threading.Thread(target=late)\nt.start()",
            "print('second')\nt.join()",
        )
    )
    cells = code_cells(result.executed_notebook)
    assert "late" in text_of(cells[0].outputs) + text_of(cells[1].outputs)


def test_what_is_put_out_while_the_kernel_ends_is_kept(make_notebook):
    result = run_notebook(
        make_notebook(
            "import threading, time\n"
            "def speak():\n    time.sleep(1)\n    print('last words', flush=True)\n"
            "threading.Thread(target=speak).start()\nprint('first')"
        )
    )
    assert text_of(code_cells(result.executed_notebook)[0].outputs) == "first\nlast words\n"


def test_widgets_keep_their_state(make_notebook):
    result = run_notebook(
        make_notebook(
            "import ipywidgets as w\nout = w.Output()\nwith out:\n    print('inside')\n"
            "slider = w.IntSlider(5)\ndisplay(slider, out)"
        )
    )
    stored = nbformat.read(result.executed_notebook, as_version=4)
    state = stored.metadata.widgets["application/vnd.jupyter.widget-state+json"]["state"]
    models = {s["model_name"]: s["state"] for s in state.values()}
    assert models["IntSliderModel"]["value"] == 5
    assert models["OutputModel"]["outputs"][0]["text"] == "inside\n"


def test_a_page_for_reading_is_written_beside_the_notebook(make_notebook):
    result = run_notebook(make_notebook("print('seen in the page')"), html=True)
    assert result.executed_html == result.executed_notebook.with_suffix(".html")
    assert "seen in the page" in result.executed_html.read_text("utf-8")


def test_a_run_with_parameters_that_puts_something_out_gets_a_page_too(make_notebook):
    path = make_notebook(("n = 1", "parameters"), "print('seen with', n)")
    result = run_notebook(path, {"n": 2}, html=True)
    assert result.status is RunStatus.SUCCEEDED
    assert "seen with 2" in result.executed_html.read_text("utf-8")


def test_an_executed_notebook_can_be_run_again(make_notebook):
    first = run_notebook(make_notebook(("n = 1", "parameters"), "1 / 0"), {"n": 2})
    again = run_notebook(first.executed_notebook, {"n": 3})
    cells = nbformat.read(again.executed_notebook, as_version=4).cells
    banners = [c for c in cells if "dagbook-banner" in c.metadata.get("tags", [])]
    injected = [c for c in cells if "injected-parameters" in c.metadata.get("tags", [])]
    assert len(banners) == 2
    assert [c.source for c in injected] == ["# Parameters\nn = 3\n"]


def test_a_jupytext_script_runs(tmp_path):
    path = tmp_path / "script.py"
    path.write_text(
        "# %% tags=['parameters']\nn = 2\n\n# %%\nprint(n * 21)\n".replace("'", '"'), "utf-8"
    )
    result = run_notebook(path)
    assert result.status is RunStatus.SUCCEEDED, result.reason
    assert "42" in text_of(code_cells(result.executed_notebook)[-1].outputs)


def test_a_bash_notebook_runs_with_its_parameters(make_notebook, bash_kernel):
    path = make_notebook(("N=1", "parameters"), "echo $((N + 1))", language="bash")
    result = run_notebook(path, {"N": 41})
    assert result.status is RunStatus.SUCCEEDED, result.reason
    assert text_of(code_cells(result.executed_notebook)[2].outputs) == "42\n"


@pytest.mark.needs("r")
def test_an_r_notebook_runs_with_metrics_checks_and_our_lines(make_notebook):
    path = make_notebook(
        ("n <- 1", "parameters"),
        "%%dagster metrics\nauc <- n / 4\nname <- 'x'\nbad <- NaN",
        ("stopifnot(n > 5)", "check-warn:large"),
        "cat(n)",
        language="R",
    )
    result = run_notebook(path, {"n": 3})
    assert result.status is RunStatus.SUCCEEDED, result.reason
    metrics = result.last_metrics
    assert metrics["auc"] == 0.75
    assert math.isnan(metrics["bad"])
    assert "name" not in metrics
    assert [(c.name, c.passed) for c in result.checks] == [("large", False)]
    assert text_of(code_cells(result.executed_notebook)[4].outputs) == "3"


def test_the_papermill_command_runs_with_our_engine(make_notebook, tmp_path):
    import subprocess

    path = make_notebook(("n = 1", "parameters"), "print(n)", ("x = 1", "skip"))
    output = tmp_path / "out.ipynb"
    done = subprocess.run(
        [sys.executable, "-m", "papermill", str(path), str(output), "--engine", "dagbook", "-p", "n",
         "5", "--no-progress-bar"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    cells = code_cells(output)
    assert text_of(cells[2].outputs) == "5\n"
    assert cells[3].metadata.dagbook.status == "skipped"


def test_the_result_follows_the_published_schema(make_notebook):
    import jsonschema

    import dagbook

    schema = json.loads(
        (Path(dagbook.__file__).parent / "schemas" / "execution-1.schema.json").read_text("utf-8")
    )
    for notebook in (
        make_notebook(("a = 1.0", "metrics"), ("assert False", "check:x"), name="a.ipynb"),
        make_notebook("import dagbook\ndagbook.log_metric('n', float('nan'), 1)", name="b.ipynb"),
    ):
        result = run_notebook(notebook)
        as_json = json.loads(json.dumps(result.to_json(), allow_nan=False))
        jsonschema.validate(as_json, schema)


def test_a_run_with_parameters_and_a_page_keeps_its_outputs_in_both(make_notebook, tmp_path):
    # papermill looks through the cells once they are written, and knows only its own kind.
    path = make_notebook(("x = 1", "parameters"), "print('x is', x)")
    result = run_notebook(path, {"x": 2}, output=tmp_path / "out.ipynb", html=True)
    assert result.succeeded
    assert "x is 2" in text_of(nbformat.read(tmp_path / "out.ipynb", 4).cells[-1].outputs)
    assert "x is 2" in result.executed_html.read_text()
