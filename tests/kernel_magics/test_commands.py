"""`%dagster …` in a real kernel, with a real bridge and a real Dagster instance behind it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

pytestmark = pytest.mark.early

CHURN = (
    "# dagster: parameters\ncountry = 'DE'  # Which country\nrows = 3",
    "# dagster: metrics\nauc = rows / 4",
    "# dagster: check enough\nassert rows > 1",
)

Say = Callable[..., list[str]]


@pytest.fixture
def churn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A notebook in a folder of its own, which its kernel is told of as Jupyter does."""
    folder = tmp_path / "work"
    folder.mkdir()
    path = folder / "churn.ipynb"
    kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(source) for source in CHURN]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": kernelspec}), path)
    monkeypatch.setenv("JPY_SESSION_NAME", str(path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("TZ", "Europe/Berlin")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return path


@pytest.fixture
def say(churn: Path) -> Say:
    """Run lines in one kernel in the notebook's folder; returns what each showed, as text."""
    from nbclient import NotebookClient

    def run(*lines: str) -> list[str]:
        sources = ["%load_ext dagbook", *lines]
        document = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(source) for source in sources],
            metadata={"kernelspec": {"name": "python3", "display_name": "", "language": "python"}},
        )
        resources = {"metadata": {"path": str(churn.parent)}}
        NotebookClient(document, timeout=240, allow_errors=True, resources=resources).execute()
        return ["\n".join(map(_text, cell["outputs"])) for cell in document.cells[1:]]

    return run


def _text(output: dict[str, Any]) -> str:
    if output["output_type"] == "error":
        return "\n".join(output["traceback"])
    return str(
        output["text"] if output["output_type"] == "stream" else output["data"]["text/plain"]
    )


def yaml_of(churn: Path) -> Path:
    return churn.parent / "work" / "defs" / "churn" / "defs.yaml"


#: Puts the names of the last runs into a variable, the newest first.
NAME_RUNS = """
from IPython.utils.capture import capture_output
with capture_output() as seen:
    get_ipython().run_line_magic('dagster', 'runs')
told = str(seen.outputs[0].data['text/plain']).splitlines()
names = [line.split()[0] for line in told if 'succeeded' in line]
"""


def test_the_way_from_nothing_to_runs_that_are_compared(say: Say, churn: Path) -> None:
    state, refused, made, again, tried, failed, larger, huge, runs, _, diff, unknown, dry = say(
        "%dagster",
        "%dagster schedule daily 06:00",
        "%dagster schedule daily 06:00 --init",
        "%dagster",
        "%dagster run",
        "%dagster run -p rows=1",
        "%dagster run --size medium -p rows=8",
        "%dagster run --size huge",
        "%dagster runs",
        NAME_RUNS,
        "get_ipython().run_line_magic('dagster', f'runs diff {names[1]} {names[0]}')",
        "%dagster runs diff zzz yyy",
        "%dagster schedule weekdays 07:30 --size medium --dry-run",
    )
    assert state == 'churn.ipynb is not scheduled. `%dagster schedule "daily 06:00"`'
    assert refused == (
        'DagbookError: churn.ipynb is in no dagbook project. `%dagster schedule "daily 06:00" '
        f"--init` makes {churn.parent} one: it adds dg.toml and defs/"
    )
    assert made.startswith("✓ churn.ipynb: every day at 06:00 (Europe/Berlin)\n")
    assert "Nothing is running schedules here yet. `%dagster schedule --start` starts it." in made
    assert again.startswith("churn.ipynb runs every day at 06:00 (Europe/Berlin).\n  next")
    assert tried.startswith("✓ Worked after ")
    assert "\n  auc           0.75\n" in tried
    assert "\n  check enough  passed\n" in tried
    assert failed.startswith("! Failed after ")
    assert "check enough failed in cell 3: rows > 1" in failed
    assert "of size medium (" in larger
    # Another size for one run is judged like the scheduled one.
    assert "size 'huge'" in huge or "`huge`" in huge
    states = [line.split()[1] for line in runs.splitlines()[1:5]]
    assert states == ["refused", "succeeded", "failed", "succeeded"]
    assert "Metrics, the oldest first:\n  auc  " in runs
    title, *rows = diff.splitlines()
    assert title.endswith(", what differs:")
    assert ["rows", "3", "→", "8"] in [row.split() for row in rows]
    assert ["auc", "0.75", "→", "2"] in [row.split() for row in rows]
    assert unknown.startswith("DagbookError: zzz begins the name of no run of this notebook.")
    assert dry.startswith(
        "Would write churn.ipynb: every day at 06:00 → every weekday at 07:30; "
        "size small → medium\n"
    )
    assert '"0 6 * * *"' in yaml_of(churn).read_text(), "a dry run writes nothing"
    assert "compute_size" not in yaml_of(churn).read_text()


