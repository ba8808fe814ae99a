"""Who may use a connection is decided in one place, and explained."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from dagbook.errors import DagbookError
from dagbook.policy.attribute_defaults import with_defaults
from dagbook.policy.connection_choices import ConnectionChoice, connection_choices
from dagbook.policy.connections import Entitlement
from dagbook.policy.decision import Decision, Objection, Request, decide
from dagbook.policy.entitlement import NO_ENTITLEMENT, entitle
from dagbook.policy.platform import BUILT_IN_PLATFORM, Platform

Read = Callable[[str], Platform]

FILE = """\
contact: "#data-platform"
teams:
  - {folder: models/**, team: growth, contact: "#growth"}
  - {folder: sales/**, team: sales}
connections:
  warehouse: {provider: environment, key: A, variables: {DB_PASSWORD: "*"}, values: {DB_HOST: a}}
  growth_only:
    {provider: environment, key: A, variables: GROWTH_TOKEN, teams: [growth]}
  churn_only:
    {provider: environment, key: A, variables: CHURN_TOKEN, folders: [models/churn/**]}
  prod_only:
    {provider: environment, key: A, variables: PROD_TOKEN, environments: [prod, staging]}
  ended: {provider: environment, key: A, variables: OLD_TOKEN, expires: 2026-11-01}
  ends: {provider: environment, key: A, variables: SOON_TOKEN, expires: 2026-11-06}
  leaked: {provider: environment, key: A, variables: BAD_TOKEN, revoked: found in a notebook}
  replica: {provider: environment, key: A, variables: DB_PASSWORD}
resources:
  database: true
  warehouse: {connections: [warehouse, growth_only]}
  s3_bucket: {values: [company-*], variable: BUCKET}
  either: {connections: [warehouse], values: [local]}
"""
AUTUMN = datetime(2026, 11, 2, 12, tzinfo=UTC)
#: A token as its issuer makes them, put together here so that none stands in this file.
TOKEN = "ghp_" + "Ab1" * 12


def request(notebook: str = "sales/report.ipynb", **facts: Any) -> Request:
    given = {"asset": "report", "moment": AUTUMN, "environment": "prod", **facts}
    return Request(notebook, **given)


def ask(
    platform: Platform, resources: Any, notebook: str = "sales/report.ipynb", **facts: Any
) -> Decision:
    return decide(request(notebook, attributes={"resources": resources}, **facts), platform)


def only(decision: Decision) -> Objection:
    assert not decision.allowed
    assert len(decision.objections) == 1, decision.objections
    return decision.objections[0]


# Without a platform file, and with one that speaks of none


def test_without_a_platform_file_nobody_gives_connections() -> None:
    assert only(ask(BUILT_IN_PLATFORM, {"database": "warehouse"})) == Objection(
        "resources",
        ("resources", "database"),
        "warehouse",
        "",
        None,
        "`database` is not known here: connections come from the platform team, in "
        "dagbook-platform.yaml, and this project has none",
    )


def test_a_platform_file_without_resources_gives_none(platform: Read) -> None:
    found = platform("contact: '#data-platform'\n")
    assert only(ask(found, {"database": "warehouse"})).text == (
        "`database` is not known here: the platform file names no `resources`. For an exception "
        "ask #data-platform"
    )


@pytest.mark.parametrize("resources", [{}, None])
def test_without_resources_nothing_is_asked_for(platform: Read, resources: Any) -> None:
    assert ask(platform(FILE), resources).allowed
    found = request(attributes={"resources": resources})
    assert entitle(found, platform(FILE)) is NO_ENTITLEMENT


# Names


def test_an_unknown_key_gets_the_nearest_right_one(platform: Read) -> None:
    objection = only(ask(platform(FILE), {"databse": "warehouse"}))
    assert objection.text == (
        "`databse` is no resource here. Did you mean `database`? Known: database, warehouse, "
        "either, s3_bucket. For an exception ask #data-platform (dagbook-platform.yaml:17)"
    )
    assert (objection.rule, objection.loc) == ("resources", ("resources", "databse"))


def test_an_unknown_connection_gets_the_nearest_right_one(platform: Read) -> None:
    objection = only(ask(platform(FILE), {"warehouse": "warehose"}))
    assert objection == Objection(
        rule="resources.warehouse",
        loc=("resources", "warehouse"),
        value="warehose",
        allowed="",
        ask="#data-platform",
        text="there is no connection 'warehose'. Did you mean `warehouse`? Known: warehouse. For "
        "an exception ask #data-platform (dagbook-platform.yaml:19)",
    )


def test_a_connection_may_not_stand_under_another_key(platform: Read) -> None:
    objection = only(ask(platform(FILE), {"warehouse": "replica"}))
    assert objection.text == (
        "the connection 'replica' may not stand under `warehouse`. Allowed: warehouse. For an "
        "exception ask #data-platform (dagbook-platform.yaml:19)"
    )


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        (
            "s3_bucket",
            "other-data",
            "'other-data' may not stand under `s3_bucket`. Allowed: company-*. For an exception ask "
            "#data-platform (dagbook-platform.yaml:20)",
        ),
        (
            "s3_bucket",
            "warehouse",
            "the connection 'warehouse' may not stand under `s3_bucket`. Allowed: company-*. For "
            "an exception ask #data-platform (dagbook-platform.yaml:20)",
        ),
        (
            "either",
            "lcal",
            "'lcal' may not stand under `either`. Allowed: warehouse, local. For an exception ask "
            "#data-platform (dagbook-platform.yaml:21)",
        ),
        (
            "warehouse",
            "company-data",
            "there is no connection 'company-data'. Known: warehouse. For an exception ask "
            "#data-platform (dagbook-platform.yaml:19)",
        ),
    ],
)
def test_a_plain_value_may_stand_only_where_the_platform_says(
    platform: Read, key: str, value: str, text: str
) -> None:
    assert only(ask(platform(FILE), {key: value})).text == text


@pytest.mark.parametrize(
    "value", [TOKEN, "https://me:hunter2@db.example.com", "a;password=hunter2"]
)
@pytest.mark.parametrize("key", ["s3_bucket", "database", "unknown"])
def test_a_credential_is_refused_and_not_shown(platform: Read, key: str, value: str) -> None:
    objection = only(ask(platform(FILE), {key: value}))
    assert objection.text == (
        f"what stands under `{key}` looks like a credential: name a connection there, and have "
        "this credential changed, which others may have read by now. For an exception ask "
        "#data-platform (dagbook-platform.yaml:17)"
    )
    assert value not in repr(objection)


def test_what_is_no_text_is_refused(platform: Read) -> None:
    assert only(ask(platform(FILE), {"database": 3})).text == (
        "the name of a connection is wanted under `database`. For an exception ask #data-platform "
        "(dagbook-platform.yaml:17)"
    )


# Who, where, until when


@pytest.mark.parametrize(
    ("name", "rule", "text"),
    [
        (
            "growth_only",
            "connections.growth_only.teams",
            "the connection 'growth_only' is for the team growth, and sales/report.ipynb is of the "
            "team sales. Allowed: warehouse, prod_only, ends, replica. For an exception ask "
            "#data-platform (dagbook-platform.yaml:8)",
        ),
        (
            "churn_only",
            "connections.churn_only.folders",
            "the connection 'churn_only' is for notebooks in models/churn/**, and not for "
            "sales/report.ipynb. Allowed: warehouse, prod_only, ends, replica. For an exception "
            "ask #data-platform (dagbook-platform.yaml:10)",
        ),
        (
            "ended",
            "connections.ended.expires",
            "the connection 'ended' expired on 2026-11-01. Allowed: warehouse, prod_only, ends, "
            "replica. For an exception ask #data-platform (dagbook-platform.yaml:13)",
        ),
        (
            "leaked",
            "connections.leaked.revoked",
            "the connection 'leaked' is revoked: found in a notebook. Allowed: warehouse, "
            "prod_only, ends, replica. For an exception ask #data-platform "
            "(dagbook-platform.yaml:15)",
        ),
    ],
)
def test_a_connection_is_for_those_and_as_long_as_the_platform_says(
    platform: Read, name: str, rule: str, text: str
) -> None:
    objection = only(ask(platform(FILE), {"database": name}))
    assert (objection.rule, objection.loc) == (rule, ("resources", "database"))
    assert objection.text == text


def test_those_who_may_use_a_connection_do(platform: Read) -> None:
    found = platform(FILE)
    assert ask(found, {"database": "growth_only"}, "models/a.ipynb").allowed
    assert ask(found, {"database": "churn_only"}, "models/churn/a.ipynb").allowed
    assert not ask(found, {"database": "churn_only"}, "models/churn2/a.ipynb").allowed
    assert not ask(found, {"database": "growth_only"}, "elsewhere.ipynb").allowed
    last_day = datetime(2026, 11, 1, 23, 59, tzinfo=UTC)
    assert ask(found, {"database": "ended"}, moment=last_day).allowed


@pytest.mark.parametrize(
    ("environment", "text"),
    [
        (
            "dev",
            "the connection 'prod_only' is for the environment prod, staging, and this one is dev. "
            "Allowed: warehouse, ends, replica. For an exception ask #data-platform "
            "(dagbook-platform.yaml:12)",
        ),
        ("Prod", "the connection 'prod_only' is for the environment prod, staging, and this one"),
        ("prod", None),
        ("staging", None),
        # A laptop that does not say which it is: the launch decides.
        (None, None),
    ],
)
def test_a_connection_is_for_the_deployments_the_platform_names(
    platform: Read, environment: str | None, text: str | None
) -> None:
    decision = ask(platform(FILE), {"database": "prod_only"}, environment=environment)
    if text is None:
        assert decision.allowed
    else:
        assert only(decision).text.startswith(text)


@pytest.mark.parametrize(
    "claim",
    [
        {"environment": "prod"},
        {"tags": {"environment": "prod", "team": "growth"}},
        {"parameters": {"DAGBOOK_ENVIRONMENT": "prod"}},
        {"owners": ["team:growth"]},
        {"team": "growth"},
        {"resources": {"database": "prod_only", "environment": "prod"}},
    ],
)
def test_no_claim_in_yaml_changes_the_environment_or_the_team(
    platform: Read, claim: dict[str, Any]
) -> None:
    for name, rule in (("prod_only", "environments"), ("growth_only", "teams")):
        attributes = {**claim, "resources": {"database": name}}
        decision = decide(request(attributes=attributes, environment="dev"), platform(FILE))
        assert only(decision).rule == f"connections.{name}.{rule}"


def test_a_connection_that_ends_soon_is_worth_a_word(platform: Read) -> None:
    decision = ask(platform(FILE), {"database": "ends"})
    assert decision.allowed
    assert decision.warnings == ("the connection 'ends' expires on 2026-11-06",)
    early = datetime(2026, 10, 1, tzinfo=UTC)
    assert ask(platform(FILE), {"database": "ends"}, moment=early).warnings == ()


# Together


def test_two_connections_that_set_the_same_variable_are_refused_with_both_names(
    platform: Read,
) -> None:
    objection = only(ask(platform(FILE), {"warehouse": "warehouse", "database": "replica"}))
    assert objection.text == (
        "'warehouse' and 'replica' both set `DB_PASSWORD`: take one of them. For an exception ask "
        "#data-platform (dagbook-platform.yaml:18)"
    )
    assert objection.loc == ("resources", "database")
    assert ask(platform(FILE), {"warehouse": "warehouse", "database": "warehouse"}).allowed


def test_a_plain_value_and_a_connection_may_not_set_the_same_variable(platform: Read) -> None:
    found = platform(FILE.replace("variable: BUCKET", "variable: DB_HOST"))
    objection = only(ask(found, {"s3_bucket": "company-data", "database": "warehouse"}))
    assert objection.text.startswith("'company-data' and 'warehouse' both set `DB_HOST`: take one")


def test_everything_wrong_is_said_at_once(platform: Read) -> None:
    decision = ask(
        platform(FILE),
        {"database": "leaked", "s3_bucket": "x", "more": "y", "warehouse": "warehouse"},
    )
    assert [objection.loc[-1] for objection in decision.objections] == [
        "database", "s3_bucket", "more",
    ]  # fmt: skip


# The form


def test_a_form_is_offered_what_is_allowed_and_the_rest_with_its_reason(platform: Read) -> None:
    choices = connection_choices(
        platform(FILE), "sales/report.ipynb", environment="prod", moment=AUTUMN
    )
    assert list(choices) == ["database", "warehouse", "s3_bucket", "either"]
    assert choices["warehouse"] == [
        ConnectionChoice("warehouse", "", ("DB_PASSWORD", "DB_HOST"), allowed=True, reason=""),
        ConnectionChoice(
            "growth_only",
            "",
            ("GROWTH_TOKEN",),
            allowed=False,
            reason="the connection 'growth_only' is for the team growth, and sales/report.ipynb is "
            "of the team sales. Allowed: warehouse. For an exception ask #data-platform "
            "(dagbook-platform.yaml:8)",
        ),
    ]
    allowed = [choice.name for choice in choices["database"] if choice.allowed]
    assert allowed == ["warehouse", "prod_only", "ends", "replica"]
    assert choices["s3_bucket"] == []


# What a run is entitled to


def test_a_run_is_entitled_to_what_its_component_names(platform: Read) -> None:
    found = platform(FILE)
    asked = request(attributes={"resources": {"database": "warehouse", "s3_bucket": "company-a"}})
    entitlement = entitle(asked, found)
    assert entitlement == Entitlement(
        {"database": found.connections["warehouse"]}, {"BUCKET": "company-a"}
    )
    assert entitlement.names == ("warehouse",)


def test_nobody_is_entitled_to_what_is_objected_to(platform: Read) -> None:
    found = platform(FILE)
    for resources in ({"database": "leaked"}, {"more": "warehouse"}, {"s3_bucket": "x"}):
        asked = request(attributes={"resources": resources})
        with pytest.raises(DagbookError) as refused:
            entitle(asked, found)
        assert str(refused.value) == only(decide(asked, found)).text


# The login to the tracking server

TRACKED = """\
contact: "#data-platform"
tracking: {tracking_uri: "https://mlflow.example.com", connection: mlflow_prod%s}
connections:
  mlflow_prod:
    {provider: environment, key: A, variables: MLFLOW_TRACKING_TOKEN, hosts: [mlflow.example.com]%s}
  mlflow_team:
    {provider: environment, key: B, variables: MLFLOW_TRACKING_TOKEN, hosts: ["*.example.org"]}
resources:
  mlflow: {connections: [mlflow_team], values: ["https://*.example.com", "https://*.example.org"]}
  login: true
"""


def tracked(
    platform: Platform, server: str | None = None, **resources: str
) -> tuple[Decision, Request]:
    attributes: dict[str, Any] = {"resources": resources} if resources else {}
    if server is not None:
        attributes["experiment"] = {"tracking_uri": server}
    asked = request(attributes=with_defaults(attributes, platform))
    return decide(asked, platform), asked


def test_the_platforms_own_login_goes_with_every_run(platform: Read) -> None:
    found = platform(TRACKED % ("", ""))
    decision, asked = tracked(found)
    assert decision.allowed
    assert decision.warnings == ()
    assert entitle(asked, found) == Entitlement({"mlflow": found.connections["mlflow_prod"]})


@pytest.mark.parametrize(
    "server",
    [
        "https://evil.example.org",
        "https://mlflow.example.com@evil.example.org",
        "https://mlflow.example.com.evil.example.org",
        "https://evil.example.org\\@mlflow.example.com",
        "https://mlflow.example.com:x",
        "http://evil.example.org/mlflow.example.com",
    ],
)
def test_a_login_is_sent_to_no_server_that_it_is_not_bound_to(platform: Read, server: str) -> None:
    found = platform(TRACKED % ("", ""))
    decision, asked = tracked(found, server)
    assert only(decision).text == (
        f"the connection 'mlflow_prod' is bound to other hosts than that of {server}. Allowed: "
        "mlflow.example.com. For an exception ask #data-platform (dagbook-platform.yaml:5)"
    )
    assert only(decision).loc == ("experiment", "tracking_uri")
    with pytest.raises(DagbookError):
        entitle(asked, found)


def test_a_server_the_platform_allows_gets_no_login_that_is_not_for_it(platform: Read) -> None:
    found = platform(TRACKED % (', allowed_uris: ["https://mlflow-test.example.net"]', ""))
    server = "https://mlflow-test.example.net"
    decision, asked = tracked(found, server)
    assert decision.allowed
    assert decision.warnings == (
        f"runs are recorded at {server} without a login: 'mlflow_prod' is bound to other hosts",
    )
    assert entitle(asked, found) == Entitlement()
    decision, _ = tracked(found, "https://mlflow-other.example.net")
    assert [objection.rule for objection in decision.objections] == [
        "tracking.allowed_uris", "connections.mlflow_prod.hosts",
    ]  # fmt: skip


@pytest.mark.parametrize("server", ["sqlite:///mlflow.db", "./mlruns", "file:///tmp/mlruns"])
def test_a_store_that_is_a_file_gets_no_login(platform: Read, server: str) -> None:
    found = platform(TRACKED % ("", ""))
    decision, asked = tracked(found, server)
    assert decision.allowed
    assert entitle(asked, found) == Entitlement()


@pytest.mark.parametrize(
    ("limit", "rule", "text"),
    [
        (", revoked: leaked", "revoked", "is revoked: leaked"),
        (", revoked: true", "revoked", "is revoked: no reason is given"),
        (", expires: 2026-10-01", "expires", "expired on 2026-10-01"),
    ],
)
def test_a_run_is_refused_whose_login_to_the_tracking_server_ended(
    platform: Read, limit: str, rule: str, text: str
) -> None:
    found = platform(TRACKED % ("", limit))
    decision, asked = tracked(found)
    objection = only(decision)
    assert objection.rule == f"connections.mlflow_prod.{rule}"
    assert objection.text == (
        f"runs are recorded with the connection 'mlflow_prod', which {text}. For an exception ask "
        "#data-platform (dagbook-platform.yaml:5)"
    )
    with pytest.raises(DagbookError):
        entitle(asked, found)


def test_a_login_to_the_tracking_server_that_ends_soon_is_worth_a_word(platform: Read) -> None:
    found = platform(TRACKED % ("", ", expires: 2026-11-02"))
    decision, _ = tracked(found)
    assert decision.allowed
    assert decision.warnings == ("the connection 'mlflow_prod' expires on 2026-11-02",)


def test_a_notebooks_own_login_takes_the_place_of_the_platforms(platform: Read) -> None:
    found = platform(TRACKED % ("", ", revoked: leaked"))
    for key in ("mlflow", "login"):
        decision, asked = tracked(found, "https://a.example.org", **{key: "mlflow_team"})
        assert decision.allowed, decision.objections
        assert entitle(asked, found) == Entitlement({key: found.connections["mlflow_team"]})
    decision, _ = tracked(found, login="mlflow_team")
    assert only(decision).text.startswith(
        "the connection 'mlflow_team' is bound to other hosts than that of "
        "https://mlflow.example.com."
    )


def test_an_address_under_mlflow_is_the_tracking_server(platform: Read) -> None:
    found = platform(TRACKED % ("", ""))
    server = "https://mlflow.example.com"
    attributes = with_defaults({"resources": {"mlflow": server}}, found)
    assert attributes["experiment"] == {"tracking_uri": server}
    decision, asked = tracked(found, mlflow=server)
    assert decision.allowed
    assert entitle(asked, found) == Entitlement({"mlflow": found.connections["mlflow_prod"]})
    # The login is not for it, and another that is not allowed is not taken for a server.
    decision, _ = tracked(found, mlflow="https://b.example.org")
    assert only(decision).rule == "connections.mlflow_prod.hosts"
    decision, asked = tracked(found, mlflow="https://b.example.net")
    assert only(decision).rule == "resources.mlflow"
    assert "experiment" not in asked.attributes


def test_of_two_servers_that_differ_neither_is_meant(platform: Read) -> None:
    found = platform(TRACKED % ("", ""))
    decision, _ = tracked(found, "https://mlflow.example.com", mlflow="https://a.example.com")
    assert only(decision).text == (
        "'https://a.example.com' is another server than `experiment.tracking_uri`: name one of "
        "them. For an exception ask #data-platform (dagbook-platform.yaml:9)"
    )


def test_a_login_in_the_servers_address_is_refused_and_not_shown(platform: Read) -> None:
    found = platform("tracking: {allowed_uris: ['https://mlflow.example.com']}\n")
    decision, _ = tracked(found, "https://me:hunter2@mlflow.example.com")
    objection = only(decision)
    assert objection.text == (
        "the tracking server's address holds a login: leave that out, and have the platform team "
        "give the login as `tracking.connection`"
    )
    assert "hunter2" not in repr(objection)


def test_a_loose_notebook_gets_no_login(platform: Read) -> None:
    found = platform(TRACKED % ("", ", revoked: leaked"))
    assert decide(Request("a.ipynb", moment=AUTUMN), found).allowed


def test_to_decide_needs_no_yaml_and_no_forms_of_credentials() -> None:
    code = (
        "import sys, dagbook.policy.decision, dagbook.policy.entitlement\n"
        "print([n for n in ('yaml', 'dagbook.preflight.credential_patterns') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == "[]\n"
