"""The catalogue: what there is, what it takes under a policy, examples that validate, pages."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

from dagbook.catalogue import (
    Entry,
    Package,
    describe_attributes,
    find_entries,
    find_entry,
    find_example,
)
from dagbook.catalogue.changelog import find_changelog
from dagbook.catalogue.pages import describe_entry
from dagbook.catalogue.schemas import schema_of
from dagbook.catalogue.site import write_site
from dagbook.errors import DagbookError
from dagbook.policy.platform_file import find_platform
from dagbook.project import Project, create_project
from dagbook.validation import validate_paths

OURS = "dagbook.NotebookRunnerComponent"

PLATFORM = """\
contact: "#platform"
compute_sizes:
  tiny: {cpus: 1, memory: 1 GiB, max_run_time: 1 h, default: true, price_per_hour: 0.1}
  huge: {cpus: 8, memory: 64 GiB, max_run_time: 8 h, teams: [ml]}
teams:
  - {folder: "research/**", team: ml}
  - {folder: "**", team: growth}
rules:
  required_metadata:
    owners: true
  kernels: [python3]
  maximum_retries: 2
bounds:
  limits.max_runtime_hours: {maximum: 4}
"""


@pytest.fixture(scope="module")
def entries() -> list[Entry]:
    return find_entries(None)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    made = create_project(tmp_path / "shop")
    kernel = {"name": "python3", "display_name": "P", "language": "python"}
    notebook = {"cells": [], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    (made.root / "churn.ipynb").write_text(json.dumps(notebook))
    monkeypatch.chdir(made.root)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield made
    for name in [name for name in sys.modules if name.split(".")[0] == "own_components"]:
        del sys.modules[name]


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def test_every_component_of_the_environment_is_there_with_its_package(
    entries: list[Entry],
) -> None:
    found = {entry.name: entry for entry in entries}
    assert found[OURS].package.distribution == "dagbook"
    assert found[OURS].summary.startswith("Runs a Jupyter notebook as an asset: ")
    assert found[OURS].runs_notebooks
    assert "dagster.DefsFolderComponent" in found
    assert not found["dagster.DefsFolderComponent"].runs_notebooks


def test_a_component_is_found_by_its_last_name(entries: list[Entry]) -> None:
    assert find_entry(entries, "NotebookRunnerComponent").name == OURS
    with pytest.raises(DagbookError) as error:
        find_entry(entries, "NotebookRuner")
    assert str(error.value).startswith("there is no component `NotebookRuner`. Known: ")
    twice = [*entries, Entry("other.NotebookRunnerComponent", Package("other"), object)]
    with pytest.raises(DagbookError) as error:
        find_entry(twice, "NotebookRunnerComponent")
    assert str(error.value) == (
        "`NotebookRunnerComponent` is the name of several components: write one of "
        "dagbook.NotebookRunnerComponent, other.NotebookRunnerComponent"
    )


def test_every_example_passes_validation(
    entries: list[Entry], project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project.root / "dagbook-platform.yaml", PLATFORM)
    platform = find_platform(project.root)
    for entry in entries:
        example = find_example(entry, platform, project)
        assert example is not None, entry.name
        write(project.defs_folder / entry.name.replace(".", "_") / "defs.yaml", example)

    report = validate_paths([project.root])

    assert [str(finding) for finding in report.findings] == []
    assert sorted(passed.type for passed in report.passed) == [entry.name for entry in entries]


def test_what_may_stand_under_resources_is_what_the_platform_names(
    entries: list[Entry], project: Project
) -> None:
    connections = """\
connections:
  warehouse: {provider: environment, key: A, variables: DB_PASSWORD}
  training: {provider: environment, key: B, variables: TOKEN}
resources:
  database: {connections: [warehouse], values: [local], description: Where tables come from}
  any: true
