"""The location loads what it has screened, and says of the rest why not."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import dagster as dg
import pytest

import dagbook.location_units
from dagbook.cli import main
from dagbook.location import load_project
from dagbook.location_trees import build_by_name, build_from_values
from dagbook.project import Project, create_project
from dagbook.safe_yaml import ScreeningRules

ASSET = "type: {module}.parts.Asset\nattributes: {{key: {key}, text: '{text}'}}\n"
PARTS = """\
import dagster as dg


class Asset(dg.Component, dg.Resolvable, dg.Model):
    key: str
    text: str = ""

    def build_defs(self, context):
        return dg.Definitions(assets=[dg.AssetSpec(self.key, description=self.text)])


class Folder(dg.DefsFolderComponent): ...
"""


class Site:
    """A project with a component of its own, and what Dagster sees of it."""

    def __init__(self, root: Path, name: str) -> None:
        self.project: Project = create_project(root, name=name)
        config = self.project.config_file
        config.write_text(config.read_text() + f'registry_modules = ["{name}.parts"]\n')
        (root / name / "parts.py").write_text(PARTS)
        self.marker = root / "ran"

    def file(self, folder: str, text: str, name: str = "defs.yaml") -> Path:
        file = self.project.defs_folder / folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def asset(self, folder: str, text: str = "") -> Path:
        key = folder.replace("/", "_")
        return self.file(folder, ASSET.format(module=self.project.module, key=key, text=text))

    @property
    def attack(self) -> str:
        """A template that leaves a file behind when it is rendered."""
        return f'{{{{ env.__call__.__globals__.__getitem__("os").system("touch {self.marker}") }}}}'

    def load(self, rules: ScreeningRules | None = None) -> dict[str, str]:
        """Each asset with its description."""
        loaded = load_project(self.project, rules)
        return {
            spec.key.to_user_string(): spec.description or ""
            for spec in loaded.resolve_all_asset_specs()
        }


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Site:
    monkeypatch.setattr(sys, "path", list(sys.path))
    number = abs(hash(request.node.name))
    return Site(tmp_path / "work", f"screened_{number}")


SET_ASIDE = "Set aside, because it cannot be loaded: "


def test_a_template_that_dagster_would_run_is_set_aside_and_its_neighbours_load(site: Site) -> None:
    site.asset("fine", "in {{ context.project_root }}")
    bad = site.asset("bad", site.attack)

    loaded = site.load()

    assert not site.marker.exists()
    assert loaded["fine"] == f"in {site.project.root}"
    assert loaded["bad"].startswith(f"{SET_ASIDE}{bad}:2: text: `{{{{ env.__call__.__globals__")
    # It is no harmless text: Dagster's own loader runs it.
    sys.path.insert(0, str(site.project.root))
    with contextlib.suppress(Exception):
        build_by_name(site.project, bad.parent)
    assert site.marker.exists()


def test_a_file_changed_after_it_was_screened_is_loaded_as_it_was(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = site.asset("churn", "as screened")

    def changed_before(project: Project, path: Path, documents: list[object]) -> dg.Definitions:
        site.asset("churn", site.attack)
        return build_from_values(project, path, documents)  # type: ignore[arg-type]

    monkeypatch.setattr(dagbook.location_units, "build_from_values", changed_before)

    assert site.load() == {"churn": "as screened"}
    assert site.attack in file.read_text()
    assert not site.marker.exists()


@pytest.mark.parametrize("name", ["defs.yaml", "defs.yml", "component.yaml"])
def test_every_name_of_a_component_file_is_screened(site: Site, name: str) -> None:
    text = ASSET.format(module=site.project.module, key="x", text=site.attack)
    file = site.file("some", text, name)

    assert site.load()["some"].startswith(f"{SET_ASIDE}{file}:2: text: ")
    assert not site.marker.exists()


def test_what_is_no_file_is_set_aside(site: Site) -> None:
    site.asset("fine")
    pipe = site.project.defs_folder / "pipe" / "defs.yaml"
    pipe.parent.mkdir()
    os.mkfifo(pipe)
    (site.project.defs_folder / "folder" / "defs.yml").mkdir(parents=True)

    loaded = site.load()

    assert loaded["pipe"] == f"{SET_ASIDE}{pipe}:1: is not a file"
    assert set(loaded) == {"fine", "pipe", "folder"}


def test_every_document_of_a_file_is_screened(site: Site) -> None:
    good = ASSET.format(module=site.project.module, key="good", text="")
    file = site.file("two", f"{good}---\ntype: os.system\n---\ntype: subprocess.run\n")

    assert site.load()["two"] == (
        f"{SET_ASIDE}{file}:4: type: `os` is not registered: install the package, or name the "
        "module in `registry_modules` of the project. Registered: dagbook, dagster, "
        f"{site.project.module}.parts (1 more: `dagbook validate`)"
    )


def test_a_folder_component_is_a_folder(site: Site) -> None:
    site.file("area", "type: dagster.DefsFolderComponent\n")
    site.asset("area/one")
    site.asset("area/two", site.attack)
    site.file("area/deep", "type: dagster.DefsFolderComponent\n")
    site.asset("area/deep/three")

    loaded = site.load()

    assert {key for key, text in loaded.items() if text == ""} == {"area_one", "area_deep_three"}
    assert "area/two" in loaded
    assert not site.marker.exists()


FOLDER = (
    "type: {module}.parts.Folder\npost_processing:\n  assets:\n    - target: '*'\n"
    "      attributes: {{group_name: all}}\n"
)


def test_a_folder_that_changes_what_is_in_it_is_screened_with_all_below(site: Site) -> None:
    rules = ScreeningRules(post_processing=True)
    site.file("area", FOLDER.format(module=site.project.module))
    site.asset("area/one")
    assert set(site.load(rules)) == {"area_one"}

    bad = site.asset("area/deep/two", site.attack)
    assert site.load(rules)["area"].startswith(f"{SET_ASIDE}{bad}:2: text: ")
    assert not site.marker.exists()


def test_links_to_folders_are_followed_and_screened(site: Site) -> None:
    rules = ScreeningRules(post_processing=True)
    bad = site.asset("aaa/bad", site.attack)
    site.file("area", FOLDER.format(module=site.project.module))
    link = site.project.defs_folder / "area" / "link"
    link.symlink_to(bad.parent)
    site.asset("round/one")
    (site.project.defs_folder / "round" / "loop").symlink_to("..")

    loaded = site.load(rules)

    assert loaded["area"].startswith(f"{SET_ASIDE}{link}/defs.yaml:2: text: ")
    assert set(loaded) == {"aaa/bad", "area", "round_one"}
    assert not site.marker.exists()


def test_a_file_that_changes_while_dagster_reads_it_is_set_aside(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.file("area", FOLDER.format(module=site.project.module))
    one = site.asset("area/one")

    def changing(project: Project, folder: Path) -> dg.Definitions:
        site.asset("area/one", "another text")
        return build_by_name(project, folder)

    monkeypatch.setattr(dagbook.location_units, "build_by_name", changing)

    assert site.load(ScreeningRules(post_processing=True)) == {
        "area": f"{SET_ASIDE}{one}: was changed while it was loaded: reload the project"
    }


def test_python_at_the_top_of_defs_does_not_bring_dagsters_root_loader_back(site: Site) -> None:
    made = "import dagster as dg\n\n\n@dg.asset\ndef {name}(): ...\n"
    (site.project.defs_folder / "__init__.py").write_text(made.format(name="top"))
    (site.project.defs_folder / "tables.py").write_text(made.format(name="table"))
    site.asset("fine")
    site.asset("bad", site.attack)
    (site.project.defs_folder / "broken").mkdir()
    (site.project.defs_folder / "broken" / "x.py").write_text("import nothing_like_that\n")

    loaded = site.load()

    assert set(loaded) == {"top", "table", "fine", "bad", "broken"}
    assert loaded["bad"].startswith(SET_ASIDE)
    assert loaded["broken"].startswith(SET_ASIDE)
    assert not site.marker.exists()


def test_python_is_not_loaded_where_the_rules_forbid_it(site: Site) -> None:
    rules = ScreeningRules(python_below_defs=False)
    tables = site.project.defs_folder / "tables" / "made.py"
    tables.parent.mkdir()
    tables.write_text(f"open({str(site.marker)!r}, 'w')\n")
    site.asset("fine")
    site.asset("beside")
    beside = site.file("beside", "import os\n", "template_vars.py")

    words = "Python below `defs` is not allowed in this project: put it into a package"
    assert site.load(rules) == {
        "fine": "",
        "tables": f"{SET_ASIDE}{tables}:1: {words}",
        "beside": f"{SET_ASIDE}{beside}:1: {words}",
    }
    assert not site.marker.exists()


def test_validate_says_the_same_and_imports_nothing_of_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (site.project.root / "evil.py").write_text(f"open({str(site.marker)!r}, 'w')\n")
    site.asset("a", site.attack)
    site.file("b", "type: evil.Thing\n")
    site.file("c", "a: !!python/object/apply:evil.x []\n")
    (site.project.defs_folder / "d" / "defs.yaml").mkdir(parents=True)
    monkeypatch.chdir(site.project.root)

    loaded = site.load()
    assert main(["validate"]) == 2

    *lines, summary = capsys.readouterr().out.splitlines()
    assert summary == "4 problems in 4 files"
    said = [
        # `dagbook validate` has no blank between line and key, so that terminals make it a link.
        text.removeprefix(f"{SET_ASIDE}{site.project.root}/").replace(": text: ", ":text: ")
        .replace(": type: ", ":type: ")
        for text in (loaded[key] for key in "abcd")
    ]  # fmt: skip
    assert sorted(lines) == said
    assert not site.marker.exists()
