"""Connections that a component names: one answer at the form, at loading and at the launch."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from jsonschema import Draft202012Validator

from dagbook.cli import main
from dagbook.ledger.audit import Entry, read_entries, verify
from dagbook.ledger.instance_database import ledger_of_instance
from dagbook.notebook_runner import NotebookRunnerComponent
from dagbook.notebook_runner.checks import find_problems
from dagbook.notebook_runner.form_schema import form_schema
from dagbook.notebook_runner.grant import Asked, granted
from dagbook.notebook_runner.policy_problems import policy_in_force
from dagbook.notebook_runner.policy_request import effective, judge, request_of
from dagbook.policy.connections import Entitlement
from dagbook.validation import validate_paths

if TYPE_CHECKING:
    from conftest import Workbench

PLATFORM = """\
contact: "#data-platform"
teams:
  - {folder: "models/**", team: models}
  - {folder: "**", team: everyone}
connections:
  warehouse:
    provider: environment
    key: SHOP_WAREHOUSE
    variables: DB_PASSWORD
    values: {DB_HOST: db.example.com}
    description: All tables, read only
  training:
    {provider: environment, key: SHOP_TRAINING, variables: TRAINING_TOKEN, teams: [models]}
resources:
  database: {connections: [warehouse, training], description: Where tables come from}
  s3_bucket: {values: ["company-*"], variable: BUCKET}
  either: {connections: [training], values: [local]}
"""
OTHERS = (
    "the connection 'training' is for the team models, and a.ipynb is of the team everyone. "
    "Allowed: {}. For an exception ask #data-platform (dagbook-platform.yaml:13)"
)


@pytest.fixture
def shop(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> Workbench:
    """A project with connections, whose credentials are in this process's environment."""
    monkeypatch.setenv("SHOP_WAREHOUSE", "open-the-warehouse")
    monkeypatch.setenv("SHOP_TRAINING", "train-the-models")
    bench.platform(PLATFORM)
    bench.notebook("a.ipynb", ["1"])
    bench.notebook("models/m.ipynb", ["1"])
    return bench


def reasons(bench: Workbench) -> dict[str, str]:
    """What was set aside, with its reason."""
    return {
        spec.key.to_user_string(): spec.metadata["reason"].value
        for spec in bench.load().resolve_all_asset_specs()
        if "error" in spec.kinds
    }


def entries(bench: Workbench, about: str | None = None) -> list[Entry]:
    with ledger_of_instance(bench.instance).read() as connection:
        assert connection is not None
        assert verify(connection).problem is None
        return list(read_entries(connection, about=about))


# Without a platform file


def test_without_a_platform_file_one_line_says_who_gives_connections(bench: Workbench) -> None:
    bench.notebook("a.ipynb", ["1"])
    file = bench.component("a", "notebook: a.ipynb\nresources: {database: warehouse}")
    said = (
        "`database` is not known here: connections come from the platform team, in "
        "dagbook-platform.yaml, and this project has none"
    )
    assert reasons(bench) == {"a": f"resources.database: {said}"}
    (finding,) = validate_paths([file]).findings
    assert (finding.line, finding.key, finding.text) == (4, "resources.database", said)


def test_a_platform_file_that_was_taken_away_refuses_the_launch(shop: Workbench) -> None:
    shop.component("a", "notebook: a.ipynb\nresources: {database: warehouse}")
    loaded = shop.load()
    (shop.root / "dagbook-platform.yaml").unlink()
    ran = shop.run("a", defs=loaded)
    assert not ran.success
    assert ran.failure.description.startswith("`database` is not known here: connections come from")


# What is written


