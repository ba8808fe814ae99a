"""Whoever does what the README says gets what it shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.early

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def blocks(language: str, section: str) -> list[str]:
    """The code blocks of one language in one section."""
    text = README.partition(f"\n## {section}\n")[2].partition("\n## ")[0]
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.M | re.S)


def bash(commands: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run shell commands as a reader would, up to the first that fails."""
    environment = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    environment["PATH"] = f"{BIN}:{environment['PATH']}"
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )


@pytest.fixture
def customers(tmp_path: Path) -> Iterator[Path]:
    """A folder with the README's notebook: its cells, and one that makes some data."""
    data = "import pandas as pd\ncustomers = pd.DataFrame({'left': [0, 1, 0, 0]})"
    first, *others = blocks("python", "What it looks like")
    folder = tmp_path / "customers"
    write_notebook(folder / "churn.ipynb", [first, data, *others])
    yield folder
    bash("dagbook down", folder)


def write_notebook(path: Path, sources: list[str]) -> None:
    """Write a Python notebook with these cells."""
    path.parent.mkdir(parents=True, exist_ok=True)
    cells = [
        {
            "cell_type": "code",
            "execution_count": None,
            "id": f"cell-{number}",
            "metadata": {},
            "outputs": [],
            "source": source.strip(),
        }
        for number, source in enumerate(sources)
    ]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    document = {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path.write_text(json.dumps(document), encoding="utf-8")


def test_every_line_of_the_quick_start_runs(customers: Path) -> None:
    (commands,) = blocks("sh", "Quick start")
    run = bash(commands, customers)
    assert run.returncode == 0, run.stdout + run.stderr
    *_, listed, opened, down = run.stdout.splitlines()
    assert re.fullmatch(r"\w+ +succeeded .* churn +runs/churn/\S+-succeeded\.ipynb", listed)
    assert Path(opened).is_file()
    assert down == "Dagster is down."


def test_scheduling_prints_and_writes_what_the_readme_shows(customers: Path) -> None:
    (shown,) = blocks("console", "What it looks like")
    command, _, output = shown.removeprefix("$ ").partition("\n")
    run = bash(f"dagbook init >/dev/null && {command}", customers)
    assert without_dates(run.stdout) == without_dates(output)
    yaml = re.search(r"^(  type: .*?)\n\n", output, re.M | re.S)
    assert yaml is not None
    written = (customers / "customers/defs/churn/defs.yaml").read_text(encoding="utf-8")
    assert written == re.sub(r"^  ", "", yaml[1], flags=re.M) + "\n"


def without_dates(text: str) -> str:
    """Text without the dates of the next runs."""
    return re.sub(r"(?<=^next runs: ).*", "…", text, flags=re.M)


def test_yaml_of_the_readme_is_valid(tmp_path: Path) -> None:
    (yaml,) = blocks("yaml", "The YAML")
    write_notebook(tmp_path / "models/churn.ipynb", ["# dagster: parameters\nsince: str = '2026'"])
    assert bash("dagbook init --name customers", tmp_path).returncode == 0
    component = tmp_path / "customers/defs/models/churn/defs.yaml"
    component.parent.mkdir(parents=True)
    component.write_text(yaml, encoding="utf-8")
    run = bash("dagbook validate", tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr


def test_demo_transcript_names_what_the_demo_runs() -> None:
    (_, demo) = [*blocks("console", "What it looks like"), *blocks("console", "Two commands")]
    from dagbook.tour import STOPS

    assert re.findall(r"^(digits/\S+)(?: (2026-\S+))? +succeeded in", demo, re.M) == [
        (asset, partition or "") for asset, partition in STOPS
    ]


def test_the_platform_file_it_shows_is_valid(tmp_path: Path) -> None:
    from dagbook.policy.platform_file import read_platform

    (shown,) = blocks("yaml", "For platform teams")
    file = tmp_path / "dagbook-platform.yaml"
    file.write_text(shown, encoding="utf-8")
    platform = read_platform(file)
    assert sorted(platform.sizes) == ["gpu", "small"]
    assert platform.default_size == "small"
