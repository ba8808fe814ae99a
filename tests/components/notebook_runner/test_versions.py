"""YAML of older versions of a company's component: read, refused, and never changed unasked."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar

import dagster as dg
import pytest
from pydantic import ValidationError

from dagbook.component_fixes import plan_fixes
from dagbook.defs_yaml import ComponentFile
from dagbook.errors import DagbookError
from dagbook.notebook_runner import NotebookRunnerComponent
from dagbook.notebook_runner.checks import find_problems
from dagbook.notebook_runner.versions import find_migration


class Third(NotebookRunnerComponent):
    """A component in its third version."""

    current_schema_version: ClassVar[int] = 3
    compatible_versions: ClassVar[frozenset[int]] = frozenset({2})

    centre: Annotated[str, dg.Resolver.default(description="Who pays.")]

    @classmethod
    def migrate_config(cls, old: Mapping[str, Any], old_version: int) -> dict[str, Any]:
        if old.get("centre") == "fails":
            raise KeyError("center")
        if old.get("centre") == "nothing":
            return None  # type: ignore[return-value]
        old["centre"] = old.pop("center", None)  # type: ignore[index, attr-defined]
        return dict(old)


OURS = "version {} is newer than this NotebookRunnerComponent, which reads 1: upgrade its package"


@pytest.mark.parametrize(
    ("component", "attributes", "said"),
    [
        (NotebookRunnerComponent, {"schema_version": 2}, OURS.format(2)),
        (
            Third,
            {"schema_version": 4},
            "version 4 is newer than this Third, which reads 2 and 3: upgrade its package",
        ),
        (
            Third,
            {"schema_version": 1},
            "version 1 is no longer read by Third, which reads 2 and 3: bring the YAML to 3 with "
            "an older release of its package, or by hand",
        ),
        (
            Third,
            {},
            "nothing is written, which is version 1, and is no longer read by Third, which reads "
            "2 and 3: bring the YAML to 3 with an older release of its package, or by hand",
        ),
        (Third, {"schema_version": "2"}, "a whole number from 1 is wanted, not '2'"),
        (Third, {"schema_version": True}, "a whole number from 1 is wanted, not True"),
        (Third, {"schema_version": 0}, "a whole number from 1 is wanted, not 0"),
        (
            Third,
            {"schema_version": 2, "centre": "fails"},
            "Third cannot bring version 2 to 3: KeyError: 'center'",
        ),
        (
            Third,
            {"schema_version": 2, "centre": "nothing"},
            "Third cannot bring version 2 to 3: its migrate_config returned NoneType, where names "
            "with values are wanted",
        ),
    ],
)
def test_a_version_that_cannot_be_read_is_one_line_wherever_it_is_read(
    component: type[NotebookRunnerComponent], attributes: dict[str, Any], said: str, tmp_path: Path
) -> None:
    given = {"notebook": "n.ipynb", **attributes}

    problems = find_problems(given, tmp_path, component)
    with pytest.raises(ValidationError) as error:
        component.from_attributes_dict(attributes=given)

    assert [str(problem) for problem in problems] == [f"schema_version: {said}"]
    assert said in str(error.value)


def test_older_attributes_are_brought_up_and_what_was_given_stays_as_it_is() -> None:
    given = {"notebook": "n.ipynb", "schema_version": 2, "center": "x", "tags": {"a": "b"}}
    before = {**given, "tags": dict(given["tags"])}  # type: ignore[call-overload]

    migration = find_migration(Third, given)
    component = Third.from_attributes_dict(attributes=given)

    assert given == before
    assert migration is not None
    assert migration.attributes == {
        "notebook": "n.ipynb", "tags": {"a": "b"}, "centre": "x", "schema_version": 3
    }  # fmt: skip
    assert (component.centre, component.schema_version, component.old_version) == ("x", 2, 2)


def test_a_component_made_in_python_is_of_today() -> None:
    assert Third(notebook="n.ipynb", centre="x").old_version is None
    with pytest.raises(ValidationError):
        Third(notebook="n.ipynb", centre="x", schema_version=4)


def test_a_version_is_a_key_of_every_schema() -> None:
    for component in (NotebookRunnerComponent, Third):
        properties = component.get_model_cls().model_json_schema()["properties"]
        assert properties["schema_version"]["anyOf"][0] == {"type": "integer"}


def test_our_own_component_is_written_for_version_1(tmp_path: Path) -> None:
    given = {"notebook": "n.ipynb", "schema_version": 1}
    assert find_migration(NotebookRunnerComponent, given) is None
    component = NotebookRunnerComponent.from_attributes_dict(attributes=given)
    assert component.old_version is None


def test_there_is_nothing_to_rewrite_in_a_project_of_today(tmp_path: Path) -> None:
    from dagbook.project import create_project

    project = create_project(tmp_path / "shop")
    file = project.defs_folder / "a" / "defs.yaml"
    file.parent.mkdir()
    file.write_text("type: dagbook.NotebookRunnerComponent\nattributes: {notebook: none.ipynb}\n")
    planned = plan_fixes([project.root])
    assert (planned.fixes, planned.left) == ([], [])


def test_an_error_of_ours_in_a_migration_keeps_its_words() -> None:
    class Refuses(Third):
        @classmethod
        def migrate_config(cls, old: Mapping[str, Any], old_version: int) -> dict[str, Any]:
            raise DagbookError("`center` is not known any more: ask #platform")

    with pytest.raises(DagbookError) as error:
        find_migration(Refuses, {"schema_version": 2})
    assert str(error.value) == (
        "Refuses cannot bring version 2 to 3: `center` is not known any more: ask #platform"
    )


def test_a_component_that_is_scaffolded_is_written_for_today(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from types import ModuleType

    from dagbook.notebook_runner.scaffolder import NotebookRunnerScaffolder, ScaffoldParams

    module = ModuleType("company")
    module.Third = Third  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "company", module)
    for name, wanted in [("company.Third", 3), ("dagbook.NotebookRunnerComponent", None)]:
        target = tmp_path / name
        target.mkdir()
        NotebookRunnerScaffolder().scaffold(
            dg.ScaffoldRequest(
                type_name=name,
                target_path=target,
                scaffold_format="yaml",
                project_root=tmp_path,
                params=ScaffoldParams(notebook="n.ipynb"),
            )
        )
        document = ComponentFile.load(target / "defs.yaml").documents[0]
        assert document.attributes.get("schema_version") == wanted
