"""What the bridge says of a notebook, and of the form for its settings."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from dagbook.bridge_client import Bridge
from dagbook.bridge_protocol import BridgeError
from dagbook.project import Project


def test_a_notebook_says_what_it_takes(bridge: Bridge) -> None:
    told = bridge.ask("parameters", notebook="churn.ipynb")
    assert told["language"] == "python"
    assert told["kernel"] == "python3"
    found = {p["name"]: p for p in told["parameters"]}
    assert found["days"] == {
        "name": "days",
        "type": "int",
        "annotation": "int",
        "default": 7,
        "default_known": True,
        "default_text": "7",
        "required": False,
        "nullable": False,
        "choices": None,
        "help": "",
        "line": 3,
    }
    assert (found["region"]["choices"], found["region"]["help"]) == (["DE", "FR"], "the country")
    assert [(cell["cell"], cell["role"]) for cell in told["cells"]] == [(0, "parameters")]


def test_what_would_go_wrong_at_night_is_found_in_what_is_not_saved_too(
    bridge: Bridge, project: Project, new_notebook: Callable[..., Path], tmp_path: Path
) -> None:
    assert bridge.ask("findings", notebook="churn.ipynb")["findings"] == []
    edited = new_notebook(tmp_path / "edited.ipynb", body="input('which? ')")
    document = json.loads(edited.read_text())
    told = bridge.ask("findings", notebook="churn.ipynb", document=document)
    (finding,) = told["findings"]
    assert (finding["severity"], finding["cell"], finding["cell_id"], finding["line"]) == (
        "will fail",
        1,
        "cell-2",
        1,
    )
    assert told["passed_trial"] is None
    new_notebook(project.root / "churn.ipynb", body="input('which? ')")
    assert bridge.ask("findings", notebook="churn.ipynb")["findings"] == told["findings"]


def test_what_a_connection_gives_is_no_finding(
    bridge: Bridge, project: Project, new_notebook: Callable[..., Path]
) -> None:
    new_notebook(project.root / "churn.ipynb", body="import os\nos.environ['ORDERS_URL']")
    (project.root / "dagbook-platform.yaml").write_text(
        "connections:\n"
        "  orders: {provider: environment, key: ORDERS_FROM, variables: [ORDERS_URL]}\n"
        "resources:\n  database: {connections: [orders]}\n"
    )
    (finding,) = bridge.ask("findings", notebook="churn.ipynb")["findings"]
    assert finding["severity"] == "will fail"
    assert "ORDERS_URL" in finding["text"]
    given = {"resources": {"database": "orders"}}
    bridge.ask("write", notebook="churn.ipynb", attributes=given, base=None)
    assert bridge.ask("findings", notebook="churn.ipynb")["findings"] == []


def test_a_schedule_says_when_it_comes(bridge: Bridge) -> None:
    told = bridge.ask("next_ticks", schedule="weekdays 07:30", timezone="Europe/Berlin", count=5)
    assert (told["cron"], told["timezone"]) == ("30 7 * * 1-5", "Europe/Berlin")
    assert told["words"] == "Every weekday at 07:30"
    assert len(told["next"]) == 5
    assert all("T07:30:00+0" in moment for moment in told["next"])
    with pytest.raises(BridgeError, match=r"^time zone 'Berlin' does not exist. Did you mean"):
        bridge.ask("next_ticks", schedule="daily", timezone="Berlin")
    with pytest.raises(BridgeError) as raised:
        bridge.ask("next_ticks", schedule="daily", count=1000)
    assert str(raised.value) == "count: at least 1 and at most 100"


def test_the_form_is_a_schema_with_labels(bridge: Bridge, attributes: Callable[..., Any]) -> None:
    form = bridge.ask("form_schema", notebook="churn.ipynb")
    assert form["type"] == "dagbook.NotebookRunnerComponent"
    schema = form["dataSchema"]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(attributes(compute_size="medium", retries=2), schema)
    titles = {name: part["title"] for name, part in schema["properties"].items()}
    assert list(titles.items())[:5] == [
        ("notebook", "Notebook"),
        ("schedule", "When"),
        ("compute_size", "Size"),
        ("parameters", "Values"),
        ("partitions", "Repeat for"),
    ]
    assert form["uiSchema"]["ui:order"] == list(titles)
    assert form["uiSchema"]["dagbook:everyday"][:3] == ["schedule", "parameters", "compute_size"]
    assert schema["$defs"]["Retries"]["properties"]["max"]["title"] == "How often"
    assert "__DAGSTER_UNSET_DEFAULT__" not in json.dumps(form)


def test_the_form_uses_no_word_that_only_dagster_has(bridge: Bridge) -> None:
    schema = bridge.ask("form_schema", notebook="churn.ipynb")["dataSchema"]
    words = re.compile(r"\b(assets?|ops?|components?|sinks?|provenance|drift|preflight)\b", re.I)
    said = []

    def look(part: Any) -> None:
        if isinstance(part, dict):
            if "properties" in part:  # of an object's own title and text nothing is shown
                for inner in part["properties"].values():
                    said.extend(str(inner.get(key, "")) for key in ("title", "description"))
            part = list(part.values())
        if isinstance(part, list):
            for each in part:
                look(each)

    look(schema)
    assert len(said) > 60
    assert [text for text in said if words.search(text)] == []


def test_the_form_and_the_choices_follow_the_platform_file(
    bridge: Bridge, project: Project
) -> None:
    (project.root / "dagbook-platform.yaml").write_text(
        "contact: '#data'\n"
        "compute_sizes:\n"
        "  small: {cpus: 1, memory: 1 GiB, max_run_time: 1 h, default: true}\n"
        "  large: {cpus: 1, memory: 1 GiB, max_run_time: 1 h, teams: [nlp]}\n"
        "teams:\n  - {folder: nlp/**, team: nlp}\n"
    )
    sizes = bridge.ask("form_schema", notebook="churn.ipynb")["dataSchema"]["properties"]
    shown = {c["const"]: c.get("disabled", False) for c in sizes["compute_size"]["oneOf"]}
    assert shown == {"small": False, "large": True}
    told = bridge.ask("options", notebook="churn.ipynb")
    assert {size["name"]: size["allowed"] for size in told["sizes"]} == {
        "small": True,
        "large": False,
    }
    assert told["sizes"][1]["reason"]
    assert told["ask"] == "#data"
    assert {"name": "python3", "allowed": True} in told["kernels"]
    assert "daily 06:00" in told["schedule_forms"]
    (project.root / "dagbook-platform.yaml").unlink()
    sizes = bridge.ask("form_schema", notebook="churn.ipynb")["dataSchema"]["properties"]
    assert "gpu_large" in {c["const"] for c in sizes["compute_size"]["oneOf"]}


def test_a_broken_platform_file_is_said(bridge: Bridge, project: Project) -> None:
    (project.root / "dagbook-platform.yaml").write_text("currency: [EUR\n")
    with pytest.raises(BridgeError, match=r"^dagbook-platform.yaml:2: "):
        bridge.ask("form_schema", notebook="churn.ipynb")


def test_components_are_named_for_people(bridge: Bridge) -> None:
    found = {c["name"]: c for c in bridge.ask("catalogue")["components"]}
    ours = found["dagbook.NotebookRunnerComponent"]
    assert (ours["label"], ours["runs_notebooks"], ours["problem"]) == (
        "Notebook runner",
        True,
        None,
    )
    assert ours["package"]["distribution"] == "dagbook"
    assert ours["description"].startswith(ours["summary"])


def test_a_component_that_runs_no_notebooks_has_no_form(bridge: Bridge) -> None:
    with pytest.raises(BridgeError) as raised:
        bridge.ask("form_schema", notebook="churn.ipynb", type="dagster.PythonScriptComponent")
    assert str(raised.value) == "`dagster.PythonScriptComponent` runs no notebooks"


def test_connections_are_offered_with_the_reason_where_they_are_not(
    bridge: Bridge, project: Project
) -> None:
    (project.root / "dagbook-platform.yaml").write_text(
        "teams:\n  - {folder: nlp/**, team: nlp}\n"
        "connections:\n"
        "  orders:\n"
        "    provider: environment\n"
        "    key: ORDERS_URL_FROM\n"
        "    variables: [ORDERS_URL]\n"
        "    description: The orders\n"
        "  corpus:\n"
        "    provider: environment\n"
        "    key: CORPUS_FROM\n"
        "    variables: [CORPUS_TOKEN]\n"
        "    teams: [nlp]\n"
        "resources:\n  database: {connections: [orders, corpus]}\n"
    )
    told = bridge.ask("options", notebook="churn.ipynb")["connections"]
    assert {c["name"]: c["allowed"] for c in told["database"]} == {"orders": True, "corpus": False}
    assert "FROM" not in json.dumps(told)
    form = bridge.ask("form_schema", notebook="churn.ipynb")["dataSchema"]["properties"]
    assert (form["resources"]["title"], form["resources"]["properties"].keys()) == (
        "Connections",
        {"database"},
    )
    written = bridge.ask(
        "preview",
        notebook="churn.ipynb",
        attributes={"resources": {"database": "orders"}},
    )
    assert written["words"] == "connections database orders"
