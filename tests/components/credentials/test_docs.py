"""The page about credentials says what is there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from dagbook.credentials.provider import Lookup, ProviderDown
from dagbook.policy.platform_file import platform_problems, read_platform
from dagbook.policy.providers import PROVIDERS

PAGE = (Path(__file__).parents[3] / "docs" / "credentials.md").read_text("utf-8")


def rows(title: str) -> list[list[str]]:
    """The cells of a table, by the words before it."""
    table = PAGE.split(title, 1)[1].lstrip().split("\n\n", 1)[0]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def names(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.M | re.S)


def test_every_provider_is_in_the_tables() -> None:
    listed = [names(row[0])[0] for row in rows("### Providers\n")[2:]]
    assert listed == list(PROVIDERS)
    tested = [name for row in rows("## How far this was tested\n")[2:] for name in names(row[0])]
    assert sorted(tested) == sorted(PROVIDERS)


def test_the_extra_of_each_provider_is_told() -> None:
    for row in rows("### Providers\n")[2:]:
        spec = PROVIDERS[names(row[0])[0]]
        # dotenv comes with the runner.
        extra = None if spec.extra == "runner" else spec.extra
        assert row[3] == ("" if extra is None else f"`pip install 'dagbook[{extra}]'`")


@pytest.mark.parametrize(
    ("title", "kind"),
    [
        ("What each can be told by a connection's `options`:\n", "options"),
        ("What each is told for all connections, below `providers`:\n", "settings"),
    ],
)
def test_every_option_is_in_its_table(title: str, kind: str) -> None:
    listed = {
        (provider, option)
        for row in rows(title)[2:]
        for provider in names(row[0])
        for option in names(row[1])
    }
    there = {(name, option) for name, spec in PROVIDERS.items() for option in getattr(spec, kind)}
    assert listed == there


def test_the_examples_of_the_platform_file_can_be_used(tmp_path: Path) -> None:
    examples = [block for block in blocks("yaml") if block.startswith("connections:")]
    assert len(examples) == 2
    for example in examples:
        path = tmp_path / "dagbook-platform.yaml"
        path.write_text(example, "utf-8")
        assert [str(problem) for problem in platform_problems(path)] == []
        assert "lake" in read_platform(path).connections


def test_the_provider_of_the_page_works() -> None:
    made: dict[str, Any] = {}
    exec(blocks("python")[-1], made)
    fetch = made["fetch"]
    assert fetch(Lookup("analytics")).value == {"password": "the password of analytics"}
    with pytest.raises(ProviderDown) as raised:
        fetch(Lookup("shut", settings={"address": "safe.example.com"}))
    assert str(raised.value) == "the safe safe.example.com is shut: ask its keeper"
