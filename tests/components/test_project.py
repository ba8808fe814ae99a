"""Finding and making projects."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dagbook.errors import DagbookError
from dagbook.module_names import module_name
from dagbook.project import Project, create_project, find_project, require_project


def write(path: Path, text: str = "") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "churn")


def test_a_project_is_found_from_any_folder_and_file_inside_it(project: Project) -> None:
    deep = write(project.root / "models" / "eu" / "churn.ipynb")
    assert find_project(project.root) == project
    assert find_project(deep.parent) == project
    assert find_project(deep) == project
    assert find_project(deep.parent / ".." / "not there.ipynb") == project
    assert find_project(project.root.parent) is None


def test_a_notebook_that_is_a_link_belongs_to_the_project_that_holds_the_link(
    project: Project, tmp_path: Path
) -> None:
    elsewhere = write(tmp_path / "data" / "churn.ipynb")
    link = project.root / "churn.ipynb"
    link.symlink_to(elsewhere)
    assert find_project(link) == project
    assert project.relative(link) == "churn.ipynb"


def test_without_a_project_the_way_on_is_told(tmp_path: Path) -> None:
    with pytest.raises(DagbookError) as refused:
        require_project(tmp_path / "churn.ipynb")
    assert str(refused.value) == (
        f"{tmp_path} is in no dagbook project: run `dagbook init` in the folder that holds "
        "your notebooks"
    )


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("dg.toml", 'directory_type = "project"\n[project]\nroot_module = "growth"\n'),
        (
            "pyproject.toml",
            '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "growth"\n',
        ),
        (
            "pyproject.toml",
            '[tool.dg]\ndirectory_type = "project"\nproject = {root_module = "growth"}\n',
        ),
    ],
    ids=["dg.toml", "table of pyproject", "inline table of pyproject"],
)
def test_ordinary_dagster_projects_are_found(tmp_path: Path, name: str, text: str) -> None:
    write(tmp_path / name, text)
    found = require_project(tmp_path)
    assert found == Project(
        root=tmp_path,
        module="growth",
        defs_folder=tmp_path / "growth" / "defs",
        defs_module="growth.defs",
        config_file=tmp_path / name,
        target_module="growth.definitions",
    )
    assert (found.state_folder, found.runs_folder) == (tmp_path / ".dagbook", tmp_path / "runs")


def test_dg_toml_counts_before_pyproject_and_a_workspace_is_passed_over(tmp_path: Path) -> None:
    write(tmp_path / "dg.toml", 'directory_type = "workspace"\n[workspace]\n')
    inner = tmp_path / "projects" / "a"
    write(inner / "dg.toml", 'directory_type = "project"\n[project]\nroot_module = "one"\n')
    write(
        inner / "pyproject.toml",
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "two"\n',
    )
    assert require_project(inner).module == "one"
    assert find_project(tmp_path) is None


def test_a_defs_module_of_its_own_and_a_source_folder_are_followed(tmp_path: Path) -> None:
    write(
        tmp_path / "dg.toml",
        'directory_type = "project"\n[project]\nroot_module = "growth"\n'
        'defs_module = "growth.parts.all"\ncode_location_target_module = "growth.here"\n',
    )
    (tmp_path / "src" / "growth").mkdir(parents=True)
    found = require_project(tmp_path)
    assert found.defs_folder == tmp_path / "src" / "growth" / "parts" / "all"
    assert found.import_root == tmp_path / "src"
    assert found.target_module == "growth.here"


def test_definitions_stands_in_for_a_missing_defs_folder(tmp_path: Path) -> None:
    write(tmp_path / "dg.toml", 'directory_type = "project"\n[project]\nroot_module = "growth"\n')
    (tmp_path / "growth" / "definitions").mkdir(parents=True)
    assert require_project(tmp_path).defs_module == "growth.definitions"


def test_a_broken_config_is_named_with_its_line(tmp_path: Path) -> None:
    config = write(tmp_path / "dg.toml", 'directory_type = "project"\n[project\n')
    with pytest.raises(DagbookError) as refused:
        find_project(tmp_path)
    assert str(refused.value).startswith(f"{config} is not valid TOML: ")
    assert "line 2" in str(refused.value)


def test_a_broken_pyproject_of_somebody_else_does_not_matter(tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", "[build-system\n")
    assert find_project(tmp_path) is None


def test_a_project_without_a_module_is_named(tmp_path: Path) -> None:
    config = write(tmp_path / "dg.toml", 'directory_type = "project"\n')
    with pytest.raises(DagbookError) as refused:
        find_project(tmp_path)
    assert str(refused.value) == (
        f'{config}: `project.root_module` is missing, write `root_module = "…"`'
    )


def test_a_new_project_holds_no_python_and_dagster_loads_it(tmp_path: Path) -> None:
    project = create_project(tmp_path / "Churn (EU)")
    files = sorted(
        path.relative_to(project.root).as_posix()
        for path in project.root.rglob("*")
        if path.is_file()
    )
    assert files == [".gitignore", "churn_eu/defs/.gitkeep", "dg.toml"]
    assert (project.root / "dg.toml").read_text() == (
        'directory_type = "project"\n'
        "\n"
        "[project]\n"
        'root_module = "churn_eu"\n'
        'code_location_target_module = "dagbook.location"\n'
    )
    assert (project.root / ".gitignore").read_text() == "/runs/\n/.dagbook/\n"
    dg = Path(sys.executable).with_name("dg")
    checked = subprocess.run(
        [dg, "check", "defs"], cwd=project.root, capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "All definitions loaded successfully." in checked.stdout
    listed = subprocess.run(
        [dg, "list", "defs", "--json"], cwd=project.root, capture_output=True, text=True
    )
    assert listed.returncode == 0, listed.stdout + listed.stderr


def test_making_a_project_twice_changes_nothing(project: Project) -> None:
    (project.root / "dg.toml").write_text((project.root / "dg.toml").read_text() + "# mine\n")
    before = {path: path.stat().st_mtime_ns for path in project.root.rglob("*")}
    assert create_project(project.root) == project
    assert {path: path.stat().st_mtime_ns for path in project.root.rglob("*")} == before


def test_gitignore_is_added_to_and_what_it_ignores_is_not_repeated(tmp_path: Path) -> None:
    write(tmp_path / ".gitignore", "*.csv\nruns/")
    create_project(tmp_path)
    assert (tmp_path / ".gitignore").read_text() == "*.csv\nruns/\n/.dagbook/\n"


def test_an_ordinary_dagster_project_is_completed_not_changed(tmp_path: Path) -> None:
    config = write(
        tmp_path / "pyproject.toml",
        '[tool.dg]\ndirectory_type = "project"\n[tool.dg.project]\nroot_module = "growth"\n',
    )
    before = config.read_bytes()
    project = create_project(tmp_path)
    assert project.module == "growth"
    assert project.defs_folder.is_dir()
    assert config.read_bytes() == before
    assert not (tmp_path / "dg.toml").exists()


def test_a_file_cannot_become_a_project(tmp_path: Path) -> None:
    file = write(tmp_path / "churn")
    with pytest.raises(DagbookError) as refused:
        create_project(file)
    assert str(refused.value) == f"{file} is a file: name a folder"


def test_a_folder_inside_a_project_needs_none_of_its_own(project: Project) -> None:
    inside = project.root / "models"
    with pytest.raises(DagbookError) as refused:
        create_project(inside)
    assert str(refused.value) == (
        f"{inside} lies in the project {project.root} already: schedule its notebooks from "
        "there, nothing needs to be made"
    )


def test_a_workspace_is_not_made_a_project(tmp_path: Path) -> None:
    write(tmp_path / "dg.toml", 'directory_type = "workspace"\n[workspace]\n')
    with pytest.raises(DagbookError) as refused:
        create_project(tmp_path)
    assert str(refused.value) == (
        f"{tmp_path} is a Dagster workspace (dg.toml): make the project in a folder inside it"
    )


@pytest.mark.parametrize("name", ["a-b", "class", "1a", "a.b"])
def test_a_module_that_python_cannot_import_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(DagbookError) as refused:
        create_project(tmp_path, name=name)
    assert str(refused.value).startswith(
        f"{name!r} cannot be the project's module: use letters, digits and _, for example `"
    )


def test_a_project_keeps_its_module(project: Project) -> None:
    with pytest.raises(DagbookError) as refused:
        create_project(project.root, name="other")
    assert str(refused.value) == (
        f"{project.root} is a project already, its module is `churn`: leave the name out"
    )


@pytest.mark.needs("other-uid")
def test_a_folder_that_may_not_be_written_is_said_so(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    for parent in folder.parents:
        if parent.stat().st_uid == 0 and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
    os.seteuid(65534)
    try:
        with pytest.raises(DagbookError) as refused:
            create_project(folder)
    finally:
        os.seteuid(0)
    assert str(refused.value) == f"cannot make a project in {folder}: Permission denied"
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("folder", "module"),
    [
        ("churn", "churn"),
        ("Churn Prediction (EU)", "churn_prediction_eu"),
        ("über-fluss", "uber_fluss"),
        ("2024", "project_2024"),
        ("2024-q3", "project_2024_q3"),
        ("class", "class_project"),
        ("json", "json_project"),
        ("dagster", "dagster_project"),
        ("日本", "project"),
        ("..", "project"),
    ],
)
def test_a_module_is_named_after_its_folder(folder: str, module: str) -> None:
    assert module_name(folder) == module


def test_a_python_file_of_the_same_name_is_not_shadowed(tmp_path: Path) -> None:
    write(tmp_path / "churn" / "churn.py", "X = 1\n")
    project = create_project(tmp_path / "churn")
    assert project.module == "churn_project"


def test_the_package_of_an_existing_repository_becomes_the_projects_module(tmp_path: Path) -> None:
    write(tmp_path / "churn" / "src" / "churn" / "__init__.py")
    project = create_project(tmp_path / "churn")
    assert project.module == "churn"
    assert project.defs_folder == tmp_path / "churn" / "src" / "churn" / "defs"


def test_component_files_are_those_that_dagster_loads(project: Project) -> None:
    defs = project.defs_folder
    seen = [
        write(defs / "a" / "defs.yaml", "type: x.Y\n"),
        write(defs / "b" / "deep" / "defs.yml", "type: x.Y\n"),
        write(defs / "c" / "component.yaml", "type: x.Y\n"),
        write(defs / "group" / "defs.yaml", "type: dagster.DefsFolderComponent\n"),
        write(defs / "group" / "inner" / "defs.yaml", "type: x.Y\n"),
    ]
    hidden = [
        write(defs / "a" / "below" / "defs.yaml", "type: x.Y\n"),
        write(defs / "b" / "deep" / "component.yaml", "type: x.Y\n"),
    ]
    write(defs / ".ipynb_checkpoints" / "defs.yaml", "type: x.Y\n")
    write(defs / "__pycache__" / "defs.yaml", "type: x.Y\n")
    write(defs / "a" / "other.yaml", "type: x.Y\n")
    (defs / "loop").symlink_to(defs, target_is_directory=True)
    assert project.component_files() == sorted(seen)
    assert set(project.all_component_files()) == {*seen, *hidden}
    assert project.hidden_by(hidden[0]) == seen[0]
    assert project.hidden_by(hidden[1]) == seen[1]


def test_a_linked_folder_of_components_is_loaded(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "shared" / "churn" / "defs.yaml", "type: x.Y\n")
    (project.defs_folder / "shared").symlink_to(tmp_path / "shared", target_is_directory=True)
    assert project.component_files() == [project.defs_folder / "shared" / "churn" / "defs.yaml"]


def test_an_asset_is_called_after_its_components_folder(project: Project) -> None:
    defs = project.defs_folder
    assert project.asset_key(defs / "models" / "churn" / "defs.yaml") == ["models", "churn"]
    assert project.asset_key(defs / "defs.yaml") == ["churn"]


def test_a_path_outside_the_project_has_no_name_in_it(project: Project, tmp_path: Path) -> None:
    with pytest.raises(DagbookError) as refused:
        project.relative(tmp_path / "x.ipynb")
    assert str(refused.value) == (
        f"{tmp_path / 'x.ipynb'} lies outside the project {project.root}: move it into the "
        "project, or run `dagbook init` in a folder that holds it"
    )
