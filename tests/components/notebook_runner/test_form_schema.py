"""The form of a component, with what the platform allows in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from jsonschema import Draft202012Validator

from dagbook.notebook_runner.component import NotebookRunnerComponent
from dagbook.notebook_runner.dagster_forms import form_of
from dagbook.notebook_runner.form_schema import form_schema

if TYPE_CHECKING:
    from conftest import Workbench

PLATFORM = """\
contact: "#ml-platform"
currency: EUR
compute_sizes:
  tiny: {cpus: 1, memory: 1 GiB, max_run_time: 90 min, default: true}
  huge:
    {cpus: 2, memory: 8 GiB, max_run_time: 4 h, teams: [models], price_per_hour: 3,
     description: For training}
teams:
  - {folder: "models/**", team: models, contact: models@example.com}
  - {folder: "**", team: everyone}
rules:
  maximum_retries: 2
  minimum_schedule_interval: 1 h
  kernels: [python3, ir]
  key_pattern: "[a-z]+/[a-z]+"
  required_checks: [rows]
  required_metadata: {owners: "team:.+", description: , tags.tier: "gold|silver"}
defaults: {retries.max: 1, group: growth}
bounds:
  timeout: {minimum: 10, maximum: 600}
"""


def form(bench: Workbench, notebook: str = "a.ipynb") -> dict[str, Any]:
    bench.platform(PLATFORM)
    bench.notebook("a.ipynb", ["1"])
    bench.notebook("models/m.ipynb", ["1"])
    return form_schema(NotebookRunnerComponent, bench.root, notebook)


def invalid(schema: dict[str, Any], **attributes: Any) -> set[str]:
    """Which attributes a validator refuses; those that are required are given."""
    given = {
        "notebook": "a.ipynb",
        "owners": ["team:growth"],
        "description": "x",
        "tags": {"tier": "gold"},
        **attributes,
    }
    errors = Draft202012Validator(schema).iter_errors(given)
    return {".".join(map(str, error.absolute_path)) for error in errors}


def test_a_forbidden_size_is_there_disabled_with_the_reason(bench: Workbench) -> None:
    made = form(bench)
    size = made["schema"]["properties"]["compute_size"]
    assert size["default"] == "tiny"
    assert size["oneOf"] == [
        {"const": "tiny", "title": "tiny (1 CPU, 1 GiB, 1.5 h)"},
        {
            "const": "huge",
            "title": "huge (2 CPU, 8 GiB, 4 h)",
            "description": "For training",
            "price_per_hour": 3,
            "currency": "EUR",
            "disabled": True,
            "reason": "compute size 'huge' is for the team models, and a.ipynb is of the team "
            "everyone. Allowed: tiny. For an exception ask #ml-platform (dagbook-platform.yaml:6)",
        },
    ]
    assert made["ui"]["compute_size"] == {"ui:enumDisabled": ["huge"]}
    assert invalid(made["schema"], compute_size="huge") == {"compute_size"}
    assert invalid(made["schema"], compute_size="tiny") == set()


def test_the_form_of_another_teams_notebook_allows_what_that_team_may(bench: Workbench) -> None:
    made = form(bench, "models/m.ipynb")
    sizes = made["schema"]["properties"]["compute_size"]["oneOf"]
    assert not any(choice.get("disabled") for choice in sizes)
    assert "compute_size" not in made["ui"]
    assert made["policy"]["team"] == "models"
    assert made["policy"]["ask"] == "models@example.com"
    assert invalid(made["schema"], compute_size="huge", limits={"max_runtime_hours": 4}) == set()


@pytest.mark.parametrize(
    ("attributes", "where"),
    [
        ({"retries": 3}, {"retries"}),
        ({"retries": {"max": 3}}, {"retries"}),
        ({"retries": 2}, set()),
        ({"limits": {"max_runtime_hours": 2}}, {"limits.max_runtime_hours"}),
        ({"limits": {"max_runtime_hours": 1.5}}, set()),
        ({"timeout": 5}, {"timeout"}),
        ({"timeout": 601}, {"timeout"}),
        ({"kernel": "bash"}, {"kernel"}),
        ({"key": "a"}, {"key"}),
        ({"key": "a/b"}, set()),
        ({"owners": []}, {"owners"}),
        ({"owners": ["someone@example.com"]}, {"owners.0"}),
        ({"description": ""}, {"description"}),
        ({"tags": {}}, {"tags"}),
        ({"tags": {"tier": "bronze"}}, {"tags.tier"}),
    ],
)
def test_a_validator_refuses_by_the_form_what_the_platform_forbids(
    bench: Workbench, attributes: dict[str, Any], where: set[str]
) -> None:
    assert invalid(form(bench)["schema"], **attributes) == where


def test_defaults_are_the_platforms(bench: Workbench) -> None:
    schema = form(bench)["schema"]
    assert schema["$defs"]["Retries"]["properties"]["max"]["default"] == 1
    assert schema["properties"]["group"]["default"] == "growth"


def test_what_no_schema_can_say_stands_beside_it(bench: Workbench) -> None:
    policy = form(bench)["policy"]
    assert policy["minimum_schedule_interval_seconds"] == 3600.0
    assert policy["required_checks"] == ["rows"]
    assert policy["require_trial"] is False
    assert policy["team"] == "everyone"
    assert policy["ask"] == "#ml-platform"
    assert policy["file"] == str(bench.root / "dagbook-platform.yaml")


def test_without_a_platform_file_the_built_in_sizes_are_offered(bench: Workbench) -> None:
    made = form_schema(NotebookRunnerComponent, bench.root, "a.ipynb")
    sizes = made["schema"]["properties"]["compute_size"]
    names = [choice["const"] for choice in sizes["oneOf"]]
    assert names == ["small", "medium", "large", "gpu_medium", "gpu_large"]
    assert sizes["default"] == "small"
    assert made["schema"]["required"] == ["notebook"]


def test_a_companys_attributes_are_in_its_form(bench: Workbench) -> None:
    class Company(NotebookRunnerComponent):
        cost_centre: str = "0"

    made = form_schema(Company, bench.root, "a.ipynb")
    assert made["schema"]["properties"]["cost_centre"]["default"] == "0"


def test_dagster_splits_schemas_as_it_does_for_its_own_form() -> None:
    data, look = form_of(NotebookRunnerComponent)
    # Templates in place of values and Dagster's mark for a default it cannot write are gone.
    assert data["properties"]["timeout"]["type"] == "number"
    assert "default" not in data["properties"]["parameters"]
    assert look["ui:order"][0] == "notebook"
    assert issubclass(NotebookRunnerComponent, dg.Resolvable)
