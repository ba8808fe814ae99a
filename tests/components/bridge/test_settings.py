"""A notebook's settings through the bridge: checked, previewed, compared and written."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dagbook.bridge_client import Bridge
from dagbook.bridge_protocol import BridgeError, Code
from dagbook.cli import main
from dagbook.project import Project, create_project

Attributes = Callable[..., dict[str, Any]]


def file_of(project: Project, component: str = "churn") -> Path:
    return project.defs_folder / component / "defs.yaml"


CHOICES = [
    ({}, []),
    ({"compute_size": "medium"}, ["--size", "medium"]),
    ({"compute_size": "small", "retries": None, "owners": [], "tags": {}}, []),
    ({"parameters": {"days": 3, "region": "FR"}}, ["-p", "days=3", "-p", "region=FR"]),
    ({"parameters": {"rates": [0.5, 2]}}, ["-p", "rates=[0.5, 2]"]),
    (
        {"retries": {"max": 2, "on": [], "delay_seconds": 0}, "owners": ["team:growth"]},
        ["--set", "owners=[team:growth]", "--set", "retries=2"],
    ),
    (
        {"limits": {"max_runtime_hours": 0.5, "max_cost_usd": None}},
        ["--set", "limits={max_runtime_hours: 0.5}"],
    ),
    (
        {"partitions": {"type": "static", "values": ["DE", "FR"]}, "tags": {"tier": "gold"}},
        ["--set", "tags={tier: gold}", "--set", "partitions={type: static, values: [DE, FR]}"],
    ),
    (
        {"monitoring": {"track_metrics": ["runtime", "memory_usage", "cpu_usage"]}},
        [],
    ),
    (
        {"experiment": {"name": "churn", "tags": ["q3"]}},
        ["--set", "experiment={name: churn, tags: [q3]}"],
    ),
]


@pytest.mark.parametrize(("more", "words"), CHOICES, ids=lambda value: str(value)[:40])
def test_a_form_writes_the_bytes_that_the_command_line_writes(
    bridge: Bridge,
    project: Project,
    attributes: Attributes,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    more: dict[str, Any],
    words: list[str],
) -> None:
    form = {"notebook": "churn.ipynb", "attributes": attributes(**more)}
    shown = bridge.ask("preview", **form)["text"]
    written = bridge.ask("write", base=None, **form)
    by_form = file_of(project).read_bytes()
    assert shown.encode() == written["text"].encode() == by_form
    # Asked for what is there already, nothing changes.
    assert bridge.ask("diff", **form)["words"] == "nothing changes"
    file_of(project).unlink()
    monkeypatch.chdir(project.root)
    zone = ["--timezone", "Europe/Berlin"]
    assert main(["schedule", "churn.ipynb", "daily 06:00", *zone, *words]) == 0
    assert file_of(project).read_bytes() == by_form
    capsys.readouterr()


def test_a_wish_writes_the_bytes_that_the_command_line_writes(
    bridge: Bridge, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    wish = {"schedule": "weekdays 07:30", "timezone": "UTC", "size": "large"}
    wish_parameters: dict[str, Any] = {"parameters": {"days": "30"}}
    bridge.ask("write", notebook="churn.ipynb", wish={**wish, **wish_parameters}, base=None)
    by_wish = file_of(project).read_bytes()
    file_of(project).unlink()
    monkeypatch.chdir(project.root)
    line = ["schedule", "churn.ipynb", "weekdays 07:30", "--timezone", "UTC", "--size", "large"]
    assert main([*line, "-p", "days=30"]) == 0
    assert file_of(project).read_bytes() == by_wish


WRITTEN = """\
# Churn, for the board.
type: dagbook.NotebookRunnerComponent
attributes:
  notebook: 'churn.ipynb'   # since 2025
  schedule: "0 6 * * *"  # UTC
  retries: 2
  compute_size: small   # enough
  owners: [team:growth]
  # Ask Finance first.
  tags: {tier: gold}
