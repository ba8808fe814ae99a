"""`dagbook validate`: every error of every document of every file, each with its place."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

import pytest

from dagbook.cli import main
from dagbook.project import create_project

OURS = "type: dagbook.NotebookRunnerComponent\n"


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def notebook(path: Path, *sources: str) -> Path:
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(sources)
    ]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {
        "cells": cells,
        "metadata": {"kernelspec": kernel},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return write(path, json.dumps(document))


@pytest.fixture(autouse=True)
def defs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "growth"
    project = create_project(root)
    notebook(root / "churn.ipynb", "# dagster: parameters\ndays: int = 7\nregion: str")
    notebook(root / "report.ipynb", "print(1)")
    monkeypatch.chdir(root)
    return project.defs_folder


def validate(
    capsys: pytest.CaptureFixture[str], *arguments: str | Path, status: int = 2
) -> list[str]:
    assert main(["validate", *map(str, arguments)]) == status
    output = capsys.readouterr()
    return (output.out + output.err).splitlines()


def findings(capsys: pytest.CaptureFixture[str], component: Path, text: str) -> list[str]:
    """What is said of one component, without its file and the summary."""
    path = write(component / "defs.yaml", textwrap.dedent(text))
    prefix = f"growth/defs/{component.name}/defs.yaml:"
    *lines, summary = validate(capsys, path)
    assert summary == f"{len(lines)} problem{'s' * (len(lines) != 1)} in 1 file"
    assert all(line.startswith(prefix) for line in lines), lines
    return [line.removeprefix(prefix) for line in lines]


def register(*modules: str) -> None:
    """Name modules whose components the project may use."""
    config = Path("dg.toml")
    write(config, f"{config.read_text()}registry_modules = {json.dumps(modules)}\n")


def test_sound_components_are_ticked_off(defs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        defs / "churn" / "defs.yaml",
        OURS + "attributes:\n  notebook: churn.ipynb\n  parameters: {region: DE}\n"
        '  schedule: {cron: "30 7 * * 1-5", timezone: Europe/Berlin}\n',
    )
    write(defs / "report" / "defs.yml", f"# daily\n{OURS}attributes: {{notebook: report.ipynb}}\n")
    write(defs / "folder" / "component.yaml", "type: dagster.DefsFolderComponent\n")
    assert validate(capsys, status=0) == [
        "✓ growth/defs/churn/defs.yaml:1: churn.ipynb, every weekday at 07:30 (Europe/Berlin)",
        "✓ growth/defs/folder/component.yaml:1: dagster.DefsFolderComponent",
        "✓ growth/defs/report/defs.yml:2: report.ipynb, not scheduled",
    ]


def test_a_project_without_components_is_sound(capsys: pytest.CaptureFixture[str]) -> None:
    assert validate(capsys, status=0) == [
        'nothing to check yet: dagbook schedule NOTEBOOK.ipynb "daily 06:00"'
    ]


def test_every_error_of_a_component_is_told_with_line_key_and_nearest_name(
    defs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = findings(
        capsys,
        defs / "churn",
        """\
        type: dagbook.NotebookRunnerComponent
        attribute: {}
        attributes:
          notebook: churn.ipynb
          compute_sise: small
          compute_size: smal
          parameters:
            dais: 7
            days: many
            region: "{{ run_dat }}"
          schedule: "0 26 * * *"
          owners: [team:growth, me]
        """,
    )
    assert [line.split(": ")[0] for line in said] == [
        "2:attribute",
        "5:compute_sise",
        "6:compute_size",
        "8:parameters.dais",
        "9:parameters.days",
        "10:parameters.region",
        "11:schedule",
        "12:owners.1",
    ]
    assert said[0] == (
        "2:attribute: unknown key. Did you mean `attributes`? Known: attributes, "
        "template_vars_module, type, post_processing, requirements"
    )
    assert said[1].startswith("5:compute_sise: unknown key. Did you mean `compute_size`? Known: ")
    assert said[2].startswith(
        "6:compute_size: compute size 'smal' does not exist. Did you mean `small`?"
    )
    assert said[3] == (
        "8:parameters.dais: churn.ipynb: there is no parameter `dais`. Did you mean `days`? "
        "Known: days, region"
    )
    assert said[4].startswith("9:parameters.days: churn.ipynb: parameter `days` must be ")
    assert said[5].startswith(
        "10:parameters.region: `{{ run_dat }}` is no name that a run knows. Did you mean `run_date`?"
    )
    assert "'me' is neither an e-mail address nor `team:` with a name" in said[7]


@pytest.mark.parametrize(
    ("attributes", "said"),
    [
        ("", ["1:notebook: is missing"]),
        ("attributes:\n", ["2:notebook: is missing"]),
        ("attributes: [notebook]\n", ["2:attributes: names with values are wanted here"]),
        (
            "attributes: {notebook: chrun.ipynb}\n",
            ["2:notebook: chrun.ipynb does not exist in {root}. Did you mean `churn.ipynb`? "
             "Known: churn.ipynb, report.ipynb"],
        ),
        (
            "attributes: {notebook: report.ipynb, timeout: soon}\n",
            ["2:timeout: a number is wanted, not 'soon'"],
        ),
        (
            "attributes: {notebook: report.ipynb, partitions: {type: dayly, start_date: 2026-01-01}}\n",
            ["2:partitions: type 'dayly' is not known. Did you mean `daily`? Known: daily, hourly, "
             "weekly, monthly, static"],
        ),
        (
            "attributes: {notebook: report.ipynb, description: '{{ x'}\n",
            ["2:description: `{{ x` is not allowed: in braces a plain name may stand, such as "
             "`{{ context.project_root }}`, no calls, filters or operators"],
        ),
        (
            'attributes: {notebook: churn.ipynb, schedule: "@daily"}\n',
            ["2:parameters: the notebook requires `region`: give a value, a scheduled run has "
             "nobody to ask"],
        ),
        (
            "attributes:\n  notebook: report.ipynb\n  notebook: churn.ipynb\n  a: {b: 1, b: 2}\n",
            ["4: `notebook` is written twice, first in line 3", "5: `b` is written twice, first in line 5"],
        ),
        (
            "attributes:\n  notebook: report.ipynb: x\n",
            ["3: `: ` is not allowed here; indent as the lines above, or put the value in quotes"],
        ),
    ],
)  # fmt: skip
def test_an_error_is_told_in_one_line(
    defs: Path, attributes: str, said: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    expected = [line.replace("{root}", str(Path.cwd())) for line in said]
    assert findings(capsys, defs / "churn", OURS + attributes) == expected


def test_every_document_of_a_file_is_checked(
    defs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = findings(
        capsys,
        defs / "many",
        """\
        type: dagbook.NotebookRunnerComponent
        attributes: {notebook: none.ipynb}
        ---
        type: dagbook.NotebookRunerComponent
        ---
        type: nowhere.Thing
        ---
        type: nowhere
        ---
        type: dagster.AssetKey
        ---
        attributes: {}
        ---
        - type: dagster.DefsFolderComponent
        ---
        ---
        type: json.missing
        """,
    )
    assert said == [
        f"2:notebook: none.ipynb does not exist in {Path.cwd()}. Did you mean `churn.ipynb`? "
        "Known: churn.ipynb, report.ipynb",
        "4:type: `dagbook` has no `NotebookRunerComponent`. Did you mean "
        "`NotebookRunnerComponent`? Known: NotebookRunnerComponent",
        "6:type: `nowhere` is not registered: install the package, or name the module in "
        "`registry_modules` of the project. Registered: dagbook, dagster",
        "8:type: 'nowhere' is no component type, write it as in `type: "
        "dagbook.NotebookRunnerComponent`",
        "10:type: `dagster.AssetKey` is no component, it is a class AssetKey",
        "12:type: is missing: write `type: dagbook.NotebookRunnerComponent` or another component's",
        "14: is no component: write `type: …` and `attributes:`",
        "16: is empty: write `type: …` and `attributes:`",
        "17:type: `json` is not registered: install the package, or name the module in "
        "`registry_modules` of the project. Registered: dagbook, dagster",
    ]


def test_components_of_others_are_checked_by_their_own_schema(
    defs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        defs / "mine" / "own.py",
        """\
