"""A company's package of components, from its wheel to its second release."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dagbook.project import create_project

if TYPE_CHECKING:
    from conftest import Environment

EXAMPLE = Path(__file__).parents[3] / "examples" / "company_components"
NAME = "company_components.CompanyNotebook"

OLD_YAML = """\
# Churn, for the board.
type: company_components.CompanyNotebook
attributes:
  notebook: 'churn.ipynb'   # the one of 2025
  # Finance asked for this one.
  cost_center: "rd-042"  # see the wiki
  notify: "#growth"  # until March
  owners: [team:growth]
"""

NEW_YAML = """\
# Churn, for the board.
type: company_components.CompanyNotebook
attributes:
  notebook: 'churn.ipynb'   # the one of 2025
  # Finance asked for this one.
  cost_centre: "rd-042"  # see the wiki
  # until March
  owners: [team:growth]
  channels: ["#growth"]
  schema_version: 2
"""

#: Loads the project, and prints what it warns of.
LOAD = """\
import logging, sys, tempfile
from pathlib import Path
import dagster as dg
from dagbook.location import load_project
from dagbook.project import require_project
logging.basicConfig(stream=sys.stdout, format="%(message)s", level=logging.WARNING)
defs = load_project(require_project(Path.cwd()))
"""

#: Says what the asset shows, runs it once, says what it came to, and validates it.
RUN = """\
spec = next(iter(defs.resolve_all_asset_specs()))
print(spec.key.to_user_string(), spec.metadata.get("schema_version"))
with tempfile.TemporaryDirectory() as home, dg.DagsterInstance.local_temp(home) as instance:
    job = defs.resolve_implicit_global_asset_job_def()
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    result = job.execute_in_process(instance=instance, run_config=quiet, raise_on_error=False)
    print("success", result.success)
from dagbook.cli import main
main(["validate", "churn.ipynb"])
"""


@pytest.fixture(scope="module")
def first(make_environment: Callable[[str], Environment], wheels: dict[str, Path]) -> Environment:
    """An environment with the first release."""
    environment = make_environment("company")
    environment.install(wheels["1.0.0"])
    return environment


@pytest.fixture(scope="module")
def second(first: Environment, wheels: dict[str, Path]) -> Environment:
    """The same environment after the upgrade: tests before this one have seen the first."""
    first.install(wheels["2.0.0"])
    return first


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with a notebook, and a component of the first release."""
    root = tmp_path / "shop"
    made = create_project(root)
    cell: dict[str, Any] = {
        "cell_type": "code", "id": "one", "metadata": {}, "source": "print(1)", "outputs": [],
        "execution_count": None,
    }  # fmt: skip
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = {
        "cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5,
    }  # fmt: skip
    (root / "churn.ipynb").write_text(json.dumps(notebook))
    file = made.defs_folder / "churn" / "defs.yaml"
    file.parent.mkdir()
    file.write_text(OLD_YAML)
    return root


def component_file(project: Path) -> Path:
    return project / "shop" / "defs" / "churn" / "defs.yaml"


def test_the_example_is_small_and_its_own_tests_pass(tmp_path: Path) -> None:
    source = EXAMPLE / "src" / "company_components"
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "-c", "/dev/null", "-p", "no:cacheprovider"),
            *("--rootdir", str(tmp_path), str(EXAMPLE / "tests")),
        ],
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(source.parent), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
    assert len((source / "notebook.py").read_text().splitlines()) <= 40


def test_the_first_release_is_listed_described_and_validated(
    first: Environment, project: Path
) -> None:
    described, checked = first.dagbook(
        "describe CompanyNotebook --json", "validate churn.ipynb", cwd=project
    )
    found = json.loads(described)

    assert found["name"] == NAME
    assert found["package"]["distribution"] == "company-components"
    assert found["package"]["version"] == "1.0.0"
    assert found["notebooks"] == 1
    assert [a["name"] for a in found["attributes"] if a["required"]] == ["notebook", "cost_center"]
    assert "✓ shop/defs/churn/defs.yaml:2: churn.ipynb, not scheduled" in checked


def test_dg_and_our_own_catalogue_find_the_second_release(
    second: Environment, project: Path
) -> None:
    component_file(project).write_text(NEW_YAML)
    answer, checked_by_dg = second.dg("list components --json", "check yaml", cwd=project)
    described, checked = second.dagbook(
        "describe CompanyNotebook", "validate churn.ipynb", cwd=project
    )

    summaries = {entry["key"]: entry["summary"] for entry in json.loads(answer)["items"]}
    assert summaries[NAME] == (
        "Runs a notebook for a cost centre, and writes each run into the company's ledger."
    )
    assert "All component YAML validated successfully." in checked_by_dg
    assert "company-components 2.0.0, schema version 2 (also reads 1)" in described
    assert described.endswith(
        "an example that `dagbook validate` accepts\n"
        f"  type: {NAME}\n  attributes:\n    notebook: churn.ipynb\n    owners: [team:growth]\n"
        "    cost_centre: rd-042\n    schema_version: 2\n"
    )
    assert "✓ schema version: 2" in checked