def test_magic_and_command_line_write_the_same_bytes(say: Say, churn: Path, tmp_path: Path) -> None:
    say('%dagster schedule "weekdays 07:30" --init --size medium -p country=FR -p rows=5')
    by_magic = yaml_of(churn).read_bytes()
    other = tmp_path / "other" / "work"
    other.mkdir(parents=True)
    (other / "churn.ipynb").write_bytes(churn.read_bytes())
    command = [sys.executable, "-m", "dagbook", "schedule", "churn.ipynb", "weekdays 07:30"]
    options = ["--init", "--size", "medium", "-p", "country=FR", "-p", "rows=5"]
    subprocess.run([*command, *options], cwd=other, check=True, capture_output=True)
    assert (other / "work" / "defs" / "churn" / "defs.yaml").read_bytes() == by_magic


def test_settings_in_a_cell_are_checked_shown_and_written_only_when_asked(
    say: Say, churn: Path
) -> None:
    wrong, no_yaml, shown, saved, removed = say(
        "%dagster schedule daily 06:00 --init\n",
        "%%dagster\ncompute_size: medium\nretries: two",
        "%%dagster\ncompute_size: [medium",
        "%%dagster\ncompute_size: medium  # for the model\nretries: 2",
        "%%dagster --save\ncompute_size: medium\nretries: 2",
        "%%dagster --save\nretries: null",
    )[1:]
    assert wrong == "DagbookError: line 3: retries: a whole number is wanted, not 'two'"
    assert no_yaml.startswith("DagbookError: line 3: not YAML: ")
    assert shown.startswith("Would write churn.ipynb: size small → medium; retries 2\n")
    assert shown.endswith("Nothing was written: `%%dagster --save` writes it.")
    assert saved.startswith("✓ churn.ipynb: size small → medium; retries 2\n")
    assert removed.startswith("✓ churn.ipynb: ")
    assert yaml_of(churn).read_text() == (
        "type: dagbook.NotebookRunnerComponent\n"
        "attributes:\n"
        "  notebook: churn.ipynb\n"
        '  schedule: {cron: "0 6 * * *", timezone: Europe/Berlin}\n'
        "  compute_size: medium\n"
    )


def test_names_in_one_brace_are_the_notebooks_and_in_two_a_runs(say: Say, churn: Path) -> None:
    say("%dagster schedule daily 06:00 --init")
    ours, runs, in_function = say(
        "code = 'FR'",
        "%dagster schedule -p country={code} -p rows=5 --dry-run",
        "%dagster schedule -p country={code}-{{run_date}} --dry-run",
        "def of(code):\n    %dagster schedule -p country=$code --dry-run\nof('IT')",
    )[1:]
    assert ours.startswith("Would write churn.ipynb: country FR; rows 5\n")
    assert runs.startswith("Would write churn.ipynb: country FR-{{run_date}}\n")
    assert in_function.startswith("Would write churn.ipynb: country IT\n")


def test_which_of_several_is_tried_and_checked_can_be_said(say: Say, churn: Path) -> None:
    which, checked, ran, pause, runs = say(
        "%dagster schedule daily 06:00 --init",
        "%dagster schedule daily 07:00 --component second",
        "%dagster run",
        "%dagster validate --component second",
        "%dagster run --component second",
        "%dagster pause --component second",
        "%dagster runs",
    )[2:]
    assert which.endswith(
        "DagbookError: churn.ipynb is run by 2 components: `churn`, `second`. Say which one with "
        "--component"
    )
    assert checked == "✓ churn.ipynb: nothing found that would go wrong in production."
    assert ran.startswith("✓ Worked after ")
    assert pause == (
        "DagbookError: nothing is running schedules here, so there is nothing to switch: "
        "`%dagster schedule --start` starts it"
    )
    assert "/runs/second/" in runs


