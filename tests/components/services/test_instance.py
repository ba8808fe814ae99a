"""The project's Dagster instance: made once, whoever comes first, and then left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dagbook.errors import DagbookError
from dagbook.project import Project, create_project
from dagbook.services import instance_home, open_instance, prepare_instance


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "shop", name="shop")


def test_several_processes_may_make_a_fresh_one_at_once(project: Project) -> None:
    code = (
        "import dagster, sys\n"
        "from dagbook.project import require_project\n"
        "from dagbook.services import open_instance, prepare_instance\n"
        "project = require_project(sys.argv[1])\n"
        "sys.stdin.read()\n"
        "prepare_instance(project)\n"
        "with open_instance(project) as instance:\n"
        "    run = instance.create_run_for_job(dagster.Definitions(\n"
        "        jobs=[dagster.job(name='j')(lambda: None)]).get_job_def('j'))\n"
        "    print(instance.get_run_by_id(run.run_id).run_id == run.run_id)\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(project.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(3)
    ]
    told = [process.communicate("") for process in processes]
    assert [out for out, _ in told] == ["True\n"] * 3, told
    with open_instance(project) as instance:
        assert instance is not None
        assert instance.get_runs_count() == 3


def test_settings_somebody_changed_are_kept(project: Project) -> None:
    home = instance_home(project)
    home.mkdir(parents=True)
    (home / "dagster.yaml").write_text("telemetry:\n  enabled: false\n# mine\n")
    assert prepare_instance(project) == home
    assert prepare_instance(project) == home
    assert (home / "dagster.yaml").read_text() == "telemetry:\n  enabled: false\n# mine\n"


def test_the_home_of_the_shell_is_neither_used_nor_changed(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(other))
    prepare_instance(project)
    with open_instance(project) as instance:
        assert instance is not None
        assert instance.root_directory == str(instance_home(project))
    assert os.environ["DAGSTER_HOME"] == str(other)
    assert list(other.iterdir()) == []


def test_there_is_none_before_it_is_made(project: Project) -> None:
    with open_instance(project) as instance:
        assert instance is None
    assert not project.state_folder.exists()


def test_a_file_in_its_place_is_named(project: Project) -> None:
    project.state_folder.mkdir()
    instance_home(project).write_text("")
    with pytest.raises(DagbookError) as raised:
        prepare_instance(project)
    assert str(raised.value) == (
        f"cannot make Dagster's home: {instance_home(project)}: File exists"
    )