def test_yaml_of_the_first_release_is_read_by_the_second_run_and_left_as_it_is(
    second: Environment, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = "schema_version 1 is read as 2: `dagbook validate --fix` rewrites it"
    monkeypatch.setenv("COMPANY_LEDGER", str(project / "ledger.csv"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file://{project / 'mlruns'}")

    said = second.python("-c", LOAD + RUN, cwd=project)

    assert f"{component_file(project)}: {note}\n" in said
    assert f"churn {note}\n" in said
    assert "success True" in said
    asset, centre, status, _ = (project / "ledger.csv").read_text().split(",")
    assert (asset, centre, status) == ("churn", "rd-042", "succeeded")
    assert f"  note: {note}" in said
    assert "  ✓ schema version: 1, read as 2" in said
    assert component_file(project).read_text() == OLD_YAML


def test_yaml_is_rewritten_when_asked_with_its_comments_and_only_once(
    second: Environment, project: Path
) -> None:
    (shown,) = second.dagbook("validate --fix", cwd=project)
    untouched = component_file(project).read_text()
    answer, again = second.dagbook(
        "validate --fix --yes --json", "validate --fix --yes", cwd=project
    )
    fixed = json.loads(answer)

    assert f"shop/defs/churn/defs.yaml: {NAME}: schema_version 1 → 2\n" in shown
    assert '-  cost_center: "rd-042"  # see the wiki\n' in shown
    assert '+  cost_centre: "rd-042"  # see the wiki\n' in shown
    assert "nothing was written: repeat with --yes\n" in shown
    assert untouched == OLD_YAML
    assert [(f["file"], f["written"]) for f in fixed["fixed"]] == [
        ("shop/defs/churn/defs.yaml", True)
    ]
    assert fixed["valid"] is True
    assert component_file(project).read_text() == NEW_YAML
    assert again.startswith("nothing to rewrite\n")


def test_newer_yaml_and_what_the_companys_rules_forbid_are_one_line_each(
    second: Environment, project: Path
) -> None:
    file = component_file(project)
    file.write_text(NEW_YAML.replace("schema_version: 2", "schema_version: 3"))
    gpu = file.parents[1] / "gpu" / "defs.yaml"
    gpu.parent.mkdir()
    gpu.write_text(
        f"type: {NAME}\nattributes:\n  notebook: churn.ipynb\n  schema_version: 2\n"
        "  cost_centre: rd-042\n  compute_size: gpu_medium\n  retries: 5\n"
    )
    newer = (
        "schema_version: version 3 is newer than this CompanyNotebook, which reads 1 and 2: "
        "upgrade its package"
    )

    (checked,) = second.dagbook("validate", cwd=project, status=2)
    loaded = second.python("-c", LOAD, cwd=project)

    first, *others, summary = checked.splitlines()
    assert first == f"shop/defs/churn/defs.yaml:10:{newer}"
    assert summary == "4 problems in 2 files"
    said = {line.split(":")[2]: line for line in others}
    assert said.keys() == {"owners", "retries", "channels"}
    assert said["channels"] == (
        "shop/defs/gpu/defs.yaml:2:channels: gpu_medium has a GPU: name one of the `channels` to "
        "tell of its runs"
    )
    assert f"set aside: {file}:10: {newer}\n" in loaded
    assert f"set aside: {gpu}:" in loaded


def test_a_component_that_cannot_be_imported_stops_neither_dg_nor_other_components(
    second: Environment, project: Path
) -> None:
    reason = f"{NAME} cannot be loaded: RuntimeError: no licence"
    with broken(second.packages / "company_components" / "notebook.py"):
        (by_dg,) = second.dg("list components --json", cwd=project)
        answer, checked = second.dagbook(
            "components list --json", "validate churn.ipynb", cwd=project, status=2
        )

    summaries = {entry["key"]: entry["summary"] for entry in json.loads(by_dg)["items"]}
    assert summaries[NAME] == reason
    assert "dagbook.NotebookRunnerComponent" in summaries
    ours = {entry["name"]: entry["problem"] for entry in json.loads(answer)["components"]}
    assert ours[NAME] == reason
    assert ours["dagbook.NotebookRunnerComponent"] is None
    assert f"shop/defs/churn/defs.yaml:2:type: {reason}" in checked


def test_a_package_without_a_front_door_is_a_line_in_our_list(
    second: Environment, project: Path
) -> None:
    with broken(second.packages / "company_components" / "__init__.py"):
        (ours,) = second.dagbook("components list", cwd=project)

    assert "✕ `company_components` cannot be imported: RuntimeError: no licence" in ours
    assert "dagbook.NotebookRunnerComponent" in ours


@contextlib.contextmanager
def broken(module: Path) -> Iterator[None]:
    """A module that cannot be imported for a while."""
    before = module.read_text()
    module.write_text("raise RuntimeError('no licence')\n")
    try:
        yield
    finally:
        module.write_text(before)