@pytest.mark.parametrize(
    ("resources", "loc", "text"),
    [
        ("warehouse", ("resources",), "names with values is wanted, not 'warehouse'"),
        ({"database": 3}, ("resources", "database"), "text is wanted, not 3: write it in quotes"),
        ({"database": None}, ("resources", "database"), "text is wanted, not nothing"),
        (
            {"database": ["warehouse"]},
            ("resources", "database"),
            "text is wanted, not a list",
        ),
    ],
)
def test_what_cannot_be_a_name_is_refused(
    shop: Workbench, resources: Any, loc: tuple[str, ...], text: str
) -> None:
    attributes = {"notebook": "a.ipynb", "resources": resources}
    platform = policy_in_force(NotebookRunnerComponent, shop.root)
    (problem,) = find_problems(attributes, shop.root, platform=platform)
    assert (problem.loc, problem.text) == (loc, text)


def test_all_that_is_wrong_is_found_with_its_line(shop: Workbench) -> None:
    file = shop.component(
        "a",
        "notebook: a.ipynb\nresources:\n  database: training\n  s3_bucket: other\n  bucket: x",
    )
    found = [(f.line, f.key, f.text) for f in validate_paths([file]).findings]
    assert found == [
        (5, "resources.database", OTHERS.format("warehouse")),
        (
            6,
            "resources.s3_bucket",
            "'other' may not stand under `s3_bucket`. Allowed: company-*. For an exception ask "
            "#data-platform (dagbook-platform.yaml:16)",
        ),
        (
            7,
            "resources.bucket",
            "`bucket` is no resource here. Did you mean `s3_bucket`? Known: s3_bucket, either, "
            "database. For an exception ask #data-platform (dagbook-platform.yaml:14)",
        ),
    ]