import dagster as dg


class Inner(dg.Model, dg.Resolvable):
    size: int
    name: str = ""


class Mine(dg.Component, dg.Resolvable, dg.Model):
    count: int
    inner: Inner
    values: list[int] = []

    def build_defs(self, context):
        return dg.Definitions()
""",
    )
    assert findings(
        capsys,
        defs / "mine",
        """\
        type: .own.Mine
        attributes:
          inner: {size: [3], nam: x}
          values: [1, two]
          colour: red
        """,
    ) == [
        "2:count: is missing",
        "3:inner.size: input should be a valid integer",
        "3:inner.nam: unknown key",
        "4:values.1: input should be a valid integer, unable to parse string as an integer",
        "5:colour: unknown key. Known: count, values, inner",
    ]
    write(
        defs / "mine" / "defs.yaml",
        "type: .own.Mine\nattributes: {count: 3, inner: {size: 3, name: '{{ project_root }}'}}\n",
    )
    assert validate(capsys, status=0) == ["✓ growth/defs/mine/defs.yaml:1: .own.Mine"]


def test_a_companys_component_that_extends_ours_is_checked_like_ours(
    defs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register("acme")
    write(
        Path("acme.py"),
        """\
from dagbook.notebook_runner.component import NotebookRunnerComponent


