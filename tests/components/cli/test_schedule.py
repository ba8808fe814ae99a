"""`dagbook schedule`: from a notebook to its YAML, checked before anything is written."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from dagbook.cli import main
from dagbook.project import create_project

PARAMETERS = """\
from typing import Literal

region: Literal["DE", "FR"] = "DE"
days: int = 7
code: str = "x"
rates: list = [0.1]
since: str = ""
"""


def write_notebook(
    path: Path, parameters: str | None = PARAMETERS, kernel: str = "python3"
) -> Path:
    def cell(number: int, source: str, *tags: str) -> dict[str, object]:
        return {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {"tags": list(tags)},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }

    cells = [] if parameters is None else [cell(1, parameters, "parameters")]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        json.dumps(
            {
                "cells": [*cells, cell(2, "print(1)")],
                "metadata": {
                    "kernelspec": {"name": kernel, "display_name": kernel, "language": "python"}
                },
                "nbformat": 4,
                "nbformat_minor": 5,
            }
        )
    )
    return path


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "growth"
    create_project(root)
    write_notebook(root / "churn.ipynb")
    monkeypatch.chdir(root)
    monkeypatch.setenv("TZ", "Europe/Berlin")
    return root


def run(arguments: Sequence[str], capsys: pytest.CaptureFixture[str], status: int = 0) -> str:
    assert main(["schedule", *arguments]) == status
    output = capsys.readouterr()
    assert output.err == "" if status == 0 else output.out == ""
    return output.out or output.err


def without_next_runs(text: str) -> str:
    lines = text.splitlines()
    return "\n".join("next runs: …" if line.startswith("next runs: ") else line for line in lines)


def yaml_of(project: Path, component: str) -> str:
    return (project / "growth" / "defs" / component / "defs.yaml").read_text()


def test_a_notebook_is_put_on_a_schedule(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert without_next_runs(run(["churn.ipynb", "daily 06:00"], capsys)) == (
        "✓ churn.ipynb: every day at 06:00 (Europe/Berlin)\n"
        "\n"
        "growth/defs/churn/defs.yaml\n"
        "  type: dagbook.NotebookRunnerComponent\n"
        "  attributes:\n"
        "    notebook: churn.ipynb\n"
        '    schedule: {cron: "0 6 * * *", timezone: Europe/Berlin}\n'
        "\n"
        "next runs: …\n"
        "next: dagbook up"
    )
    assert yaml_of(project, "churn") == (
        "type: dagbook.NotebookRunnerComponent\n"
        "attributes:\n"
        "  notebook: churn.ipynb\n"
        '  schedule: {cron: "0 6 * * *", timezone: Europe/Berlin}\n'
    )
    assert main(["validate"]) == 0


def test_everything_that_is_no_default_is_written(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["churn.ipynb", "mondays 06:00", "--timezone", "UTC", "--size", "medium"]
    for value in ("region=FR", "days=30", "code=20260101", "since={{ data_interval_start }}"):
        arguments += ["-p", value]
    said = run(arguments, capsys)
    assert said.startswith(
        "✓ churn.ipynb: every Monday at 06:00 (UTC); size medium; parameter region FR; "
        "parameter days 30; parameter code 20260101; parameter since {{ data_interval_start }}\n"
    )
    assert yaml_of(project, "churn") == (
        "type: dagbook.NotebookRunnerComponent\n"
        "attributes:\n"
        "  notebook: churn.ipynb\n"
        '  schedule: {cron: "0 6 * * 1", timezone: UTC}\n'
        "  compute_size: medium\n"
        '  parameters: {region: FR, days: 30, code: "20260101", since: "{{ data_interval_start }}"}\n'
    )
    assert main(["validate"]) == 0


def test_text_that_looks_like_a_number_reaches_the_component_as_text(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from dagbook.defs_yaml import ComponentFile
    from dagbook.notebook_runner.component import NotebookRunnerComponent

    values = ["20260101", "3", "True", "None", "1e5", "[1, 2]", "on", "0x1f", "06:30", "{a", "'q'"]
    for value in values:
        run(["churn.ipynb", "daily", "-p", f"code={value}"], capsys)
        text = yaml_of(project, "churn")
        attributes = text.partition("attributes:\n")[2]
        component = NotebookRunnerComponent.resolve_from_yaml(attributes)
        assert component.parameters == {"code": value}
        (document,) = ComponentFile.load(project / "growth/defs/churn/defs.yaml").documents
        assert document.attributes["parameters"] == {"code": value}


def test_what_is_scheduled_is_changed_in_place_and_shown_in_words(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "growth" / "defs" / "eu" / "churn" / "defs.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(
        "# mine\n"
        "type: dagbook.NotebookRunnerComponent\n"
        "attributes:\n"
        "    notebook: ./churn.ipynb   # the model\n"
        "    schedule: {timezone: UTC, cron: '0 6 * * *'}  # early\n"
        "    parameters:\n"
        "        days: 7  # a week\n"
    )
    arguments = ["churn.ipynb", "daily 07:00", "--size", "medium", "-p", "days=30"]
    assert without_next_runs(run(arguments, capsys)) == (
        "✓ churn.ipynb: every day at 06:00 (UTC) → every day at 07:00 (UTC); size small → medium; "
        "parameter days 7 → 30\n"
        "\n"
        "--- growth/defs/eu/churn/defs.yaml\n"
        "+++ growth/defs/eu/churn/defs.yaml\n"
        "@@ -2,6 +2,7 @@\n"
        " type: dagbook.NotebookRunnerComponent\n"
        " attributes:\n"
        "     notebook: ./churn.ipynb   # the model\n"
        "-    schedule: {timezone: UTC, cron: '0 6 * * *'}  # early\n"
        "+    schedule: {timezone: UTC, cron: '0 7 * * *'}  # early\n"
        "     parameters:\n"
        "-        days: 7  # a week\n"
        "+        days: 30  # a week\n"
        "+    compute_size: medium\n"
        "\n"
        "next runs: …\n"
        "next: dagbook up"
    )
    assert run(["churn.ipynb", "--size", "small"], capsys).startswith(
        "✓ churn.ipynb: size medium → small\n"
    )
    assert "compute_size" not in path.read_text()
    assert not (project / "growth" / "defs" / "churn").exists()


def test_a_schedule_of_cron_alone_stays_one_until_a_zone_is_asked_for(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "growth" / "defs" / "churn" / "defs.yaml"
    path.parent.mkdir()
    path.write_text(
        "type: dagbook.NotebookRunnerComponent\n"
        'attributes: {notebook: churn.ipynb, schedule: "@daily"}\n'
    )
    assert run(["churn.ipynb", "daily 00:00"], capsys).startswith(
        "✓ nothing to change, churn.ipynb runs every day at 00:00 (UTC)\n"
    )
    run(["churn.ipynb", "daily 06:00"], capsys)
    assert path.read_text().endswith('{notebook: churn.ipynb, schedule: "0 6 * * *"}\n')
    run(["churn.ipynb", "--timezone", "Asia/Tokyo"], capsys)
    assert path.read_text().endswith(
        '{notebook: churn.ipynb, schedule: {cron: "0 6 * * *", timezone: Asia/Tokyo}}\n'
    )
    run(["churn.ipynb", "daily 07:00", "--timezone", "UTC"], capsys)
    assert path.read_text().endswith(
        '{notebook: churn.ipynb, schedule: {cron: "0 7 * * *", timezone: UTC}}\n'
    )


def test_a_component_without_a_schedule_gets_one(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "growth" / "defs" / "churn" / "defs.yaml"
    path.parent.mkdir()
    path.write_text(
        "type: dagbook.NotebookRunnerComponent\nattributes:\n  notebook: churn.ipynb  # by hand\n"
    )
    assert run(["churn.ipynb", "--size", "medium"], capsys, status=2) == (
        'dagbook: churn.ipynb has no schedule yet: say when, for example "daily 06:00"\n'
    )
    assert run(["churn.ipynb", "hourly :15"], capsys).startswith(
        "✓ churn.ipynb: every hour at :15 (Europe/Berlin)\n"
    )
    assert path.read_text() == (
        "type: dagbook.NotebookRunnerComponent\n"
        "attributes:\n"
        "  notebook: churn.ipynb  # by hand\n"
        '  schedule: {cron: "15 * * * *", timezone: Europe/Berlin}\n'
    )


def test_a_dry_run_shows_everything_and_writes_nothing(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(project.rglob("*"))
    said = run(["churn.ipynb", "daily 06:00", "--dry-run"], capsys)
    assert said.startswith("would write churn.ipynb: every day at 06:00 (Europe/Berlin)\n")
    assert said.endswith("nothing was written\n")
    assert sorted(project.rglob("*")) == before


def test_json_says_what_changes(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(["churn.ipynb", "daily 06:00"], capsys)
    answer = json.loads(run(["churn.ipynb", "daily 07:00", "-p", "days=3", "--json"], capsys))
    times = answer.pop("next_runs")
    diff = answer.pop("diff")
    assert answer == {
        "schema": "dagbook.schedule/1",
        "notebook": "churn.ipynb",
        "component": "churn",
        "file": f"{project}/growth/defs/churn/defs.yaml",
        "created": False,
        "changed": True,
        "written": True,
        "cron": "0 7 * * *",
        "timezone": "Europe/Berlin",
        "words": "every day at 07:00 (Europe/Berlin)",
        "changes": [
            {
                "key": "schedule",
                "before": "every day at 06:00 (Europe/Berlin)",
                "after": "every day at 07:00 (Europe/Berlin)",
            },
            {"key": "parameter days", "before": None, "after": "3"},
        ],
        "url": None,
    }
    assert len(times) == 3 and all("T07:00:00+0" in time for time in times)
    assert "+  parameters: {days: 3}\n" in diff


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["churn.ipynb", "dayly 06:00"],
            "schedule `dayly 06:00`: `dayly` is not understood. Did you mean `daily`? Write "
            "`hourly :15`, `every 15 minutes`, `daily 06:00`, `weekdays 07:30`, `mondays 06:00`, "
            '`monthly 1 06:00`, or cron such as "0 6 * * *"',
        ),
        (["churn.ipynb", "61 6 * * *"], "cron `61 6 * * *`: `61` is no minute, which is 0-59"),
        (
            ["churn.ipynb", "daily", "--timezone", "berlin"],
            "time zone 'berlin' does not exist. Did you mean `Europe/Berlin`?",
        ),
        (
            ["churn.ipynb", "daily", "--size", "mediun"],
            "compute size 'mediun' does not exist. Did you mean `medium`? Known: medium, "
            "gpu_medium, large, small, gpu_large",
        ),
        (
            ["churn.ipynb", "daily", "-p", "regoin=DE"],
            "churn.ipynb: there is no parameter `regoin`. Did you mean `region`? Known: region, "
            "rates, since, code, days",
        ),
        (
            ["churn.ipynb", "daily", "-p", "regoin={{ run_date }}"],
            "churn.ipynb: there is no parameter `regoin`. Did you mean `region`? Known: region, "
            "rates, since, code, days",
        ),
        (
            ["churn.ipynb", "daily", "--set", "owners"],
            "--set owners: give KEY=VALUE, such as owners=[team:growth]",
        ),
        (
            ["churn.ipynb", "daily", "--set", "owners=[a"],
            "--set owners: the value is no YAML: expected ',' or ']', but got '<stream end>'",
        ),
        (
            ["churn.ipynb", "daily", "-p", "region=ghp" + "_a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8"],
            "churn.ipynb: parameter `region` looks like a GitHub token, and parameters are kept with every "
            "run: name a connection under `resources` in its component, and read it in the notebook with "
            '`os.environ["REGION"]`.',
        ),
        (
            ["churn.ipynb", "daily", "--set", "tags.url=postgresql://anna:hunter2@db/shop"],
            "--set tags.url: the value looks like an address with a password, and a component file is for "
            "everybody to read: name a connection under `resources`",
        ),
        (
            ["churn.ipynb", "daily", "--set", "tags.password=hunter2"],
            "--set tags.password: the value is called a credential, and a component file is for everybody "
            "to read: name a connection under `resources`",
        ),
        (["churn.ipynb", "daily", "--set", "parameters.days=1"], "--set parameters.days: -p says that"),
        (
            ["churn.ipynb", "daily", "--set", "timeout=soon", "--set", "gruop=g"],
            "nothing was written. timeout: a number is wanted, not 'soon' (and 1 more: gruop)",
        ),
        (["churn.ipynb", "daily", "-p", "days"], "-p days: give a parameter as NAME=VALUE"),
        (
            ["churn.ipynb", "daily", "-p", "since={{ run_dat }}"],
            "nothing was written. parameters.since: `{{ run_dat }}` is no name that a run knows. "
            "Did you mean `run_date`? Known: run_date, run_id, experiment_id, environment, "
            "partition_key, attempt, data_interval_end, data_interval_start. Only exact names are filled "
            "in: expressions belong in the notebook",
        ),
        (["chrn.ipynb", "daily"], "chrn.ipynb does not exist. Did you mean `churn.ipynb`? Known: churn.ipynb"),
        (["growth", "daily"], "growth is a folder: name a notebook"),
        (["churn.ipynb"], 'churn.ipynb has no schedule yet: say when, for example "daily 06:00"'),
        (["churn.ipynb", "daily", "--component", "a.b"],
         "'a.b' cannot be a component: between its slashes use letters, digits, _ and -"),
        (["churn.ipynb", "daily", "--component", "x:2"], "there is no component `x:2`. There are none."),
    ],
)  # fmt: skip
def test_a_mistake_is_refused_in_one_line_and_nothing_is_written(
    project: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sorted(project.rglob("*"))
    assert run(arguments, capsys, status=2) == f"dagbook: {said}\n"
    assert sorted(project.rglob("*")) == before


def test_a_value_of_the_wrong_type_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    said = run(["churn.ipynb", "daily", "-p", "days=many"], capsys, status=2)
    assert said.startswith("dagbook: churn.ipynb: parameter `days` must be ")
    assert "'many'" in said


def test_a_kernel_that_is_not_installed_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_notebook(project / "old.ipynb", kernel="python2")
    said = run(["old.ipynb", "daily"], capsys, status=2)
    assert said.startswith("dagbook: nothing was written. notebook: ")
    assert "python2" in said
    assert not (project / "growth" / "defs" / "old").exists()


def test_a_file_that_is_no_notebook_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "broken.ipynb").write_text("{")
    assert run(["broken.ipynb", "daily"], capsys, status=2).startswith("dagbook: broken.ipynb")


def test_what_is_wrong_elsewhere_in_the_component_is_named_with_its_line(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = project / "growth" / "defs" / "churn" / "defs.yaml"
    path.parent.mkdir()
    text = (
        "type: dagbook.NotebookRunnerComponent\n"
        "attributes:\n"
        "  notebook: churn.ipynb\n"
        "  owner: [team:growth]\n"
        "  compute_size: huge\n"
    )
    path.write_text(text)
    assert run(["churn.ipynb", "daily"], capsys, status=2).startswith(
        "dagbook: nothing was written. growth/defs/churn/defs.yaml:4:owner: unknown key. Did you "
        "mean `owners`?"
    )
    assert path.read_text() == text


def test_folders_are_made_as_the_notebooks_lie_without_dots_and_blanks(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a b/Über Größe.v2.ipynb", "日本.ipynb", "eu/churn.ipynb"):
        write_notebook(project / name)
        run([name, "daily"], capsys)
    run(["churn.ipynb", "daily"], capsys)
    defs = project / "growth" / "defs"
    made = sorted(path.parent.relative_to(defs).as_posix() for path in defs.rglob("defs.yaml"))
    assert made == ["a_b/uber_groe_v2", "churn", "eu/churn", "notebook"]
    assert main(["validate"]) == 0


def test_notebooks_whose_folders_would_be_equal_or_hide_each_other_get_others(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["a b.ipynb", "a_b.ipynb", "a.b.ipynb", "models.ipynb", "models/x.ipynb", "y/z.ipynb"]
    names.append("y.ipynb")
    for name in names:
        write_notebook(project / name)
        run([name, "daily"], capsys)
    defs = project / "growth" / "defs"
    made = {}
    for path in defs.rglob("defs.yaml"):
        notebook = path.read_text().split("notebook: ")[1].split("\n")[0]
        made[notebook] = path.parent.relative_to(defs).as_posix()
    assert made == {
        "a b.ipynb": "a_b",
        "a_b.ipynb": "a_b_2",
        "a.b.ipynb": "a_b_3",
        "models.ipynb": "models",
        "models/x.ipynb": "models_x",
        "y/z.ipynb": "y/z",
        "y.ipynb": "y_2",
    }
    assert main(["validate"]) == 0


def test_a_notebook_in_a_components_folder_is_scheduled_there(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_notebook(project / "growth" / "defs" / "reports" / "weekly" / "report.ipynb")
    run(["growth/defs/reports/weekly/report.ipynb", "mondays 06:00"], capsys)
    assert "notebook: growth/defs/reports/weekly/report.ipynb\n" in yaml_of(
        project, "reports/weekly"
    )


def test_of_several_components_one_has_to_be_named(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(["churn.ipynb", "daily 06:00"], capsys)
    run(["churn.ipynb", "daily 07:00", "--component", "fr/churn", "-p", "region=FR"], capsys)
    assert run(["churn.ipynb", "daily 08:00"], capsys, status=2) == (
        "dagbook: churn.ipynb is run by 2 components: `churn`, `fr/churn`. Say which one with "
        "--component\n"
    )
    said = run(["churn.ipynb", "daily 08:00", "--component", "fr/churn"], capsys)
    assert said.startswith(
        "✓ churn.ipynb: every day at 07:00 (Europe/Berlin) → every day at 08:00 (Europe/Berlin)\n"
    )
    assert 'cron: "0 6 * * *"' in yaml_of(project, "churn")
    write_notebook(project / "other.ipynb")
    assert run(["other.ipynb", "daily", "--component", "churn"], capsys, status=2) == (
        "dagbook: component `churn` runs churn.ipynb, not other.ipynb\n"
    )


def test_a_component_behind_another_in_its_file_is_changed(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_notebook(project / "other.ipynb")
    path = project / "growth" / "defs" / "both" / "defs.yaml"
    path.parent.mkdir()
    path.write_text(
        "type: dagbook.NotebookRunnerComponent\n"
        "attributes: {notebook: other.ipynb}\n"
        "---\n"
        "type: dagbook.NotebookRunnerComponent\n"
        "attributes: {notebook: churn.ipynb, key: both/churn}\n"
    )
    for component in ([], ["--component", "both:2"], ["--component", "both/churn"]):
        run(["churn.ipynb", "daily 06:00", *component], capsys)
        assert path.read_text() == (
            "type: dagbook.NotebookRunnerComponent\n"
            "attributes: {notebook: other.ipynb}\n"
            "---\n"
            "type: dagbook.NotebookRunnerComponent\n"
            "attributes: {notebook: churn.ipynb, key: both/churn, "
            'schedule: {cron: "0 6 * * *", timezone: Europe/Berlin}}\n'
        )


def test_a_broken_file_of_another_notebook_does_not_matter_one_of_this_does(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = project / "growth" / "defs" / "broken" / "defs.yaml"
    broken.parent.mkdir()
    broken.write_text("a: b: c\n")
    run(["churn.ipynb", "daily 06:00"], capsys)
    broken.write_text("attributes: {notebook: churn.ipynb\n")
    assert run(["churn.ipynb", "daily 07:00"], capsys, status=2).startswith(
        "dagbook: growth/defs/broken/defs.yaml:2: expected ',' or '}', but got '<stream end>'"
    )


def test_outside_a_project_the_way_on_is_told_and_init_takes_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "elsewhere"
    write_notebook(folder / "models" / "churn.ipynb")
    monkeypatch.chdir(folder)
    assert run(["models/churn.ipynb", "daily"], capsys, status=2) == (
        f"dagbook: models/churn.ipynb is in no dagbook project: repeat with --init to make {folder} "
        "one, or run `dagbook init` in the folder that is to be the project\n"
    )
    refused = run(["models/churn.ipynb", "daily 24:00", "--init"], capsys, status=2)
    assert "made the project" not in refused
    assert [path.name for path in folder.iterdir()] == ["models"], "and no project either"
    assert run(["models/churn.ipynb", "daily", "--init"], capsys).startswith(
        f"✓ made the project `elsewhere` in {folder}\n"
        "✓ models/churn.ipynb: every day at 00:00 (Europe/Berlin)\n"
    )
    assert (folder / "elsewhere" / "defs" / "models" / "churn" / "defs.yaml").is_file()


def test_it_runs_as_a_command_and_dagster_loads_what_it_writes(project: Path) -> None:
    command = Path(sys.executable).with_name("dagbook")
    ran = subprocess.run(
        [command, "schedule", "churn.ipynb", "daily 06:00"], capture_output=True, text=True
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    dg = Path(sys.executable).with_name("dg")
    listed = subprocess.run([dg, "list", "defs", "--json"], capture_output=True, text=True)
    assert listed.returncode == 0, listed.stdout + listed.stderr
    definitions = json.loads(listed.stdout)
    assert [schedule["cron_schedule"] for schedule in definitions["schedules"]] == ["0 6 * * *"]
    helped = subprocess.run([command, "schedule", "--help"], capture_output=True, text=True)
    assert helped.returncode == 0
    assert 'dagbook schedule churn.ipynb "daily 06:00"' in helped.stdout


def test_what_the_platform_requires_can_be_given_with_the_schedule(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (project / "dagbook-platform.yaml").write_text(
        "rules:\n  required_metadata: {owners: true, tags.classification: internal|public}\n"
    )
    file = project / "growth" / "defs" / "churn" / "defs.yaml"
    said = run(["churn.ipynb", "daily 06:00"], capsys, status=2)
    assert said == (
        "dagbook: nothing was written. owners: `owners` is missing: every component has to give "
        "it (dagbook-platform.yaml:2) (and 1 more: tags)\n"
    )
    assert not file.exists()
    others = ["--set", "owners=[team:growth]", "--set", "tags.classification=public"]
    said = run(["churn.ipynb", "daily 06:00", *others], capsys)
    assert said.startswith(
        "✓ churn.ipynb: every day at 06:00 (Europe/Berlin); "
        'owners ["team:growth"]; tags {"classification": "public"}\n'
    )
    assert "  owners: [team:growth]\n  tags: {classification: public}\n" in file.read_text()
    said = run(["churn.ipynb", "--set", "tags.classification=internal"], capsys)
    assert "-  tags: {classification: public}\n+  tags: {classification: internal}\n" in said
