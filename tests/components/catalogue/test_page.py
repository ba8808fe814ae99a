"""docs/components.md shows the example as it is, and the commands there are."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from dagbook.cli import COMMANDS, build_parser
from dagbook.notebook_runner import NotebookRunnerComponent
from dagbook.sinks.sink import FINISH_SECONDS, Sink

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "components.md").read_text("utf-8")


@pytest.mark.parametrize("name", ["__init__.py", "notebook.py"])
def test_the_code_on_the_page_is_the_examples(name: str) -> None:
    source = ROOT / "examples" / "company_components" / "src" / "company_components" / name
    assert f"```python\n{source.read_text('utf-8')}```" in PAGE


def test_every_command_on_the_page_exists_and_takes_what_the_page_says() -> None:
    words = set(re.findall(r"`dagbook ([a-z]+)", PAGE)) | set(
        re.findall(r"\$ dagbook ([a-z]+)", PAGE)
    )
    assert {"components", "describe", "validate", "test", "deploy"} <= words <= COMMANDS.keys()
    parser = build_parser("components", importlib.import_module("dagbook.cli.components"))
    for word in re.findall(r"`dagbook components ([a-z]+)", PAGE):
        assert word in parser.format_usage()


def test_the_hooks_on_the_page_are_the_components() -> None:
    named = re.findall(r"^\| `(\w+)(?:\(\w[^)]*\)|\(\))?`", PAGE, re.M)
    for name in named:
        if name not in ("platform", "more_rules"):
            assert hasattr(NotebookRunnerComponent, name), name
    assert {"sinks", "execute", "build_defs"} <= set(named)
    methods = {name for name in vars(Sink) if not name.startswith("_")}
    assert methods == set(re.findall(r"^    def (\w+)\(self, \w+: ", PAGE, re.M)) - {"sinks"}
    assert f"all sinks together have {FINISH_SECONDS:g} seconds" in PAGE