class AcmeNotebook(NotebookRunnerComponent):
    cost_centre: str = "none"
""",
    )
    said = findings(
        capsys,
        defs / "churn",
        """\
        type: acme.AcmeNotebook
        attributes:
          notebook: churn.ipynb
          cost_center: "7"
          parameters: {days: x}
        """,
    )
    assert said[0].startswith("4:cost_center: unknown key. Did you mean `cost_centre`? Known: ")
    assert said[1].startswith("5:parameters.days: churn.ipynb: parameter `days` must be ")


def test_a_module_that_cannot_be_imported_is_named_with_its_reason(
    defs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    register("broken_acme", "needy_acme")
    write(Path("broken_acme.py"), "raise RuntimeError('no\\nlicence')\n")
    write(Path("needy_acme.py"), "import something_not_there\n")
    assert findings(
        capsys, defs / "x", "type: broken_acme.Thing\n---\ntype: needy_acme.Thing\n"
    ) == [
        "1:type: `broken_acme` cannot be imported: RuntimeError: no licence",
        "3:type: `needy_acme` needs `something_not_there`, which is not installed",
    ]


def test_what_dagster_never_reads_is_told(defs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sound = OURS + "attributes: {notebook: report.ipynb}\n"
    write(defs / "a" / "defs.yaml", sound)
    write(defs / "a" / "b" / "defs.yaml", sound)
    write(defs / "a" / "component.yaml", sound + "  # old\n")
    lines = validate(capsys)
    never = [line for line in lines if "never" in line]
    assert never == [
        "growth/defs/a/b/defs.yaml:1: is never loaded: Dagster reads growth/defs/a/defs.yaml "
        "instead",
        "growth/defs/a/component.yaml:1: is never loaded: Dagster reads growth/defs/a/defs.yaml "
        "instead",
    ]


def test_equal_keys_are_found_across_files_also_in_those_not_asked_for(
    defs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(defs / "a-b" / "defs.yaml", OURS + "attributes: {notebook: report.ipynb}\n")
    write(defs / "a_b" / "defs.yaml", OURS + "attributes: {notebook: report.ipynb}\n")
    write(defs / "c" / "defs.yaml", OURS + "attributes: {notebook: report.ipynb, key: a_b}\n")
    assert validate(capsys) == [
        "✓ growth/defs/a-b/defs.yaml:1: report.ipynb, not scheduled",
        "growth/defs/a_b/defs.yaml:1:type: the asset key `a_b` is too like `a-b` of "
        "growth/defs/a-b/defs.yaml:1: give one of them another `key`",
        "growth/defs/c/defs.yaml:2:key: the asset key `a_b` is too like `a-b` of "
        "growth/defs/a-b/defs.yaml:1: give one of them another `key`",
        "2 problems in 3 files",
    ]
    (defs / "a-b" / "defs.yaml").unlink()
    assert validate(capsys, defs / "a_b") == [
        "growth/defs/a_b/defs.yaml:1:type: the asset key `a_b` is also that of "
        "growth/defs/c/defs.yaml:2: give one of them another `key`",
        "1 problem in 1 file",
    ]


def test_deps_that_lead_back_are_found(defs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(defs / "a" / "defs.yaml", OURS + "attributes: {notebook: report.ipynb, deps: [b]}\n")
    write(
        defs / "b" / "defs.yaml", OURS + "attributes:\n  notebook: report.ipynb\n  deps: [a, x]\n"
    )
    assert validate(capsys, defs / "b") == [
        "growth/defs/b/defs.yaml:4:deps: lead back to where they start: `b` needs `a` needs `b`",
        "1 problem in 1 file",
    ]


def test_files_folders_and_notebooks_can_be_named(
    defs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(defs / "a" / "defs.yaml", OURS + "attributes: {notebook: report.ipynb}\n")
    write(defs / "b" / "c" / "defs.yaml", OURS + "attributes: {notebook: report.ipynb}\n")
    write(defs / "d" / "defs.yaml", OURS + "attributes: {notebook: nowhere.ipynb}\n")
    first = "✓ growth/defs/a/defs.yaml:1: report.ipynb, not scheduled"
    second = "✓ growth/defs/b/c/defs.yaml:1: report.ipynb, not scheduled"
    assert validate(capsys, defs / "a" / "defs.yaml", status=0)[0] == first
    assert validate(capsys, "growth/defs/b", "growth/defs/a", status=0) == [first, second]
    said = validate(capsys, "report.ipynb", status=0)
    night = "✓ report.ipynb: nothing found that would go wrong at night"
    assert [line for line in said if not line.startswith(" ")] == [first, second, night]
    assert len(validate(capsys, "growth")) == 4


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("nothing", "dagbook: nothing does not exist"),
        ("dg.toml", "dagbook: dg.toml is neither a component file nor a notebook"),
        ("data", "dagbook: data holds no component file (defs.yaml, defs.yml, component.yaml)"),
        ("..", "dagbook: {outside} is in no dagbook project: run `dagbook init` in the folder that "
               "holds your notebooks"),
    ],
)  # fmt: skip
def test_what_cannot_be_checked_is_refused(
    path: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("data").mkdir()
    assert validate(capsys, path) == [said.replace("{outside}", str(Path.cwd().parent))]


def test_json_carries_every_problem_with_its_place(
    defs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        defs / "a" / "defs.yaml",
        OURS + "attributes: {notebook: report.ipynb, timeout: soon}\n---\n"
        "type: dagster.DefsFolderComponent\n",
    )
    assert main(["validate", "--json"]) == 2
    assert json.loads(capsys.readouterr().out) == {
        "schema": "dagbook.validation/1",
        "valid": False,
        "files": 1,
        "problems": [
            {
                "file": "growth/defs/a/defs.yaml",
                "line": 2,
                "column": 38,
                "key": "timeout",
                "text": "a number is wanted, not 'soon'",
            }
        ],
        "passed": [
            {
                "file": "growth/defs/a/defs.yaml",
                "line": 4,
                "type": "dagster.DefsFolderComponent",
                "summary": "",
                "advice": [],
                "foreseen": [],
                "notes": [],
                "checked": [],
            }
        ],
    }


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    command: Sequence[str] = [str(Path(sys.executable).with_name("dagbook")), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_it_runs_as_a_command_from_any_folder_of_the_project(
    defs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(defs / "a" / "defs.yaml", OURS + "attributes: {notebook: none.ipynb}\n")
    monkeypatch.chdir(defs / "a")
    ran = run_command("validate", "../..")
    assert (ran.returncode, ran.stderr) == (2, "")
    assert ran.stdout.splitlines()[-1] == "1 problem in 1 file"
    assert ran.stdout.startswith("defs.yaml:2:notebook: none.ipynb does not exist in ")
    assert "dagbook validate churn.ipynb" in run_command("validate", "--help").stdout


def test_of_one_file_each_thing_that_was_checked_is_said(
    defs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(
        defs / "churn" / "defs.yaml",
        OURS + "attributes:\n  notebook: churn.ipynb\n  parameters: {region: DE}\n"
        "  schedule: 0 6 31 12 *\n  compute_size: medium\n",
    )

    first, *checked = validate(capsys, path, status=0)

    assert (
        first
        == "✓ growth/defs/churn/defs.yaml:1: churn.ipynb, every year on the 31st of December at 06:00 (UTC)"
    )
    moment = checked.pop(6)
    assert checked == [
        "  ✓ YAML: safe to load, 6 lines",
        "  ✓ component: dagbook.NotebookRunnerComponent",
        "  ✓ attributes: notebook, parameters, schedule, compute_size",
        "  ✓ notebook: churn.ipynb, 1 cell of code",
        "  ✓ parameters: region from the YAML; days as in the notebook",
        "  ✓ kernel: python3, installed",
        "  ✓ size: medium (4 CPU, 16 GiB, 4 h)",
        "  ✓ policy: nothing against it (built in, no platform file)",
    ]
    assert re.fullmatch(
        r"  ✓ schedule: every year on the 31st of December at 06:00 \(UTC\), next run \w{3} 31 Dec \d{4} 06:00 UTC",
        moment,
    )


def test_of_a_project_each_thing_is_said_when_asked(
    defs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(defs / "report" / "defs.yaml", OURS + "attributes: {notebook: report.ipynb}\n")

    assert len(validate(capsys, status=0)) == 1
    assert "  ✓ kernel: python3, installed" in validate(capsys, "--verbose", status=0)
