"""The code location of a project without Python: what is broken is set aside, the rest loads."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from dagbook.errors import DagbookError
from dagbook.location import defs as location
from dagbook.location import load_project
from dagbook.project import Project, create_project

HEAD = "type: dagbook.NotebookRunnerComponent\nattributes:\n  notebook: n.ipynb\n"


@dataclass
class Site:
    """A project with one notebook, and what Dagster sees of it."""

    project: Project

    def component(self, folder: str, text: str = HEAD) -> Path:
        file = self.project.defs_folder / folder / "defs.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def load(self) -> dg.Definitions:
        loaded = load_project(self.project)
        dg.Definitions.validate_loadable(loaded)
        return loaded

    def assets(self) -> dict[str, set[str]]:
        """The kinds of each asset, by its key."""
        return {s.key.to_user_string(): s.kinds for s in self.load().resolve_all_asset_specs()}

    def why(self, key: str) -> str:
        """The description of what was set aside under a key."""
        spec = next(
            s for s in self.load().resolve_all_asset_specs() if s.key.to_user_string() == key
        )
        assert spec.kinds == {"error"}
        return str(spec.description)


_numbers = itertools.count()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(sys, "path", list(sys.path))
    # Each a module of its own: Python remembers the ones it has imported.
    project = create_project(tmp_path / "work", name=f"shop_{next(_numbers)}")
    cell = {"cell_type": "code", "id": "a", "metadata": {}, "source": "1", "outputs": []}
    document = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": {"name": "python3", "language": "python"}},
        "cells": [{**cell, "execution_count": None}],
    }
    (project.root / "n.ipynb").write_text(json.dumps(document))
    return Site(project)


JUPYTER, ERROR = {"jupyter"}, {"error"}


def test_an_empty_project_loads(site: Site) -> None:
    assert site.assets() == {}


def test_folders_of_any_name_load(site: Site) -> None:
    for folder in ("churn", "churn-v2", "2026", "a/b/c", "import", "test_x"):
        site.component(folder)

    assert site.assets() == dict.fromkeys(
        ("churn", "churn-v2", "2026", "a/b/c", "import", "test_x"), JUPYTER
    )


def test_a_folder_that_cannot_be_a_key_says_so(site: Site) -> None:
    file = site.component("churn.v2 final")
    site.component("fine.v2", HEAD + "  key: fine/v2\n")

    assert site.assets() == {"churn.v2 final": ERROR, "fine/v2": JUPYTER}
    assert site.why("churn.v2 final") == (
        f"Set aside, because it cannot be loaded: {file}: the folder 'churn.v2 final' cannot be "
        "part of an asset's key. Rename it with letters, digits, _ and -, or give the component "
        "a `key`"
    )


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        pytest.param(
            HEAD + "  compute_siz: small\n",
            4,
            "compute_siz: unknown key. Did you mean `compute_size`?",
            id="unknown-key",
        ),
        pytest.param(
            HEAD + "  schedule:\n    cron: 0 6\n",
            5,
            "schedule.cron: cron '0 6' cannot be read: it has 2 fields, not five.",
            id="cron",
        ),
        pytest.param(
            "type: dagbook.NotebookRunnerComponent\nattributes: {notebook: m.ipynb}\n",
            2,
            "notebook: m.ipynb does not exist in ",
            id="no-notebook",
        ),
        pytest.param("type: dagbook.Nothing\n", None, "", id="unknown-type"),
        pytest.param("type: nowhere.Thing\n", None, "", id="unknown-module"),
        pytest.param("a: [\n", None, "", id="no-yaml"),
        pytest.param("", None, "", id="empty"),
        pytest.param("- 1\n", None, "", id="a-list"),
    ],
)
def test_a_broken_component_is_set_aside_with_its_reason_and_its_neighbours_load(
    site: Site, text: str, line: int | None, reason: str
) -> None:
    site.component("first")
    file = site.component("middle", text)
    site.component("middle2", HEAD + "  deps: [middle]\n")

    assert site.assets() == {"first": JUPYTER, "middle": ERROR, "middle2": JUPYTER}
    why = site.why("middle")
    at = f":{line}" if line else ""
    assert why.startswith(f"Set aside, because it cannot be loaded: {file}{at}")
    assert reason in why
    assert "\n" not in why


def test_a_placeholder_cannot_be_run(site: Site) -> None:
    site.component("broken", "type: nowhere.Thing\n")

    graph = site.load().resolve_asset_graph()

    assert not graph.get(dg.AssetKey("broken")).is_executable


def test_the_second_of_two_equal_keys_is_set_aside(site: Site) -> None:
    first = site.component("churn")
    second = site.component("copy_of_churn", HEAD + "  key: churn\n")

    assert site.assets() == {"churn": JUPYTER, "copy_of_churn": ERROR}
    assert site.why("copy_of_churn") == (
        f"Set aside, because it cannot be loaded: {second}: the asset key `churn` is taken by "
        f"{first}: give one of them another `key`"
    )


def test_two_keys_that_make_the_same_op_and_schedule_do_not_take_the_location_down(
    site: Site,
) -> None:
    site.component("a-b", HEAD + "  schedule: 0 6 * * *\n")
    site.component("a_b", HEAD + "  schedule: 0 6 * * *\n")

    assert site.assets() == {"a-b": JUPYTER, "a_b": ERROR}


def test_two_components_in_one_file_need_keys(site: Site) -> None:
    site.component("both", f"{HEAD}---\n{HEAD}  key: second\n")
    site.component("clash", f"{HEAD}---\n{HEAD}")

    assert site.assets() == {"both": JUPYTER, "second": JUPYTER, "clash": ERROR}


def test_a_circle_is_set_aside_and_what_hangs_on_it_loads(site: Site) -> None:
    for name, dep in [("a", "b"), ("b", "c"), ("c", "a"), ("d", "a"), ("e", "d")]:
        site.component(name, f"{HEAD}  deps: [{dep}]\n")
    site.component("self", HEAD + "  deps: [self]\n")

    assert site.assets() == {
        **dict.fromkeys(("a", "b", "c", "self"), ERROR),
        **dict.fromkeys(("d", "e"), JUPYTER),
    }
    assert "its `deps` lead back to itself: `" in site.why("a")
    assert site.why("self").endswith("deps: an asset cannot come before itself")


def test_partitions_that_cannot_be_matched_set_the_later_one_aside(site: Site) -> None:
    daily, hourly, listed, other = (
        HEAD + f"  partitions: {{{partitions}}}\n"
        for partitions in (
            "type: daily, start_date: 2026-01-01",
            "type: hourly, start_date: 2026-01-01",
            "type: static, values: [DE, FR]",
            "type: static, values: [IT]",
        )
    )
    site.component("hours", hourly)
    site.component("days", daily + "  deps: [hours, plain]\n")
    site.component("plain", HEAD + "  deps: [list]\n")
    site.component("list", listed)
    site.component("same_list", listed + "  deps: [list]\n")
    file = site.component("other_list", other + "  deps: [list]\n")
    site.component("mixed", daily + "  deps: [list]\n")

    assert site.assets() == {
        **dict.fromkeys(("hours", "days", "plain", "list", "same_list"), JUPYTER),
        **dict.fromkeys(("other_list", "mixed"), ERROR),
    }
    assert site.why("other_list") == (
        f"Set aside, because it cannot be loaded: {file}: deps: the partitions of `list` and of "
        "`other_list` are lists of different values, or one is by time: Dagster cannot tell "
        "which belongs to which. Give both the same `partitions`, or take it out of `deps`"
    )


def test_what_only_the_whole_shows_is_set_aside_too(site: Site) -> None:
    # Two different resources of one name: each loads alone.
    for name in ("one", "two"):
        folder = site.project.defs_folder / name
        folder.mkdir(parents=True)
        (folder / "made.py").write_text(
            "import dagster as dg\n"
            f"defs = dg.Definitions(assets=[dg.AssetSpec({name!r})],"
            " resources={'warehouse': object()})\n"
        )
    site.component("three")

    assert site.assets() == {"one": set(), "two": ERROR, "three": JUPYTER}


def test_python_below_defs_loads_with_all_below_it(site: Site) -> None:
    site.component("plain")
    site.component("mixed/inner")
    mixed = site.project.defs_folder / "mixed"
    (mixed / "__init__.py").write_text('"""Only a word."""\n')
    (mixed / "tables.py").write_text("import dagster as dg\n\n\n@dg.asset\ndef table(): ...\n")
    (site.project.defs_folder / "__init__.py").write_text("")

    assert site.assets() == {"plain": JUPYTER, "mixed/inner": JUPYTER, "table": set()}


def test_broken_python_below_defs_is_set_aside(site: Site) -> None:
    site.component("plain")
    folder = site.project.defs_folder / "python"
    folder.mkdir()
    (folder / "tables.py").write_text("import nothing_of_that_name\n")

    assert site.assets() == {"plain": JUPYTER, "python": ERROR}
    assert "No module named 'nothing_of_that_name'" in site.why("python")


def test_an_unreadable_folder_does_not_take_the_location_down(site: Site) -> None:
    site.component("plain")
    file = site.component("dangling")
    file.unlink()
    file.symlink_to("nowhere.yaml")

    assert site.assets()["plain"] == JUPYTER


def test_the_project_is_found_from_where_one_is_or_where_one_says(
    site: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    site.component("churn")
    monkeypatch.chdir(site.project.defs_folder)
    here = {key.to_user_string() for key in location().resolve_all_asset_keys()}
    monkeypatch.chdir("/")
    monkeypatch.setenv("DAGBOOK_PROJECT", str(site.project.root))
    said = {key.to_user_string() for key in location().resolve_all_asset_keys()}

    assert here == said == {"churn"}
    monkeypatch.delenv("DAGBOOK_PROJECT")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DagbookError) as error:
        location()
    assert str(error.value) == (
        f"{tmp_path} is in no dagbook project: run `dagbook init` in the folder that holds your "
        "notebooks"
    )


def test_dagster_loads_the_module_by_its_name(site: Site) -> None:
    site.component("churn")
    site.component("broken", "type: nowhere.Thing\n")
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-m", "dagbook.location"]

    done = subprocess.run(
        command,
        cwd=site.project.root,
        env={**os.environ, "DAGSTER_DISABLE_TELEMETRY": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert "set aside: " in done.stderr + done.stdout