def test_validate_says_which_connections_a_notebook_gets(
    shop: Workbench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shop.component("a", "notebook: a.ipynb\nresources: {database: warehouse, s3_bucket: company-a}")
    monkeypatch.chdir(shop.root)
    assert main(["validate", "--verbose"]) == 0
    assert "connections: warehouse (database), company-a (s3_bucket)" in capsys.readouterr().out


# The form


def test_the_form_offers_connections_and_says_why_some_are_not_allowed(shop: Workbench) -> None:
    made = form_schema(NotebookRunnerComponent, shop.root, "a.ipynb")
    part = made["schema"]["properties"]["resources"]
    assert part["title"] == "Connections"
    assert part["additionalProperties"] is False
    assert part["properties"] == {
        "database": {
            "type": "string",
            "title": "database",
            "description": "Where tables come from",
            "oneOf": [
                {
                    "const": "warehouse",
                    "title": "warehouse",
                    "description": "All tables, read only",
                    "variables": ["DB_PASSWORD", "DB_HOST"],
                },
                {
                    "const": "training",
                    "title": "training",
                    "variables": ["TRAINING_TOKEN"],
                    "disabled": True,
                    "reason": OTHERS.format("warehouse"),
                },
            ],
            "not": {"enum": ["training"]},
        },
        "s3_bucket": {
            "type": "string",
            "title": "s3_bucket",
            "minLength": 1,
            "examples": ["company-*"],
        },
        "either": {
            "type": "string",
            "title": "either",
            "anyOf": [
                {
                    "oneOf": [
                        {
                            "const": "training",
                            "title": "training",
                            "variables": ["TRAINING_TOKEN"],
                            "disabled": True,
                            "reason": OTHERS.format("local"),
                        }
                    ]
                },
                {"title": "local", "minLength": 1, "examples": ["local"]},
            ],
            "not": {"enum": ["training"]},
        },
    }
    assert made["ui"]["resources"] == {
        "database": {"ui:enumDisabled": ["training"]},
        "either": {"ui:enumDisabled": ["training"]},
    }


@pytest.mark.parametrize(
    ("resources", "fine"),
    [
        ({"database": "warehouse", "s3_bucket": "company-a"}, True),
        ({"either": "local"}, True),
        ({"database": "training"}, False),
        ({"either": "training"}, False),
        ({"database": "other"}, False),
        ({"more": "warehouse"}, False),
    ],
)
def test_a_validator_refuses_by_the_form_what_the_platform_forbids(
    shop: Workbench, resources: dict[str, str], fine: bool
) -> None:
    schema = form_schema(NotebookRunnerComponent, shop.root, "a.ipynb")["schema"]
    Draft202012Validator.check_schema(schema)
    found = {"notebook": "a.ipynb", "resources": resources}
    assert Draft202012Validator(schema).is_valid(found) is fine


def test_the_form_of_the_team_that_may_offers_them_all(shop: Workbench) -> None:
    made = form_schema(NotebookRunnerComponent, shop.root, "models/m.ipynb")
    assert "resources" not in made["ui"]
    assert "disabled" not in json.dumps(made["schema"]["properties"]["resources"])


def test_the_form_asks_for_the_deployment_it_is_in(
    shop: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.platform(PLATFORM.replace("teams: [models]}", "environments: [prod]}"))
    for environment, disabled in ((None, False), ("prod", False), ("dev", True)):
        if environment is not None:
            monkeypatch.setenv("DAGBOOK_ENVIRONMENT", environment)
        made = form_schema(NotebookRunnerComponent, shop.root, "a.ipynb")
        part = made["schema"]["properties"]["resources"]["properties"]["database"]
        assert ("not" in part) is disabled


def test_without_resources_to_choose_the_form_has_no_such_field(bench: Workbench) -> None:
    bench.notebook("a.ipynb", ["1"])
    made = form_schema(NotebookRunnerComponent, bench.root, "a.ipynb")
    assert "resources" not in made["schema"]["properties"]


# The launch


def grant(shop: Workbench, **attributes: Any) -> Entitlement:
    """What a launch may use, decided as it is there."""
    platform = policy_in_force(NotebookRunnerComponent, shop.root)
    written = NotebookRunnerComponent(notebook="a.ipynb", **attributes)
    component = effective(written, platform)
    request = request_of(component, project_root=shop.root, asset="a", environment="dev")
    return granted(
        Asked(component, platform, request, judge(component, request, platform))
    ).entitlement


def test_a_grant_has_what_the_run_is_entitled_to(shop: Workbench) -> None:
    platform = policy_in_force(NotebookRunnerComponent, shop.root)
    found = grant(shop, resources={"database": "warehouse", "s3_bucket": "company-a"})
    assert found == Entitlement(
        {"database": platform.connections["warehouse"]}, {"BUCKET": "company-a"}
    )
    assert grant(shop) == Entitlement()


def test_a_class_that_changes_the_request_gets_nothing_by_it(shop: Workbench) -> None:
    class Greedy(NotebookRunnerComponent):
        """Asks for more than its YAML, once that was judged."""

        def more_rules(self, request: Any, platform: Any) -> Any:
            request.attributes["resources"] = {"database": "warehouse"}
            return ()

    platform = policy_in_force(Greedy, shop.root)
    component = effective(Greedy(notebook="a.ipynb"), platform)
    request = request_of(component, project_root=shop.root, asset="a", environment="dev")
    decision = judge(component, request, platform)
    assert decision.allowed
    assert granted(Asked(component, platform, request, decision)).entitlement == Entitlement()


def test_a_launch_is_written_down_with_its_connections_and_never_a_value(
    shop: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.component("a", "notebook: a.ipynb\nresources: {database: warehouse, s3_bucket: company-a}")
    shop.component("b", "notebook: a.ipynb")
    assert shop.run("a").success
    assert shop.run("b").success
    launched = {e.asset: e.detail for e in entries(shop) if e.kind == "launched"}
    assert launched["a"]["connections"] == ["warehouse"]
    assert "connections" not in launched["b"]
    assert [(e.kind, e.asset) for e in entries(shop, "warehouse")] == [
        ("platform changed", ""), ("launched", "a"),
    ]  # fmt: skip
    assert [e.kind for e in entries(shop, "training")] == ["platform changed"]
    everything = json.dumps([entry.to_json() for entry in entries(shop)])
    assert "open-the-warehouse" not in everything
