"""The page on safe YAML names every rule, and every component whose names are known."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from dagbook.safe_yaml import ScreeningRules
from dagbook.safe_yaml.braces import EVERYWHERE, RUN_TIME_NAMES, WELL_KNOWN

PAGE = (Path(__file__).parents[3] / "docs" / "safe-yaml.md").read_text(encoding="utf-8")


def test_every_rule_is_on_the_page() -> None:
    assert [f.name for f in dataclasses.fields(ScreeningRules) if f"`{f.name}`" not in PAGE] == []


def test_every_limit_is_on_the_page() -> None:
    rules = ScreeningRules()
    for limit in (rules.max_bytes, rules.max_values, rules.max_depth, rules.max_documents):
        assert f"| {limit:,}" in PAGE
    assert f"| {rules.max_templates} |" in PAGE


def test_every_known_component_and_name_is_on_the_page() -> None:
    assert [name for name in WELL_KNOWN if f"`{name}`" not in PAGE] == []
    assert [name for name in EVERYWHERE | RUN_TIME_NAMES if f"`{name}`" not in PAGE] == []
    last = {
        name.removesuffix(".*").rpartition(".")[2]
        for fields in WELL_KNOWN.values()
        for names in fields.values()
        for name in names
    }
    assert [name for name in last if name not in PAGE] == []
