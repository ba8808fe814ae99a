"""One table of labels, complete, and the words made with it."""

from __future__ import annotations

from typing import Any

import pytest

from dagbook.changes_in_words import changes_in_words, in_one_line
from dagbook.labels import HELP, LABELS, label_of
from dagbook.notebook_runner.component import NotebookRunnerComponent


def attributes_of(schema: dict[str, Any]) -> set[str]:
    """Every attribute of the component, and the keys within those that have a fixed set."""
    found = set()

    def inner(part: dict[str, Any]) -> list[dict[str, Any]]:
        parts = [part, *part.get("anyOf", ()), *part.get("oneOf", ())]
        references = [p["$ref"].rpartition("/")[2] for p in parts if "$ref" in p]
        targets = [schema["$defs"][name] for name in references]
        return [*parts, *(p for target in targets for p in inner(target))]

    for name, part in schema["properties"].items():
        found.add(name)
        for each in inner(part):
            found |= {f"{name}.{key}" for key in each.get("properties", {})}
    return found


def test_every_attribute_of_the_component_has_a_label() -> None:
    model = NotebookRunnerComponent.get_model_cls()
    assert model is not None
    known = attributes_of(model.model_json_schema())
    assert known == LABELS.keys()


def test_help_is_about_attributes_that_there_are() -> None:
    assert HELP.keys() <= LABELS.keys()


def test_an_attribute_of_a_company_is_called_by_its_key() -> None:
    assert label_of("cost_centre") == "Cost centre"
    assert label_of("retries", "max") == "How often"
    assert label_of("owners", 0) == "Owners"


def at(cron: str, timezone: str = "UTC") -> dict[str, Any]:
    return {"schedule": {"cron": cron, "timezone": timezone}}


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (at("0 6 * * *"), at("0 7 * * *"), "06:00 → 07:00"),
        (
            {**at("0 6 * * *"), "compute_size": "small"},
            {**at("0 7 * * *"), "compute_size": "medium"},
            "06:00 → 07:00; size small → medium",
        ),
        (at("0 6 * * *"), at("0 6 * * 1"), "every day at 06:00 → every Monday at 06:00"),
        (at("0 6 * * *"), at("0 6 * * *", "Europe/Berlin"), "time zone UTC → Europe/Berlin"),
        (
            at("0 6 * * *"),
            at("0 7 * * *", "Europe/Berlin"),
            "every day at 06:00 (UTC) → every day at 07:00 (Europe/Berlin)",
        ),
        ({"schedule": "0 6 * * *"}, at("0 6 * * *"), ""),
        (at("0 6 * * *"), {}, "when no longer every day at 06:00 (UTC)"),
        ({}, at("0 6 * * *"), "every day at 06:00 (UTC)"),
        ({}, {"compute_size": "medium"}, "size small → medium"),
        ({"compute_size": "small"}, {}, ""),
        (
            {"parameters": {"days": 7, "Region": "DE"}},
            {"parameters": {"days": 30}},
            "days 7 → 30; Region no longer DE",
        ),
        ({"retries": {"max": 1}}, {"retries": {"max": 2}}, "retries, How often 1 → 2"),
        ({}, {"owners": ["team:a", "team:b"]}, "owners team:a, team:b"),
        ({"experiment": {"name": "a"}}, {}, "MLflow experiment no longer name a"),
        ({"description": "a"}, {"description": "x" * 80}, f"description a → {'x' * 59}…"),
    ],
)
def test_what_changes_is_said_in_words(
    before: dict[str, Any], after: dict[str, Any], words: str
) -> None:
    assert in_one_line(changes_in_words(before, after, "small")) == words


def test_a_new_component_says_all_it_has() -> None:
    new = {"notebook": "churn.ipynb", **at("0 6 * * *"), "compute_size": "medium"}
    assert in_one_line(changes_in_words(None, new, "small")) == (
        "every day at 06:00 (UTC); size medium"
    )
