"""`dagbook test` and `dagbook deploy`, with real kernels and a real Dagster."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagbook.cli import main
from dagbook.project import Project, create_project
from dagbook.sample_run import components_in, smallest_size
from dagbook.services import find_services, stop_services
from dagbook.services.schedules import switch_on
from dagbook.services.webserver import ask

OURS = "type: dagbook.NotebookRunnerComponent\n"
STOP = "mutation($id: String!) { stopRunningSchedule(id: $id) { __typename } }"
STATE = """
query($selector: ScheduleSelector!) {
  scheduleOrError(scheduleSelector: $selector) {
    ... on Schedule { scheduleState { id status } }
  }
}
"""


def notebook(path: Path, *cells: tuple[str, str | None]) -> None:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    written = [
        {
            "cell_type": "code", "id": f"c{number}", "metadata": {"tags": [tag] if tag else []},
            "source": source, "outputs": [], "execution_count": None,
        }
        for number, (source, tag) in enumerate(cells)
    ]  # fmt: skip
    document = {
        "cells": written, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5
    }  # fmt: skip
    path.write_text(json.dumps(document))


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = create_project(tmp_path / "work", name="shop_sample")
    notebook(
        made.root / "churn.ipynb",
        ("days = 7", "parameters"),
        (
            "import dagbook, os\n"
            "dagbook.log_metric('rows', days)\n"
            "print(dagbook.context.partition_key, os.environ['MLFLOW_TRACKING_URI'])",
            None,
        ),
        ("assert days > 0", "check:positive"),
    )
    component(made, "notebook: churn.ipynb\ncompute_size: gpu_large\nschedule: 0 6 * * *")
    monkeypatch.chdir(made.root)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return made


def component(project: Project, yaml: str, folder: str = "churn") -> Path:
    file = project.defs_folder / folder / "defs.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"{OURS}attributes:\n" + "".join(f"  {line}\n" for line in yaml.splitlines()))
    return file


def files_of(project: Project) -> set[str]:
    found = (path.relative_to(project.root).as_posix() for path in project.root.rglob("*"))
    return {name for name in found if "__pycache__" not in name}


def test_a_sample_runs_for_real_and_leaves_nothing_in_the_project(
    project: Project,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    recwarn: pytest.WarningsRecorder,
) -> None:
    component(
        project,
        "notebook: churn.ipynb\ncompute_size: gpu_large\nlimits: {max_runtime_hours: 20}\n"
        "partitions: {type: static, values: [DE, FR]}\nparameters: {days: 3}",
    )
    before = files_of(project)

    assert main(["test", "churn.ipynb"]) == 0

    first, figures, *lines = capsys.readouterr().out.splitlines()
    assert first == "✓ churn.ipynb as a sample for FR: succeeded"
    assert figures.endswith(" · size small")
    assert "  metrics  rows 3" in lines
    assert "  checks   positive passed" in lines
    executed, page = (Path(line.strip()) for line in lines[-2:])
    assert executed.name.endswith("-succeeded.ipynb")
    assert page.is_file()
    printed = executed.read_text()
    folder = next(parent for parent in executed.parents if parent.parent == tmp_path)
    assert folder.name.startswith("dagbook-test-")
    assert f"FR sqlite:///{folder}/.dagbook/mlflow.db" in printed
    assert files_of(project) == before
    assert [path.name for path in tmp_path.iterdir() if "dagbook-home-" in path.name] == []
    # Dagster's about what it is made of itself tell the reader of a sample nothing.
    assert [str(it.message) for it in recwarn if issubclass(it.category, dg.BetaWarning)] == []


def test_a_sample_that_fails_says_why_and_takes_other_values(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    file = project.defs_folder / "churn" / "defs.yaml"

    assert main(["test", str(file), "-p", "days=-1", "--json"]) == 1

    (sample,) = json.loads(capsys.readouterr().out)["runs"]
    assert (sample["component"], sample["succeeded"]) == ("churn", False)
    assert sample["metadata"]["status"] == "failed"
    assert sample["metadata"]["reason"] == "check positive failed in cell 3: days > 0"
    assert sample["metadata"]["parameters"] == {"days": -1}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["test", "."], "dagbook: . is a folder: name a notebook or a component file\n"),
        (["test", "none.ipynb"], "dagbook: none.ipynb does not exist\n"),
        (
            ["test", "churn.ipynb", "-p", "dais=1"],
            "dagbook: churn.ipynb: there is no parameter `dais`. Did you mean `days`? Known: days\n",
        ),
        (
            ["deploy", "shop_sample/defs/bad/defs.yaml"],
            "dagbook: shop_sample/defs/bad/defs.yaml:4:timeout: a number is wanted, not 'soon'\n",
        ),
        (
            ["test", "shop_sample/defs/folder/defs.yaml"],
            "dagbook: no component in shop_sample/defs/folder/defs.yaml runs a notebook\n",
        ),
    ],
)
def test_what_cannot_be_run_is_one_line_and_nothing_is_started(
    project: Project, words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    component(project, "notebook: churn.ipynb\ntimeout: soon", "bad")
    folder = project.defs_folder / "folder" / "defs.yaml"
    folder.parent.mkdir()
    folder.write_text("type: dagster.DefsFolderComponent\n")
    if words[1] == "churn.ipynb":
        (project.defs_folder / "bad" / "defs.yaml").unlink()

    assert main(words) == 2

    assert capsys.readouterr().err == said
    assert find_services(project) is None


def test_the_smallest_size_is_one_that_the_notebooks_team_may_use(project: Project) -> None:
    (project.root / "dagbook-platform.yaml").write_text(
        "compute_sizes:\n"
        "  tiny: {cpus: 1, memory: 1 GiB, max_run_time: 1 h, teams: [ml]}\n"
        "  gpu: {cpus: 1, memory: 1 GiB, max_run_time: 1 h, gpus: 1}\n"
        "  plain: {cpus: 4, memory: 8 GiB, max_run_time: 1 h, default: true}\n"
        "teams:\n"
        "  - {folder: 'ml/**', team: ml}\n"
    )
    component(project, "notebook: churn.ipynb")
    from dagbook.notebook_runner import NotebookRunnerComponent

    _, (found,) = components_in(project.defs_folder / "churn" / "defs.yaml")
    assert smallest_size(found, NotebookRunnerComponent) == "plain"


@pytest.fixture
def served(project: Project) -> Iterator[Project]:
    yield project
    stop_services(project)


def schedule_state(url: str) -> dict[str, Any]:
    selector = {
        "repositoryLocationName": "shop_sample",
        "repositoryName": "__repository__",
        "scheduleName": "churn_schedule",
    }
    found: dict[str, Any] = ask(url, STATE, {"selector": selector})["scheduleOrError"]
    state: dict[str, Any] = found["scheduleState"]
    return state


def test_a_notebook_is_put_into_service_with_one_command(
    served: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["deploy", "churn.ipynb"]) == 0
    first = capsys.readouterr().out.splitlines()
    services = find_services(served)
    assert services is not None
    url = services.url
    assert schedule_state(url)["status"] == "RUNNING"
    ask(url, STOP, {"id": schedule_state(url)["id"]})
    assert schedule_state(url)["status"] == "STOPPED"
    component(served, "notebook: churn.ipynb\nkey: models/churn", "other")

    assert main(["deploy", "churn.ipynb", "--json"]) == 0

    answer = json.loads(capsys.readouterr().out)
    assert first[:2] == ["✓ valid: churn.ipynb, churn", f"✓ Dagster is up: {url}"]
    assert first[2].startswith("✓ schedule on: churn, every day at 06:00 (UTC), next run ")
    assert first[3:] == [f"  {url}/assets/churn"]
    assert schedule_state(url)["status"] == "RUNNING"
    assert [(d["asset"], d["schedule"], d["url"]) for d in answer["deployed"]] == [
        ("churn", "every day at 06:00 (UTC)", f"{url}/assets/churn"),
        ("models/churn", None, f"{url}/assets/models/churn"),
    ]
    assert switch_on(url, "shop_sample", "no_such_schedule") is False
    assert os.environ.get("DAGSTER_HOME") is None
