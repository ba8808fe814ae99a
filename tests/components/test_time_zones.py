"""Time zones by name, and the machine's own."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dagbook.errors import DagbookError
from dagbook.time_zones import find_zone, local_zone_name


def test_a_zone_is_found_by_its_name() -> None:
    assert find_zone("Europe/Berlin").key == "Europe/Berlin"
    assert find_zone("UTC").key == "UTC"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("berlin", "time zone 'berlin' does not exist. Did you mean `Europe/Berlin`?"),
        ("New York", "time zone 'New York' does not exist. Did you mean `America/New_York`?"),
        (
            "Europe/Berln",
            "time zone 'Europe/Berln' does not exist. Did you mean `Europe/Berlin`? Known: "
            "Europe/Berlin, Europe/Dublin, Europe/Belfast, Europe/Belgrade, Europe/Brussels, …",
        ),
    ],
)
def test_a_zone_that_does_not_exist_is_refused_with_the_nearest(name: str, said: str) -> None:
    with pytest.raises(DagbookError) as refused:
        find_zone(name)
    assert str(refused.value) == said


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "/etc/localtime", "Europe", "UTC+1"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(DagbookError) as refused:
        find_zone(name)
    assert str(refused.value).startswith(f"time zone {name!r} does not exist. ")


@pytest.mark.parametrize("value", ["America/Lima", ":America/Lima"])
def test_the_environment_names_the_local_zone(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", value)
    assert local_zone_name() == "America/Lima"


@pytest.mark.parametrize("value", ["", "CET-1CEST,M3.5.0", "Nowhere/City"])
def test_an_environment_that_names_no_zone_leaves_it_to_the_machine(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TZ", raising=False)
    machines = local_zone_name()
    monkeypatch.setenv("TZ", value)
    assert local_zone_name() == machines
    find_zone(machines)


def test_the_machines_zone_is_what_its_files_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TZ", raising=False)
    named = Path("/etc/timezone").read_text().strip() if Path("/etc/timezone").exists() else ""
    linked = os.path.realpath("/etc/localtime").partition("/zoneinfo/")[2]
    assert local_zone_name() == ((named or linked or "UTC").removeprefix("Etc/"))
