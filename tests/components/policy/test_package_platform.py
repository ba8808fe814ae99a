"""The platform file that a component's class names in its package."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path
from typing import ClassVar

import pytest

from dagbook.errors import DagbookError
from dagbook.policy.package_platform import package_platform, platform_of
from dagbook.policy.platform import BUILT_IN_PLATFORM
from dagbook.policy.platform_file import find_platform


@pytest.fixture
def company(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A company's package, importable for this test only."""
    name = f"company_{os.getpid()}_{tmp_path.name.replace('-', '_')}"
    folder = tmp_path / "site" / name
    folder.mkdir(parents=True)
    (folder / "__init__.py").touch()
    (folder / "dagbook-platform.yaml").write_text("rules: {maximum_retries: 3}\n", "utf-8")
    (folder / "strict.yaml").write_text("rules: {maximum_retries: 1}\n", "utf-8")
    monkeypatch.syspath_prepend(str(folder.parent))
    yield folder
    sys.modules.pop(name, None)


def class_naming(name: object, *bases: type) -> type:
    return type("CompanyNotebook", bases, {"platform": name, "__module__": "company"})


def test_a_class_that_names_no_file_has_the_project_s(root: Path) -> None:
    assert platform_of(root) is BUILT_IN_PLATFORM
    assert platform_of(root, int) is BUILT_IN_PLATFORM
    (root / "dagbook-platform.yaml").write_text("contact: a\n", "utf-8")
    assert platform_of(root, int) == find_platform(root)


def test_the_file_a_class_names_holds(root: Path, company: Path) -> None:
    named = class_naming(f"{company.name}:dagbook-platform.yaml")
    found = platform_of(root, named)
    assert found.rules.maximum_retries == 3
    assert found.origin_of("rules.maximum_retries") == f"{company.name}:dagbook-platform.yaml:1"
    assert package_platform(named) == found


def test_the_project_s_file_and_the_package_s_are_combined(root: Path, company: Path) -> None:
    (root / "dagbook-platform.yaml").write_text("rules: {maximum_retries: 2}\n", "utf-8")
    named = class_naming(f"{company.name}:dagbook-platform.yaml")
    found = platform_of(root, named)
    assert found.rules.maximum_retries == 2
    assert platform_of(root, named) == found
    (root / "dagbook-platform.yaml").write_text("rules: {maximum_retries: 5}\n", "utf-8")
    assert platform_of(root, named).rules.maximum_retries == 3


def test_a_class_made_of_a_company_s_keeps_its_rules(root: Path, company: Path) -> None:
    strict = class_naming(f"{company.name}:strict.yaml")
    loose = class_naming(f"{company.name}:dagbook-platform.yaml", strict)
    without = class_naming(None, strict)
    plain = type("Plain", (strict,), {})
    for made in (loose, without, plain):
        assert platform_of(root, made).rules.maximum_retries == 1


def test_a_package_s_file_that_changed_is_read_again(root: Path, company: Path) -> None:
    named = class_naming(f"{company.name}:strict.yaml")
    assert platform_of(root, named).rules.maximum_retries == 1
    (company / "strict.yaml").write_text(
        "rules: {maximum_retries: 0, require_trial: true}\n", "utf-8"
    )
    assert platform_of(root, named).rules.maximum_retries == 0


def test_a_package_may_be_a_zip_file(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "company.zip"
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("zipped_company/__init__.py", "")
        made.writestr("zipped_company/platform.yaml", "contact: zipped\n")
    monkeypatch.syspath_prepend(str(archive))
    try:
        found = platform_of(root, class_naming("zipped_company:platform.yaml"))
    finally:
        sys.modules.pop("zipped_company", None)
    assert found.contact == "zipped"


def test_what_is_wrong_in_a_package_s_file_is_said_with_its_place(
    root: Path, company: Path
) -> None:
    (company / "strict.yaml").write_text("contact: a\nrule: {}\n", "utf-8")
    with pytest.raises(DagbookError) as refused:
        platform_of(root, class_naming(f"{company.name}:strict.yaml"))
    assert str(refused.value).startswith(f"{company.name}:strict.yaml:2:rule: unknown key. ")


@pytest.mark.parametrize("name", ["{}:nothing.yaml", "{}_:dagbook-platform.yaml"])
def test_a_file_that_is_not_there_is_said(root: Path, company: Path, name: str) -> None:
    name = name.format(company.name)
    with pytest.raises(DagbookError) as refused:
        platform_of(root, class_naming(name))
    assert str(refused.value) == (
        f"company.CompanyNotebook names the platform file {name}, which cannot be read: does the "
        "package hold it?"
    )


@pytest.mark.parametrize("name", ["company", "company:", ":platform.yaml"])
def test_a_name_of_another_form_is_said(root: Path, name: str) -> None:
    with pytest.raises(DagbookError) as refused:
        platform_of(root, class_naming(name))
    assert str(refused.value) == (
        f"company.CompanyNotebook: `platform` is {name!r}: write it as "
        '"company_components:dagbook-platform.yaml", a package and a file in it'
    )


def test_a_component_s_class_can_name_one(root: Path, company: Path) -> None:
    from dagbook.notebook_runner import NotebookRunnerComponent

    class CompanyNotebook(NotebookRunnerComponent):
        platform: ClassVar[str] = f"{company.name}:strict.yaml"

    assert "platform" not in CompanyNotebook.model_fields
    assert platform_of(root, CompanyNotebook).rules.maximum_retries == 1
    assert platform_of(root, NotebookRunnerComponent) is BUILT_IN_PLATFORM
