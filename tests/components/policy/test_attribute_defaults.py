"""The platform's defaults, put into what a component's YAML leaves out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dagbook.policy.attribute_defaults import with_defaults
from dagbook.policy.platform import BUILT_IN_PLATFORM, Platform

Read = Callable[[str], Platform]

FILE = """\
defaults:
  kernel: ir
  retries: {max: 2, delay_seconds: 60}
  schedule.timezone: Europe/Berlin
  tags: {tier: gold}
  owners: [team:growth]
"""
FILLED = {
    "compute_size": "small",
    "kernel": "ir",
    "retries": {"max": 2, "delay_seconds": 60},
    "tags": {"tier": "gold"},
    "owners": ["team:growth"],
}


def test_without_a_file_only_the_size_is_filled_in() -> None:
    assert with_defaults({"notebook": "a"}, BUILT_IN_PLATFORM) == {
        "notebook": "a",
        "compute_size": "small",
    }


@pytest.mark.parametrize(
    ("given", "filled"),
    [
        ({}, FILLED),
        ({"compute_size": "large"}, {**FILLED, "compute_size": "large"}),
        ({"kernel": None}, {**FILLED, "kernel": None}),
        ({"retries": 5}, {**FILLED, "retries": {"max": 5, "delay_seconds": 60}}),
        ({"retries": 0}, {**FILLED, "retries": {"max": 0, "delay_seconds": 60}}),
        (
            {"retries": {"on": ["error"]}},
            {**FILLED, "retries": {"on": ["error"], "max": 2, "delay_seconds": 60}},
        ),
        ({"retries": None}, {**FILLED, "retries": None}),
        ({"owners": []}, {**FILLED, "owners": []}),
        ({"tags": {"a": "b"}}, {**FILLED, "tags": {"a": "b", "tier": "gold"}}),
        (
            {"schedule": "0 6 * * *"},
            {**FILLED, "schedule": {"cron": "0 6 * * *", "timezone": "Europe/Berlin"}},
        ),
        (
            {"schedule": {"cron": "0 6 * * *", "timezone": "UTC"}},
            {**FILLED, "schedule": {"cron": "0 6 * * *", "timezone": "UTC"}},
        ),
        ({"schedule": None}, {**FILLED, "schedule": None}),
    ],
)
def test_what_is_given_stays_and_what_is_left_out_is_filled_in(
    platform: Read, given: dict[str, Any], filled: dict[str, Any]
) -> None:
    found = platform(FILE)
    before = repr(given)
    assert with_defaults(given, found) == filled
    assert repr(given) == before


def test_what_was_filled_in_can_be_changed_without_changing_the_platform(platform: Read) -> None:
    found = platform(FILE)
    first = with_defaults({}, found)
    first["owners"].append("x")
    first["retries"]["max"] = 9
    assert with_defaults({}, found) == FILLED