"""
    write(project.root / "dagbook-platform.yaml", connections)
    platform = find_platform(project.root)
    component = find_entry(entries, OURS).component
    assert component is not None
    found = {a.name: a for a in describe_attributes(component, platform)}
    assert found["resources"].allowed == (
        "database (Where tables come from): warehouse, local",
        "any: warehouse, training",
    )


def test_attributes_are_those_that_the_policy_leaves(
    entries: list[Entry], project: Project
) -> None:
    write(project.root / "dagbook-platform.yaml", PLATFORM)
    platform = find_platform(project.root)
    component = find_entry(entries, OURS).component
    assert component is not None
    found = {a.name: a for a in describe_attributes(component, platform)}

    assert found["compute_size"].default == "tiny"
    assert found["compute_size"].allowed == (
        "tiny (1 CPU, 1 GiB, 1 h), 0.10 USD an hour",
        "huge (8 CPU, 64 GiB, 8 h), for ml",
    )
    assert found["kernel"].allowed == ("python3",)
    assert found["owners"].required
    assert found["owners"].policy == ("required by the platform",)
    assert found["retries"].policy == ("at most 2",)
    hours = next(key for key in found["limits"].keys if key.name == "max_runtime_hours")
    assert hours.policy == ("at most 4",)
    assert found["schedule"].kind == "text or keys"
    assert [key.name for key in found["schedule"].keys if key.required] == ["cron"]
    types = next(key for key in found["partitions"].keys if key.name == "type")
    assert types.allowed == ("hourly", "daily", "weekly", "monthly", "static")


def test_the_schema_has_the_choices_that_the_policy_leaves(
    entries: list[Entry], project: Project
) -> None:
    import jsonschema

    write(project.root / "dagbook-platform.yaml", PLATFORM)
    schema = schema_of(find_entry(entries, OURS), find_platform(project.root))
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    sound = {"notebook": "churn.ipynb", "owners": ["team:growth"], "compute_size": "tiny"}

    assert validator.is_valid(sound)
    assert not validator.is_valid({**sound, "compute_size": "small"})
    assert not validator.is_valid({**sound, "kernel": "ir"})
    assert not validator.is_valid({**sound, "limits": {"max_runtime_hours": 5}})
    assert not validator.is_valid({"notebook": "churn.ipynb"})
    assert "__DAGSTER_UNSET_DEFAULT__" not in json.dumps(schema)


def test_a_package_that_cannot_be_imported_is_one_entry_and_hides_no_other(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project.root / "own_components" / "__init__.py", "")
    write(project.root / "own_components" / "bad.py", "raise SystemExit('no\\nlicence')\n")
    write(
        project.root / "own_components" / "good.py",
        "from dagbook.notebook_runner import NotebookRunnerComponent\n\n\n"
        "class Own(NotebookRunnerComponent):\n    '''The project's own.'''\n",
    )
    config = project.root / "dg.toml"
    config.write_text(config.read_text() + 'registry_modules = ["own_components.*"]\n')
    monkeypatch.syspath_prepend(str(project.root))

    found = {entry.name: entry for entry in find_entries(project)}

    bad = found["own_components.bad"]
    assert (bad.component, bad.package.label) == (None, "own_components.bad, of this project")
    assert bad.reason == "`own_components.bad` cannot be imported: SystemExit: no licence"
    assert found["own_components.good.Own"].is_a("NotebookRunnerComponent")
    assert found["own_components.good.Own"].is_a(OURS)
    assert not found["dagster.DefsFolderComponent"].is_a(OURS)
    assert OURS in found
    with pytest.raises(DagbookError) as error:
        find_entry(found.values(), "own_components.bad")
    assert str(error.value) == bad.reason


def test_a_changelog_is_found_in_the_package(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project.root / "own_components" / "__init__.py", "")
    monkeypatch.syspath_prepend(str(project.root))
    assert find_changelog(Package("own_components.notebook")) is None
    write(project.root / "own_components" / "CHANGELOG.md", "## 1.0\n")
    assert find_changelog(Package("own_components.notebook")) == "## 1.0\n"
    ours = find_changelog(Package("dagbook", "dagbook", "0"))
    assert ours is not None
    assert ours.startswith("# Changelog")


class Page(HTMLParser):
    """Reads a page: its links, its text, its identities, and tags that were not closed."""

    VOID = frozenset({"meta", "link", "input", "br", "wbr"})

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.open: list[str] = []
        self.text = ""
        self.tags: set[str] = set()
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        # A changelog may lead elsewhere; what the page itself loads may not.
        loaded = tag != "a"
        self.links += [
            value
            for name, value in attributes
            if name in ("href", "src") and value and (loaded or not value.startswith("https://"))
        ]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_pages_need_no_network_and_lead_to_each_other(
    entries: list[Entry], project: Project
) -> None:
    write(
        project.defs_folder / "churn" / "defs.yaml",
        f"type: {OURS}\nattributes: {{notebook: churn.ipynb}}\n",
    )
    broken = Entry("bad", Package("bad", "bad-pack", "1"), None, "`bad` cannot be <imported>")
    found = [describe_entry(entry, project) for entry in entries]

    index = write_site(project.root / "site", found, [broken], project)

    pages = {path.name: Page(path) for path in index.parent.glob("*.html")}
    assert pages.keys() == {"index.html", *(f"{entry.name}.html" for entry in entries)}
    for page in pages.values():
        assert page.open == []
        for link in page.links:
            assert link.startswith("#") or (index.parent / link).is_file(), link
    assert "used by 1 notebook" in pages["index.html"].text
    assert "`bad` cannot be <imported>" in pages["index.html"].text
    ours = pages[f"{OURS}.html"].text
    assert "used by 1 notebook" in ours
    assert "notebook: churn.ipynb" in ours
    assert "Changelog of dagbook " in ours


def test_html_in_a_changelog_or_a_docstring_is_text(entries: list[Entry], project: Project) -> None:
    from dataclasses import replace

    entry = find_entry(entries, OURS)
    assert entry.component is not None
    evil = type("Evil", (entry.component,), {"__doc__": "<script>alert(1)</script>"})
    found = describe_entry(replace(entry, name="own.Evil", component=evil), project)
    index = write_site(project.root / "site", [found], [], project)
    assert "script" not in Page(index.parent / "own.Evil.html").tags
    assert "<script>alert(1)</script>" in Page(index.parent / "own.Evil.html").text


def test_only_a_catalogue_is_replaced(entries: list[Entry], project: Project) -> None:
    found = [describe_entry(find_entry(entries, OURS), project)]
    site = project.root / "site"
    write_site(site, found, [], project)
    write(site / "old.html", "")
    write_site(site, found, [], project)
    assert not (site / "old.html").exists()
    write(project.root / "mine" / "thesis.txt", "")
    with pytest.raises(DagbookError) as error:
        write_site(project.root / "mine", found, [], project)
    assert str(error.value) == "mine holds other files: name another folder with --output"
    with pytest.raises(DagbookError) as error:
        write_site(project.root / "churn.ipynb", found, [], project)
    assert str(error.value) == "churn.ipynb is no folder: name another with --output"
    assert [path.name for path in project.root.glob(".site-*")] == []
