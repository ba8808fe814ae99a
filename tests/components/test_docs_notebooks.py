"""Every example of docs/notebooks.md is read, and says what the page says it says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dagbook.errors import DagbookError
from dagbook.notebook import MAX_NOTEBOOK_BYTES, Cell, Notebook, parse_notebook
from dagbook.notebook_file import TEXT_SUFFIXES
from dagbook.roles import RoleKind

PAGE = (Path(__file__).parents[2] / "docs" / "notebooks.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return PAGE.split(f"\n## {title}\n")[1].split("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """A table's cells without its head; an escaped backtick is a plain one."""
    lines = [line.strip("| ") for line in text.splitlines() if line.startswith("|")]
    return [[part.strip() for part in line.split(" | ")] for line in lines[2:]]


def code(text: str) -> str:
    """The one thing in backticks."""
    return text.strip().strip("`")


def examples(title: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", section(title), re.DOTALL)


def notebook(source: str, *tags: str) -> Notebook:
    cell = {"cell_type": "code", "source": source, "metadata": {"tags": list(tags)}, "outputs": []}
    return parse_notebook(
        {
            "nbformat": 4,
            "nbformat_minor": 5,
            "metadata": {"language_info": {"name": "python"}},
            "cells": [cell],
        }
    )


def only_cell(source: str, *tags: str) -> Cell:
    return notebook(source, *tags).cells[0]


ROLE_ROWS = rows(section("Roles"))


@pytest.mark.parametrize("row", ROLE_ROWS, ids=lambda row: row[0])
def test_the_ways_to_write_a_role_agree(row: list[str]) -> None:
    name, tag, comment, _ = row
    by_tag = only_cell("x = 1", code(tag))
    assert by_tag.role is not None
    assert str(by_tag.role.kind) == name.split(",")[0]
    assert only_cell(f"{code(comment)}\nx = 1").role == by_tag.role
    magic = code(comment).replace("# dagster:", "%%dagster")
    assert only_cell(f"{magic}\nx = 1").role == by_tag.role


def test_every_role_is_documented() -> None:
    assert {row[0].split(",")[0] for row in ROLE_ROWS} == {str(kind) for kind in RoleKind}


def test_the_example_of_several_roles_is_read() -> None:
    (source,) = examples("Three ways to write it")
    cell = only_cell(source)
    assert (str(cell.role), cell.results) == ("metrics", ("model", "scores"))


def test_the_comments_of_other_languages_are_read() -> None:
    for line in re.findall(r"`([^`]* dagster: skip)`", section("Three ways to write it")):
        language = {"#": "R", "//": "scala", "--": "sql"}[line.split(" ")[0]]
        document = notebook("").document
        document["metadata"]["language_info"]["name"] = language
        document["cells"][0]["source"] = f"{line}\nx"
        assert parse_notebook(document).cells[0].is_skipped


def test_the_parameters_are_what_the_table_says() -> None:
    (source,) = examples("Parameters")
    said = {code(row[0]): row[1:] for row in rows(section("Parameters"))}
    read = {parameter.name: parameter for parameter in notebook(source).parameters}
    assert list(read) == list(said)
    for name, parameter in read.items():
        kind = parameter.type
        if parameter.choices:
            kind += f": {', '.join(parameter.choices)}"
        kind += " or nothing" if parameter.nullable else ""
        default = "required" if parameter.required else f"`{parameter.default_text}`"
        assert [kind, default, parameter.help] == [*said[name], ""][:3]


def test_the_metrics_are_those_the_page_names() -> None:
    (source,) = examples("Metrics")
    read = notebook(source)
    named = section("Metrics").split("reports ")[1].split(":")[0]
    assert list(read.metric_names(read.cells[0])) == re.findall(r"`(\w+)`", named)


@pytest.mark.parametrize("row", rows(section("What is refused")), ids=lambda row: row[0])
def test_a_refusal_reads_as_the_page_says(row: list[str]) -> None:
    with pytest.raises(DagbookError) as caught:
        notebook(code(row[0]))
    assert str(caught.value) == row[1].replace("\\`", "`")


def test_the_page_names_every_kind_of_file_and_the_largest() -> None:
    text = section("Which files")
    for suffix in TEXT_SUFFIXES:
        assert f"`{suffix}`" in text or suffix == ".r"
    assert f"{MAX_NOTEBOOK_BYTES // 1024**2} MB" in text
