"""What tests of the bridge share: a project, and company packages that behave badly."""

from __future__ import annotations

import json
import os
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dagbook.bridge_client import Bridge
from dagbook.project import Project, create_project

PARAMETERS = """\
from typing import Literal

days: int = 7
region: Literal["DE", "FR"] = "DE"  # the country
rates: list = [0.1]
"""


def write_notebook(path: Path, parameters: str = PARAMETERS, body: str = "print(days)") -> Path:
    """A notebook with a parameters cell and one more."""

    def cell(number: int, source: str, *tags: str) -> dict[str, object]:
        return {
            "cell_type": "code",
            "id": f"cell-{number}",
            "metadata": {"tags": list(tags)},
            "source": source,
            "outputs": [],
            "execution_count": None,
        }

    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    document = {
        "cells": [cell(1, parameters, "parameters"), cell(2, body)],
        "metadata": {"kernelspec": spec},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


@pytest.fixture
def attributes() -> Callable[..., dict[str, Any]]:
    """What a form for the notebook holds, with more in it."""

    def make(**more: Any) -> dict[str, Any]:
        schedule = {"cron": "0 6 * * *", "timezone": "Europe/Berlin"}
        return {"notebook": "churn.ipynb", "schedule": schedule, **more}

    return make


@pytest.fixture
def new_notebook() -> Callable[..., Path]:
    """Writes a notebook."""
    return write_notebook


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = create_project(tmp_path / "growth")
    write_notebook(made.root / "churn.ipynb")
    return made


@pytest.fixture
def open_bridge() -> Iterator[Callable[[Project | Path], Bridge]]:
    """Opens bridges, and sees to it that their processes end with the test."""
    bridges: list[Bridge] = []

    def open_(project: Project | Path) -> Bridge:
        bridges.append(Bridge.open(project))
        return bridges[-1]

    yield open_
    for bridge in bridges:
        bridge.close()


@pytest.fixture
def bridge(project: Project, open_bridge: Callable[[Project | Path], Bridge]) -> Bridge:
    return open_bridge(project)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Installs a package of components as pip leaves one, seen by the processes of this test."""
    packages = tmp_path / "site-packages"
    packages.mkdir()
    before = os.environ.get("PYTHONPATH")
    monkeypatch.setenv("PYTHONPATH", f"{packages}{os.pathsep}{before}" if before else str(packages))

    def make(name: str, **files: str) -> Path:
        folder = packages / name
        folder.mkdir(exist_ok=True)
        for file, text in {"__init__": "", **files}.items():
            (folder / f"{file}.py").write_text(textwrap.dedent(text))
        info = packages / f"{name}-1.0.dist-info"
        info.mkdir(exist_ok=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(
            f"[dagster_dg_cli.registry_modules]\n{name} = {name}\n"
        )
        return folder

    return make


_DOOR = """
from dagbook.front_door import offer

__getattr__, __dir__ = offer(__name__, {"Component": f"{__name__}.component"})
"""


@pytest.fixture
def component() -> Callable[[str], str]:
    """The module of a company's component whose own rules run what is given."""

    def text(body: str) -> str:
        return (
            "from dagbook import NotebookRunnerComponent\n\n\n"
            "class Component(NotebookRunnerComponent):\n"
            '    """A company\'s notebook."""\n\n'
            "    def more_rules(self, request, platform):\n" + textwrap.indent(body, "        ")
        )

    return text


@pytest.fixture
def offer(
    install: Callable[..., Path], component: Callable[[str], str]
) -> Callable[[str, str], Path]:
    """Installs a package with such a component behind a front door; returns its module."""

    def make(name: str, body: str = "return ()", *, module: str | None = None) -> Path:
        text = component(body) if module is None else module
        return install(name, __init__=_DOOR, component=text) / "component.py"

    return make
