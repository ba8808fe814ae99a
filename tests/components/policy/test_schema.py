"""The JSON schema of the platform file, and a platform written as a file again."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import yaml

import dagbook
from dagbook.policy.attribute_keys import ATTRIBUTES
from dagbook.policy.file_keys import platform_schema
from dagbook.policy.listing import platform_values, rows_of, without_nothing
from dagbook.policy.platform import BUILT_IN_PLATFORM, Platform
from dagbook.policy.regexes import LONGEST_TEXT
from dagbook.safe_yaml.rules import ScreeningRules

PUBLISHED = Path(dagbook.__file__).parent / "schemas" / "platform-1.schema.json"
PAGE = (Path(__file__).parents[3] / "docs" / "platform.md").read_text("utf-8")

Read = Callable[[str], Platform]


def test_the_published_schema_is_what_the_code_says() -> None:
    assert PUBLISHED.read_text("utf-8") == (
        json.dumps(platform_schema(), indent=2, ensure_ascii=False) + "\n"
    ), "dagbook platform schema > components/dagbook/schemas/platform-1.schema.json"


def test_the_schema_is_one() -> None:
    jsonschema.Draft202012Validator.check_schema(platform_schema())


def test_the_schema_takes_the_example(example: str) -> None:
    # As an editor reads it: a date may be one.
    tree = yaml.load(example, Loader=yaml.BaseLoader)
    assert tree["approvals"][0]["until"] == "2026-12-31"
    tree = yaml.safe_load(example)
    tree["approvals"][0]["until"] = "2026-12-31"
    tree["connections"]["analytics_prod"]["expires"] = "2027-01-31"
    jsonschema.validate(tree, platform_schema(), cls=jsonschema.Draft202012Validator)


def keys_of(schema: dict[str, Any]) -> Iterator[str]:
    for key, inner in schema.get("properties", {}).items():
        yield key
        yield from keys_of(inner)
    for part in ("items", "additionalProperties"):
        if isinstance(schema.get(part), dict):
            yield from keys_of(schema[part])
    for choice in schema.get("anyOf", ()):
        yield from keys_of(choice)


def test_every_key_is_described_and_stands_on_the_page_and_in_its_example(example: str) -> None:
    schema = platform_schema()
    # What stands below these is described where it belongs: the attributes, each provider.
    for top in ("defaults", "bounds", "providers"):
        schema = {**schema, "properties": {**schema["properties"], top: {"description": "-"}}}
    keys = set(keys_of(schema))
    assert len(keys) > 50
    assert [key for key in keys if f"`{key}`" not in PAGE and f".{key}`" not in PAGE] == []
    assert [key for key in keys if f"{key}:" not in example] == []
    assert list(undescribed(schema)) == []


def undescribed(schema: dict[str, Any], path: str = "") -> Iterator[str]:
    for key, inner in schema.get("properties", {}).items():
        if not inner.get("description"):
            yield f"{path}.{key}"
        yield from undescribed(inner, f"{path}.{key}")
    for part in ("items", "additionalProperties"):
        if isinstance(schema.get(part), dict):
            yield from undescribed(schema[part], f"{path}.*")
    for choice in schema.get("anyOf", ()):
        yield from undescribed(choice, path)


def test_every_attribute_with_a_default_or_bounds_stands_on_the_page() -> None:
    assert [name for name in ATTRIBUTES if f"`{name}`" not in PAGE] == []


def test_the_page_tells_the_limits_and_the_built_in_sizes() -> None:
    rules = ScreeningRules()
    assert f"{rules.max_bytes:,} bytes" in PAGE
    assert f"{rules.max_values:,} values" in PAGE
    assert f"{LONGEST_TEXT:,} characters" in PAGE
    for size in BUILT_IN_PLATFORM.sizes.values():
        assert f"`{size.name}` {size.label.removeprefix(size.name + ' ')[:-1]}" in PAGE


def written(platform: Platform) -> str:
    """A platform as the file that says all of it."""
    return yaml.safe_dump(without_nothing(platform_values(platform)), sort_keys=False)


def test_what_is_shown_is_a_file_that_says_the_same(platform: Read, example: str) -> None:
    first = platform(example)
    again = platform(written(first))
    assert again == dataclasses.replace(
        first, version=again.version, places=again.places, teams=again.teams
    )
    assert [(t.folder, t.team) for t in again.teams] == [(t.folder, t.team) for t in first.teams]


def test_the_defaults_are_shown_as_a_file_that_says_the_same(platform: Read) -> None:
    again = platform(written(BUILT_IN_PLATFORM))
    assert again.outputs.per_cell == 1_000_000
    assert again.outputs.per_notebook == 50_000_000
    assert again == dataclasses.replace(
        BUILT_IN_PLATFORM,
        version=again.version,
        file=again.file,
        places=again.places,
        outputs=again.outputs,
    )


def test_every_value_of_a_file_is_shown_with_its_line(platform: Read, example: str) -> None:
    found = platform(example)
    rows = {row.key: row for row in rows_of(found)}
    for key, line in found.places.items():
        # A list of plain values is shown in one row.
        shown = next((r for k, r in rows.items() if k == key or k.startswith(f"{key}.")), None)
        above = [r for k, r in rows.items() if key.startswith(f"{k}.")]
        assert shown is not None or above, key
        if key in rows:
            assert rows[key].origin == f"dagbook-platform.yaml:{line}"
    assert rows["compute_sizes.small.gpus"].origin == "default"


def test_the_output_defaults_are_the_runner_s() -> None:
    from dagbook.execution.outputs import OutputLimits

    values = {row.key: row.text for row in rows_of(BUILT_IN_PLATFORM)}
    assert OutputLimits() == OutputLimits(per_cell=1_000_000, per_notebook=50_000_000)
    assert values["output_limits.per_cell"] == "1 MB"
    assert values["output_limits.per_notebook"] == "50 MB"
