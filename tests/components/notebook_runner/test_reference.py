"""docs/component.md says what the component does, and nothing else."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from dagbook.notebook_runner import NotebookRunnerComponent
from dagbook.notebook_runner.checks import find_problems
from dagbook.notebook_runner.reference import attributes_reference
from dagbook.notebook_runner.run_time_names import RUN_TIME_NAMES
from dagbook.policy.platform_file import find_platform

if TYPE_CHECKING:
    from conftest import Workbench

PAGE = Path(__file__).parents[3] / "docs" / "component.md"


@pytest.mark.parametrize("part", ["attributes", "names"])
def test_the_written_reference_is_the_components_own(part: str) -> None:
    """Run with UPDATE_DOCS=1 to write it."""
    written = attributes_reference() if part == "attributes" else _names()
    text = PAGE.read_text()
    begin, end = f"<!-- {part} -->\n", f"<!-- /{part} -->"
    head, found, rest = text.partition(begin)
    between, closed, tail = rest.partition(end)
    assert found
    assert closed
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(f"{head}{begin}\n{written}\n{end}{tail}")
    else:
        assert between == f"\n{written}\n"


def test_every_example_is_valid(bench: Workbench) -> None:
    bench.notebook(
        "churn.ipynb",
        [("model_version: str = ''\nsince: str = ''", ["parameters"]), ("1", [])],
    )
    (bench.root / "models").mkdir()
    (bench.root / "models" / "churn.ipynb").write_bytes((bench.root / "churn.ipynb").read_bytes())
    bench.platform(
        """\
        connections: {analytics_prod: {provider: environment, key: A, variables: DB_PASSWORD}}
        resources: {database: true, s3_bucket: {values: ["company-*"]}}
        """
    )
    platform = find_platform(bench.root)
    documents = [
        yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", PAGE.read_text(), re.S)
    ]
    attributes: list[dict[str, Any]] = [
        document.get("attributes", document) for document in documents if "ops" not in document
    ]
    usual = {"notebook": "models/churn.ipynb", "compute_size": "large", "schedule": "@daily"}

    assert len(attributes) > 15
    for example in attributes:
        whole = example if "notebook" in example else {**usual, **example}
        assert find_problems(whole, bench.root, platform=platform) == [], example


def test_every_attribute_has_a_description() -> None:
    described = set(re.findall(r"^### `(\w+)`$", attributes_reference(), re.M))

    assert described == set(NotebookRunnerComponent.model_fields)
    assert "None" not in attributes_reference()


def _names() -> str:
    rows = [f"| `{name}` | {what} |" for name, what in RUN_TIME_NAMES.items()]
    return "\n".join(["| name | what it stands for |", "|---|---|", *rows]) + "\n"
