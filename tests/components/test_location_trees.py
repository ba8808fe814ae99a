"""Definitions from screened values are those Dagster itself would make from the file.

These tests fail when Dagster changes what ``location_trees.py`` takes from it.
"""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from dagbook.location_trees import (
    build_by_name,
    build_from_python,
    build_from_values,
    made_at_once,
    quiet,
)
from dagbook.notebook_runner.component import NotebookRunnerComponent
from dagbook.project import Project, create_project
from dagbook.safe_yaml import Screening

HEAD = "type: dagbook.NotebookRunnerComponent\nattributes:\n  notebook: n.ipynb\n"

TEXTS = {
    "notebook": HEAD + "  schedule: 0 6 * * *\n  owners: [team:growth]\n  tags: {tier: gold}\n",
    "own_job": HEAD + "  schedule: {cron: 0 6 * * *, own_job: true}\n",
    "two": HEAD + "  key: one\n---\n# second\n" + HEAD + "  key: two\n  deps: [one]\n",
    "aliases": HEAD + "  tags: &tags {a: x, b: 'on'}\n  key: k\n---\n"
    "type: dagbook.NotebookRunnerComponent\nattributes:\n  <<: {notebook: n.ipynb, key: l}\n"
    "  description: in {{ context.project_root }}\n",
    "script": "type: dagster.PythonScriptComponent\nattributes:\n  execution: {path: s.py}\n"
    "  assets: [{key: script, tags: {a: b}}]\n",
    "own": "type: .parts.Own\nattributes: {size: 010, day: 2026-01-01}\n",
}

PARTS = """\
import dagster as dg


class Own(dg.Component, dg.Resolvable, dg.Model):
    size: int
    day: str

    def build_defs(self, context):
        spec = dg.AssetSpec(f"own_{self.size}", description=f"{self.day} {context.path.name}")
        return dg.Definitions(assets=[spec])
"""

_numbers = itertools.count()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(sys, "path", list(sys.path))
    project = create_project(tmp_path / "work", name=f"tree_{next(_numbers)}")
    sys.path.insert(0, str(project.root))
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": "1", "outputs": []}
    document = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "language": "python"}},
        "cells": [
            {**cell, "execution_count": None},
            {**cell, "execution_count": None, "id": "b", "metadata": {"tags": ["check:fine"]}},
        ],
    }
    (project.root / "n.ipynb").write_text(json.dumps(document))
    return project


@pytest.fixture(autouse=True)
def no_warnings_of_what_dagster_uses_itself() -> Iterator[None]:
    with quiet():
        yield


def component(project: Project, name: str, text: str) -> Path:
    file = project.defs_folder / name / "defs.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    if ".parts." in text:
        (file.parent / "parts.py").write_text(PARTS)
    return file


def described(defs: dg.Definitions) -> Any:
    """What can be compared of definitions: all that Dagster shows of them."""
    return {
        "assets": {
            spec.key.to_user_string(): (
                spec.description,
                spec.owners,
                spec.tags,
                spec.kinds,
                [dep.asset_key for dep in spec.deps],
                # With the file and line of each component.
                spec.metadata,
            )
            for spec in defs.resolve_all_asset_specs()
        },
        "checks": {
            check.key: check.metadata
            for asset in defs.assets or []
            if isinstance(asset, dg.AssetsDefinition)
            for check in asset.check_specs
        },
        "schedules": {schedule.name: schedule.metadata for schedule in defs.schedules or []},
        "jobs": {job.name: job.metadata for job in defs.jobs or []},
    }


@pytest.mark.parametrize("name", TEXTS)
def test_screened_values_make_what_dagster_makes_of_the_file(project: Project, name: str) -> None:
    file = component(project, name, TEXTS[name])
    screened = Screening(project).screen(file)
    assert screened.refusals == ()

    made = described(build_from_values(project, file, screened.documents))

    assert made == described(build_by_name(project, file.parent))
    assert made["assets"]


@pytest.mark.parametrize(
    "attributes",
    [
        "",
        "key: '20260101'\n  description: '[1, 2]'\n  timeout: 60\n  owners: ['team:a']\n",
        "parameters: {a: '{{ run_id }}', b: [1, 2.5, null, {c: 'on'}], d: '3'}\n",
        "schedule: {cron: '0 6 * * *', timezone: Europe/Berlin, own_job: true}\n  retries: 2\n",
        "schedule: 0 6 * * *\n  retries: {max: 2, on: [error], delay_seconds: 5}\n",
        "partitions: {type: daily, start_date: 2026-01-01}\n  limits: {max_runtime_hours: 2}\n",
        "partitions: {type: static, values: [DE, FR]}\n  tags: {a: 1, c: 'x'}\n",
        "experiment: {name: 'a {{ partition_key }}', tags: [q3]}\n  group: growth\n"
        "  deps: [raw/events]\n  kernel: python3\n  compute_size: small\n"
        "  monitoring: {track_metrics: [runtime]}\n  partitions: {type: static, values: [a]}\n",
    ],
)
def test_a_notebook_made_at_once_is_the_one_dagster_makes(
    project: Project, attributes: str
) -> None:
    file = component(project, "churn", f"{HEAD}  {attributes}" if attributes else HEAD)
    (document,) = Screening(project).screen(file).documents

    at_once = made_at_once(document)

    assert at_once is not None
    made = NotebookRunnerComponent.from_attributes_dict(attributes=document.value["attributes"])
    assert at_once == made
    assert made_at_once(Screening(project).screen(
        component(project, "b", HEAD + "  description: '{{ context.project_root }}'\n")
    ).documents[0]) is None  # fmt: skip


def test_the_file_is_not_read_again(project: Project) -> None:
    file = component(project, "churn", TEXTS["two"])
    screened = Screening(project).screen(file)
    file.write_bytes(b"\xff")

    made = described(build_from_values(project, file, screened.documents))

    assert set(made["assets"]) == {"one", "two"}


def test_a_mistake_is_told_with_its_line(project: Project) -> None:
    text = "type: dagster.PythonScriptComponent\n\nattributes:\n  assets: 3\n"
    file = component(project, "script", text)
    with pytest.raises(Exception) as error:
        build_from_values(project, file, Screening(project).screen(file).documents)
    assert f"at {file}:4" in str(error.value.__cause__)


def test_telling_of_an_error_reads_no_component_file(project: Project) -> None:
    (project.root / "evil.py").write_text("raise SystemExit('imported')\n")
    component(project, "below", "type: evil.Thing\n")
    made = project.defs_folder / "made.py"
    made.write_text(
        "import dagster as dg\n\n\n@dg.component_instance\n"
        "def broken(context: dg.ComponentLoadContext):\n    raise ValueError('broken')\n"
    )
    with pytest.raises(Exception) as error:
        build_from_python(project, made)
    assert str(error.value.__cause__) == "broken"
    assert "evil" not in sys.modules


def test_python_files_make_what_dagster_makes_of_them(project: Project) -> None:
    folder = project.defs_folder / "tables"
    folder.mkdir()
    (folder / "made.py").write_text(
        "import dagster as dg\nfrom dagbook import NotebookRunnerComponent\n\n\n"
        "@dg.asset\ndef table(): ...\n\n\n"
        "@dg.component_instance\ndef churn(context: dg.ComponentLoadContext):\n"
        "    return NotebookRunnerComponent(notebook='n.ipynb', key='churn')\n"
    )

    made = described(build_from_python(project, folder / "made.py"))

    assert made == described(build_by_name(project, folder))
    assert set(made["assets"]) == {"table", "churn"}