"""


@pytest.fixture
def written(project: Project) -> Path:
    path = file_of(project)
    path.parent.mkdir(parents=True)
    path.write_text(WRITTEN)
    return path


def test_what_a_form_shows_unchanged_is_not_written_anew(bridge: Bridge, written: Path) -> None:
    form = {
        "notebook": "churn.ipynb",
        "schedule": {"cron": "0 6 * * *", "timezone": "UTC", "own_job": False},
        "retries": {"max": 2, "on": [], "delay_seconds": 0},
        "compute_size": "small",
        "owners": ["team:growth"],
        "tags": {"tier": "gold"},
        "parameters": {},
        "monitoring": {"track_metrics": ["runtime", "memory_usage", "cpu_usage"]},
    }
    told = bridge.ask("write", notebook="churn.ipynb", attributes=form)
    assert (told["changed"], told["written"], told["words"]) == (False, False, "nothing changes")
    assert written.read_text() == WRITTEN


def test_a_change_keeps_comments_and_is_said_in_words(bridge: Bridge, written: Path) -> None:
    base = bridge.ask("settings", notebook="churn.ipynb")["base"]
    form = {
        "schedule": {"cron": "daily 07:00", "timezone": "UTC"},
        "retries": None,
        "compute_size": "medium",
        "owners": ["team:growth"],
        "tags": {"tier": "gold"},
        "parameters": {"days": 3},
    }
    told = bridge.ask("write", notebook="churn.ipynb", attributes=form, base=base)
    assert told["words"] == "06:00 → 07:00; size small → medium; days 3; retries no longer 2"
    assert written.read_text() == (
        WRITTEN.replace('"0 6 * * *"', '"0 7 * * *"')
        .replace("  retries: 2\n", "")
        .replace("small ", "medium ")
        + "  parameters: {days: 3}\n"
    )


def test_an_empty_value_of_a_parameter_is_a_value(bridge: Bridge, written: Path) -> None:
    form = {"schedule": "0 6 * * *", "parameters": {"rates": []}, "tags": {"tier": ""}}
    told = bridge.ask("preview", notebook="churn.ipynb", attributes=form)
    assert told["text"].endswith('  tags: {tier: ""}\n  parameters: {rates: []}\n')


def test_parameters_that_are_no_mapping_are_said_at_their_field(
    bridge: Bridge, written: Path
) -> None:
    form = {"schedule": "0 6 * * *", "parameters": "days=3"}
    (error,) = bridge.ask("validate", notebook="churn.ipynb", attributes=form)["errors"]
    assert error["loc"] == ["parameters"]
    with pytest.raises(BridgeError) as raised:
        bridge.ask("write", notebook="churn.ipynb", attributes=form)
    assert raised.value.code is Code.REFUSED
    assert written.read_text() == WRITTEN


def test_settings_that_changed_on_disk_are_not_written_over(bridge: Bridge, written: Path) -> None:
    base = bridge.ask("settings", notebook="churn.ipynb")["base"]
    written.write_text(WRITTEN.replace("gold", "silver"))
    at = time.mktime((2026, 3, 4, 14, 2, 0, 0, 0, -1))
    os.utime(written, (at, at))
    before = written.read_bytes()
    with pytest.raises(BridgeError) as raised:
        bridge.ask("write", notebook="churn.ipynb", wish={"size": "large"}, base=base)
    assert raised.value.code is Code.CHANGED
    assert str(raised.value) == "Settings changed on disk at 14:02"
    assert written.read_bytes() == before
    now = (raised.value.loc or {})["base"]
    assert bridge.ask("write", notebook="churn.ipynb", wish={"size": "large"}, base=now)["written"]


def test_settings_that_came_to_be_meanwhile_are_not_written_over(
    bridge: Bridge, written: Path
) -> None:
    with pytest.raises(BridgeError) as raised:
        bridge.ask("write", notebook="churn.ipynb", wish={"size": "large"}, base=None)
    assert raised.value.code is Code.CHANGED
    written.unlink()
    with pytest.raises(BridgeError) as raised:
        bridge.ask(
            "write", notebook="churn.ipynb", wish={"schedule": "daily"}, base="of another text"
        )
    assert str(raised.value) == "Settings were removed on disk"


def test_what_could_not_run_is_not_written(
    bridge: Bridge, project: Project, attributes: Attributes
) -> None:
    with pytest.raises(BridgeError) as raised:
        bridge.ask("write", notebook="churn.ipynb", attributes=attributes(timeout=-1))
    assert raised.value.code is Code.REFUSED
    assert str(raised.value) == "nothing was written. timeout: more than 0 is wanted, not -1"
    assert not file_of(project).exists()


def test_what_is_wrong_is_said_at_its_field_and_line(
    bridge: Bridge, attributes: Attributes
) -> None:
    given = attributes(
        retries={"max": 200}, owners=["nobody"], parameters={"dayz": 1}, compute_size="huge"
    )
    given["schedule"]["cron"] = "daily 25:00"
    found = bridge.ask("validate", notebook="churn.ipynb", attributes=given)
    assert not found["valid"]
    places = {tuple(error["loc"]): error["line"] for error in found["errors"]}
    lines = found["text"].splitlines()
    assert {loc[0] for loc in places} == {
        "schedule", "compute_size", "parameters", "retries", "owners"
    }  # fmt: skip
    assert lines[places["owners", 0] - 1].strip().startswith(("owners:", "- nobody"))
    assert all(error["by"] == "yaml" for error in found["errors"])


def test_the_text_of_a_file_is_checked_before_it_is_saved(bridge: Bridge) -> None:
    text = "type: dagbook.NotebookRunnerComponent\nattributes:\n  notebook: chrn.ipynb\n  x: 1\n"
    found = bridge.ask("validate", text=text)
    assert [(error["loc"], error["line"]) for error in found["errors"]] == [
        (["notebook"], 3),
        (["x"], 4),
    ]
    broken = bridge.ask("validate", text="type: [\n")
    assert (broken["valid"], broken["errors"][0]["line"]) == (False, 2)


def test_a_key_that_is_taken_is_said(
    bridge: Bridge, written: Path, new_notebook: Callable[..., Path], project: Project
) -> None:
    new_notebook(project.root / "other.ipynb")
    found = bridge.ask("validate", notebook="other.ipynb", attributes={"key": "churn"})
    assert [error["msg"] for error in found["errors"]] == [
        "the asset key `churn` is also that of growth/defs/churn/defs.yaml:2: give one of them "
        "another `key`"
    ]


def test_the_rules_of_the_platform_object_where_they_do(
    bridge: Bridge, project: Project, attributes: Attributes
) -> None:
    platform = project.root / "dagbook-platform.yaml"
    platform.write_text(
        "compute_sizes:\n"
        "  small: {cpus: 1, memory: 1 GiB, max_run_time: 1 h, default: true}\n"
        "  large: {cpus: 1, memory: 1 GiB, max_run_time: 1 h, teams: [nlp]}\n"
        "teams:\n  - {folder: nlp/**, team: nlp}\n"
        "rules:\n  maximum_retries: 1\n"
    )
    given = attributes(compute_size="large", retries=2)
    found = bridge.ask("validate", notebook="churn.ipynb", attributes=given)
    assert [(error["loc"], error["by"]) for error in found["errors"]] == [
        (["compute_size"], "rules"),
        (["retries"], "rules"),
    ]
    # The next question sees another platform file.
    platform.write_text(platform.read_text().replace("teams: [nlp]", "description: Big"))
    found = bridge.ask("validate", notebook="churn.ipynb", attributes=given)
    assert [error["loc"] for error in found["errors"]] == [["retries"]]


def test_settings_are_taken_out_with_their_file(bridge: Bridge, written: Path) -> None:
    told = bridge.ask("remove", notebook="churn.ipynb")
    assert told["text"] == WRITTEN
    assert not written.parent.exists()
    assert bridge.ask("settings", notebook="churn.ipynb")["component"] is None
    with pytest.raises(BridgeError, match=r"^churn.ipynb is not scheduled"):
        bridge.ask("remove", notebook="churn.ipynb")


def test_one_of_several_components_of_a_file_is_not_taken_out(
    bridge: Bridge, written: Path
) -> None:
    written.write_text(f"{WRITTEN}---\n{WRITTEN}".replace("gold}\n---", "gold}\n  key: a\n---"))
    with pytest.raises(BridgeError) as raised:
        bridge.ask("remove", notebook="churn.ipynb", component="churn:2")
    assert str(raised.value) == (
        "growth/defs/churn/defs.yaml holds 2 components: take this one out by hand"
    )


@pytest.mark.parametrize("ignored", [None, "*.csv"])
def test_a_folder_becomes_no_project_where_nothing_can_be_written(
    tmp_path: Path,
    new_notebook: Callable[..., Path],
    open_bridge: Callable[[Path], Bridge],
    ignored: str | None,
) -> None:
    folder = tmp_path / "loose"
    new_notebook(folder / "churn.ipynb")
    (folder / "broken.ipynb").write_text("{")
    if ignored is not None:
        (folder / ".gitignore").write_text(ignored)
    before = sorted(folder.rglob("*"))
    bridge = open_bridge(folder)
    for notebook, when in (("broken.ipynb", "daily 06:00"), ("churn.ipynb", "daily 24:00")):
        with pytest.raises(BridgeError) as raised:
            bridge.ask("write", notebook=notebook, wish={"schedule": when}, init=True)
        assert raised.value.code is Code.REFUSED
    assert [path for path in sorted(folder.rglob("*")) if ".dagbook" not in path.parts] == before
    assert ignored is None or (folder / ".gitignore").read_text() == ignored


def test_a_folder_becomes_a_project_when_asked(
    tmp_path: Path,
    new_notebook: Callable[..., Path],
    open_bridge: Callable[[Path], Bridge],
    attributes: Attributes,
) -> None:
    folder = tmp_path / "loose"
    new_notebook(folder / "churn.ipynb")
    bridge = open_bridge(folder)
    form = {"notebook": "churn.ipynb", "attributes": attributes()}
    assert bridge.ask("parameters", notebook="churn.ipynb")["parameters"]
    with pytest.raises(BridgeError, match=r"is in no dagbook project: run `dagbook init`"):
        bridge.ask("write", **form)
    with pytest.raises(BridgeError, match=r"^gone.ipynb does not exist in "):
        bridge.ask("write", notebook="gone.ipynb", attributes={}, init=True)
    assert not (folder / "dg.toml").exists()
    assert bridge.ask("write", init=True, **form)["made_project"] == "loose"
    assert (folder / "loose" / "defs" / "churn" / "defs.yaml").is_file()


def test_a_notebook_edited_between_two_questions_is_read_anew(
    bridge: Bridge, project: Project, new_notebook: Callable[..., Path], attributes: Attributes
) -> None:
    form = {"notebook": "churn.ipynb", "attributes": attributes(parameters={"weeks": 2})}
    assert not bridge.ask("validate", **form)["valid"]
    new_notebook(project.root / "churn.ipynb", "weeks: int = 1\n")
    assert bridge.ask("validate", **form)["valid"]
    names = [p["name"] for p in bridge.ask("parameters", notebook="churn.ipynb")["parameters"]]
    assert names == ["weeks"]


def test_a_file_edited_between_two_questions_is_read_anew(bridge: Bridge, written: Path) -> None:
    found = written.stat()
    assert bridge.ask("settings", notebook="churn.ipynb")["attributes"]["tags"] == {"tier": "gold"}
    # As long as it was, and with the same time on it.
    written.write_text(WRITTEN.replace("gold", "iron"))
    os.utime(written, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert bridge.ask("settings", notebook="churn.ipynb")["attributes"]["tags"] == {"tier": "iron"}


def test_without_prices_nothing_is_said_of_cost(
    bridge: Bridge, project: Project, written: Path
) -> None:
    assert bridge.ask("cost", notebook="churn.ipynb") == {"lines": []}
    (project.root / "dagbook-platform.yaml").write_text(
        "currency: EUR\ncompute_sizes:\n"
        "  small: {cpus: 1, memory: 1 GiB, max_run_time: 1 h, price_per_hour: 2, default: true}\n"
    )
    (line,) = bridge.ask("cost", notebook="churn.ipynb")["lines"]
    assert line.startswith("expected cost: ")


def test_a_second_project_has_a_bridge_of_its_own(
    bridge: Bridge, tmp_path: Path, open_bridge: Callable[[Project], Bridge]
) -> None:
    other = open_bridge(create_project(tmp_path / "other"))
    assert other is not bridge
    assert other.hello()["folder"] == str(tmp_path / "other")
    assert bridge.hello()["folder"] != other.hello()["folder"]
    assert None not in (bridge.pid, other.pid)
    assert bridge.pid != other.pid
