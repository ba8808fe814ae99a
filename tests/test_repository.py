"""What must agree across the repository: lock, Makefile, documents, commands."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest

from dagbook.cli import COMMANDS

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
DAGSTERMILL_LOCK = ROOT / "requirements-dagstermill.lock"
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]
DOCUMENTS += sorted((ROOT / "docs").rglob("*.md"))


def normal(name: str) -> str:
    """A package's name as the index writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked_names(lock: Path = LOCK) -> set[str]:
    """The packages in a lock."""
    return {normal(name) for name in re.findall(r"^([\w.\-]+)==", lock.read_text("utf-8"), re.M)}


def locked_versions(lock: Path) -> dict[str, set[str]]:
    """Each package of a lock with its versions, of which it may have one for each Python."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.\-]+)==([^\s;]+)", lock.read_text("utf-8"), re.M):
        found.setdefault(normal(name), set()).add(version)
    return found


@pytest.mark.parametrize("lock", [LOCK, DAGSTERMILL_LOCK], ids=lambda lock: lock.name)
def test_lock_holds_names_versions_and_hashes_and_nothing_else(lock: Path) -> None:
    requirement = re.compile(r"[\w.\-]+==[\w.!+]+( ; [^\\#:]+)? \\")
    wrong = [
        line
        for line in lock.read_text(encoding="utf-8").splitlines()
        if not requirement.fullmatch(line)
        and not re.fullmatch(r"    --hash=sha256:[0-9a-f]{64}( \\)?", line)
    ]
    assert wrong == []


def test_lock_holds_all_that_pyproject_names_and_what_builds_it() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    project = settings["project"]
    asked = [*project["dependencies"], *settings["build-system"]["requires"], "editables"]
    extras = dict(project["optional-dependencies"])
    apart = extras.pop("dagstermill")
    for extra in extras.values():
        asked += extra
    assert named(asked) - locked_names() - {"dagbook"} == set()
    asked = [*project["dependencies"], *extras["runner"], *extras["dagster"], *apart]
    assert named(asked) - locked_names(DAGSTERMILL_LOCK) - {"dagbook"} == set()


def named(requirements: list[str]) -> set[str]:
    """The packages that requirements are about."""
    return {normal(re.split(r"[\[<>=!~; ]", requirement)[0]) for requirement in requirements}


def test_the_locks_differ_in_what_dagstermill_holds_back_only() -> None:
    first, second = locked_versions(LOCK), locked_versions(DAGSTERMILL_LOCK)
    both = first.keys() & second.keys()
    assert {name for name in both if first[name] != second[name]} == {"jupyter-client", "ipykernel"}


def test_every_make_target_is_explained_and_every_explained_target_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z]+):", makefile, re.M)) - {"help"}  # `a-b` is part of `a`
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `make (\w+)` \|", contributing, re.M)) == targets
    assert set(re.findall(r"^## (\w+) ", makefile, re.M)) == targets


def test_every_need_of_a_test_is_explained() -> None:
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = contributing.partition("| need |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([\w\-]+)` \|", table, re.M) == list(conftest().NEEDS)


def conftest() -> ModuleType:
    """tests/conftest.py as a module."""
    spec = spec_from_file_location("repository_conftest", ROOT / "tests/conftest.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_in_the_readme(command: str) -> None:
    assert f"dagbook {command}" in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_between_documents_leads_somewhere(document: Path) -> None:
    text = re.sub(r"^```.*?^```", "", document.read_text(encoding="utf-8"), flags=re.M | re.S)
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in local if not leads_somewhere(document, link)] == []


def leads_somewhere(document: Path, link: str) -> bool:
    """Whether a link within the repository has its file, and there its heading."""
    file, _, anchor = link.partition("#")
    target = document.parent / file if file else document
    if not target.exists():
        return False
    if not anchor:
        return True
    headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.M)
    return anchor in {
        re.sub(r"[^\w\- ]", "", h).strip().lower().replace(" ", "-") for h in headings
    }


def test_ci_script_can_be_run() -> None:
    assert os.access(ROOT / ".ci/run", os.X_OK)
    subprocess.run(["bash", "-n", ROOT / ".ci/run"], check=True)


@pytest.mark.parametrize(
    ("python", "text"),
    [
        pytest.param(
            "",
            "dagbook needs Python 3.11 or newer: found none. "
            "Name one with `make PYTHON=/path/to/python3.11 …`",
            id="none",
        ),
        pytest.param(
            "./old-python",
            "dagbook needs Python 3.11 or newer: ./old-python is older. "
            "Name another with `make PYTHON=/path/to/python3.11 …`",
            id="older",
        ),
    ],
)
def test_make_without_a_fitting_python_says_so_in_one_line(
    tmp_path: Path, python: str, text: str
) -> None:
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path / name)
    old = tmp_path / "old-python"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    run = subprocess.run(
        ["make", f"PYTHON={python}", "install"], cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 2
    assert run.stderr.splitlines()[0] == text