WRONG = [
    (
        "%dagster shedule daily 06:00",
        "DagbookError: `%dagster shedule` is not known. Did you mean `schedule`? Known: "
        "schedule, pause, run, runs, validate, form",
    ),
    (
        "%dagster run --fast",
        "DagbookError: %dagster run: unrecognized arguments: --fast. `%dagster run --help` "
        "lists what it takes",
    ),
    ("%dagster run -p rows", "DagbookError: -p rows: give NAME=VALUE, such as country=DE"),
    (
        "%dagster schedule 'daily",
        "DagbookError: %dagster: no closing quotation in `schedule 'daily`",
    ),
    ("%dagster schedule", 'DagbookError: say when: `%dagster schedule "daily 06:00"`'),
    (
        "%dagster --notebook chrn.ipynb",
        "DagbookError: chrn.ipynb does not exist. Did you mean `churn.ipynb`? Known: churn.ipynb",
    ),
    ("%dagster --notebook .", "DagbookError: . is no notebook. Known: churn.ipynb"),
    (
        "%dagster --notebook /dev/null",
        "DagbookError: /dev/null is no notebook. Its folder holds no notebook",
    ),
    (
        "%%dagster\nretries: 2\nnotebook: other.ipynb",
        "DagbookError: line 3: notebook: these are the settings of churn.ipynb: leave the line "
        "out, or say `%%dagster --notebook PATH`",
    ),
    (
        "%dagster validate --fix night",
        "DagbookError: --fix night: `night` is no rule. Known: not-run, "
        "unknown-import, interactive-plots, not-python, dotenv-file, environment-variable, "
        "missing-file, never-defined, …",
    ),
]


def test_what_is_wrong_is_one_line(say: Say) -> None:
    assert say(*(line for line, _ in WRONG)) == [said for _, said in WRONG]


def test_a_notebook_that_was_renamed_or_never_saved_is_one_sentence(say: Say, churn: Path) -> None:
    churn.rename(churn.with_name("churn2.ipynb"))
    assert say("%dagster") == [
        "DagbookError: churn.ipynb is not there any more: the notebook was renamed or never "
        "saved. Restart the kernel, or say which with `--notebook PATH`; in its folder: "
        "churn2.ipynb"
    ]


def test_nothing_heavy_is_imported_into_the_kernel(say: Say) -> None:
    heavy = ["dagster", "mlflow", "pandas", "papermill", "sqlalchemy", "jupyter_server"]
    shown = say(
        "%dagster schedule daily 06:00 --init",
        "%dagster",
        f"import sys\nprint([name for name in {heavy} if name in sys.modules])",
    )
    assert shown[-1] == "[]\n"


def test_words_and_options_are_completed(shell: Any) -> None:
    complete = shell.ip.complete
    assert complete(None, "%dagster va", 11)[1] == ["validate"]
    assert "schedule" in complete(None, "%dagster ", 9)[1]
    assert "--timezone" in complete(None, "%dagster schedule --t", 21)[1]


def test_a_notebook_that_is_not_scheduled_is_tried_as_it_is(say: Say, churn: Path) -> None:
    worked, refused = say("%dagster run -p rows=8", "%dagster run -p rowz=8")
    assert worked.startswith("✓ Worked after ")
    assert "\n  auc           2\n" in worked
    assert refused.endswith("Did you mean `rows`? Known: rows, country")
    assert not (churn.parent / "dg.toml").exists()


def test_a_partition_of_what_has_none_is_one_line(say: Say, churn: Path) -> None:
    refused = say("%dagster schedule daily 06:00 --init", "%dagster run --partition 2026-01-01")[1]
    assert refused.endswith(
        "DagbookError: partition 2026-01-01: churn.ipynb is not repeated for anything: leave it out"
    )
