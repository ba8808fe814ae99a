"""What a platform allows is decided in one place, and explained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from dagbook.policy.decision import Decision, Objection, Request, decide, options
from dagbook.policy.platform import BUILT_IN_PLATFORM, Platform

Read = Callable[[str], Platform]

FILE = """\
contact: "#data-platform"
compute_sizes:
  small: {cpus: 2, memory: 4 GiB, max_run_time: 1 h, price_per_hour: 0.1}
  medium: {cpus: 4, memory: 16 GiB, max_run_time: 4 h, price_per_hour: 0.4}
  gpu: {cpus: 8, memory: 32 GiB, max_run_time: 8 h, gpus: 1, price_per_hour: 3, teams: [growth, ml]}
teams:
  - {folder: models/**, team: growth, contact: "#growth"}
  - {folder: sales/**, team: sales}
  - {folder: ml/**, team: ml}
approvals:
  - {asset: yearly, size: gpu, budget: 70, until: 2026-12-31, by: someone@example.com}
  - {asset: old, size: gpu, until: 2026-06-30, by: someone@example.com}
  - {asset: old, size: gpu, until: 2026-09-30, by: another@example.com}
  - {asset: spent, budget: 70, until: 2026-09-30, by: someone@example.com}
budgets: {per_run: {stop_at: 20}}
"""
AUTUMN = datetime(2026, 11, 2, 12, tzinfo=UTC)


def ask(platform: Platform, notebook: str = "sales/report.ipynb", **facts: Any) -> Decision:
    facts.setdefault("moment", AUTUMN)
    return decide(Request(notebook, **facts), platform)


def component(platform: Platform, notebook: str = "sales/report.ipynb", **facts: Any) -> Decision:
    facts.setdefault("asset", "report")
    facts.setdefault("component_type", "dagbook.NotebookRunnerComponent")
    return ask(platform, notebook, **facts)


def only(decision: Decision) -> Objection:
    assert not decision.allowed
    assert len(decision.objections) == 1, decision.objections
    return decision.objections[0]


# Without a file


def test_the_defaults_forbid_nothing_that_is_known() -> None:
    for size in BUILT_IN_PLATFORM.sizes.values():
        decision = ask(BUILT_IN_PLATFORM, attributes={"compute_size": size.name, "retries": 100})
        assert decision.allowed
        assert decision == Decision("built-in", team=None, size=size, run_budget=None)


def test_without_a_size_the_default_is_meant() -> None:
    for attributes in ({}, {"compute_size": None}):
        decision = ask(BUILT_IN_PLATFORM, attributes=attributes)
        assert decision.size is not None and decision.size.name == "small"


def test_an_unknown_size_is_objected_to_without_a_file_too() -> None:
    decision = ask(BUILT_IN_PLATFORM, attributes={"compute_size": "larg"})
    assert decision.size is None
    assert only(decision) == Objection(
        "compute_sizes",
        ("compute_size",),
        "larg",
        "",
        None,
        "compute size 'larg' does not exist. Did you mean `large`? Known: large, gpu_large, small, "
        "gpu_medium, medium",
    )


def test_more_time_than_the_size_has_is_objected_to_without_a_file_too() -> None:
    objection = only(ask(BUILT_IN_PLATFORM, attributes={"limits": {"max_runtime_hours": 2}}))
    assert objection.text == (
        "2 h is more than the size small (2 CPU, 4 GiB, 1 h) allows. Allowed: a larger size or at "
        "most 1"
    )
    assert (objection.rule, objection.loc) == (
        "compute_sizes.small.max_run_time",
        ("limits", "max_runtime_hours"),
    )


# Sizes and teams


def test_a_size_for_other_teams_is_objected_to_with_what_is_allowed_and_whom_to_ask(
    platform: Read,
) -> None:
    decision = ask(platform(FILE), attributes={"compute_size": "gpu"})
    assert only(decision) == Objection(
        rule="compute_sizes.gpu.teams",
        loc=("compute_size",),
        value="gpu",
        allowed="small, medium",
        ask="#data-platform",
        text="compute size 'gpu' is for the teams growth, ml, and sales/report.ipynb is of the "
        "team sales. Allowed: small, medium. For an exception ask #data-platform "
        "(dagbook-platform.yaml:5)",
    )
    # What is refused is bound all the same.
    assert decision.size is not None and decision.size.name == "gpu"


def test_a_size_for_no_team_in_common_is_for_nobody(platform: Read) -> None:
    found = platform(FILE)
    sizes = {**found.sizes, "gpu": replace(found.sizes["gpu"], teams=frozenset())}
    objection = only(ask(replace(found, sizes=sizes), attributes={"compute_size": "gpu"}))
    assert objection.text.startswith("compute size 'gpu' is for nobody, and sales/report.ipynb is")


def test_a_team_that_may_use_a_size_does(platform: Read) -> None:
    decision = ask(platform(FILE), "models/a.ipynb", attributes={"compute_size": "gpu"})
    assert decision.allowed
    assert decision.team is not None
    assert (decision.team.team, decision.team.contact) == ("growth", "#growth")


@pytest.mark.parametrize(
    "claim",
    [
        {"owners": ["team:growth"]},
        {"tags": {"team": "growth"}},
        {"group": "growth"},
        {"team": "growth"},
        {"description": "of team growth"},
        {"parameters": {"team": "growth"}},
    ],
)
def test_no_claim_in_yaml_makes_a_notebook_another_team_s(
    platform: Read, claim: dict[str, Any]
) -> None:
    decision = component(platform(FILE), attributes={"compute_size": "gpu", **claim})
    assert only(decision).rule == "compute_sizes.gpu.teams"
    assert decision.team is not None and decision.team.team == "sales"


@pytest.mark.parametrize(
    "notebook",
    ["sales/../models/a.ipynb", "/models/a.ipynb", "../models/a.ipynb", "Models/a.ipynb"],
)
def test_no_way_of_writing_a_path_makes_a_notebook_another_team_s(
    platform: Read, notebook: str
) -> None:
    decision = ask(platform(FILE), notebook, attributes={"compute_size": "gpu"})
    assert only(decision).text == (
        f"compute size 'gpu' is for the teams growth, ml, and {notebook} is of no team. Allowed: "
        "small, medium. For an exception ask #data-platform (dagbook-platform.yaml:5)"
    )


def test_the_team_s_own_contact_is_asked_before_the_platform_s(platform: Read) -> None:
    decision = ask(platform(FILE), "models/a.ipynb", attributes={"compute_size": "huge"})
    assert only(decision).ask == "#growth"
    assert only(decision).text == (
        "compute size 'huge' does not exist. Known: gpu, medium, small. For an exception ask "
        "#growth (dagbook-platform.yaml:2)"
    )


# Approvals


def test_an_approval_lets_one_asset_use_a_size(platform: Read) -> None:
    gpu = {"compute_size": "gpu"}
    allowed = platform(FILE)
    assert component(allowed, asset="yearly", attributes=gpu).allowed
    assert not component(allowed, asset="yearly2", attributes=gpu).allowed
    assert not ask(allowed, asset=None, attributes=gpu).allowed


@pytest.mark.parametrize(
    ("moment", "holds"),
    [
        (datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC), True),
        (datetime(2027, 1, 1, tzinfo=UTC), False),
        # Still the last day in UTC.
        (datetime(2027, 1, 1, 5, tzinfo=timezone(timedelta(hours=9))), True),
        (datetime(2026, 12, 31, 23, tzinfo=timezone(timedelta(hours=-5))), False),
    ],
)
def test_an_approval_holds_on_its_last_day(platform: Read, moment: datetime, holds: bool) -> None:
    attributes = {"compute_size": "gpu"}
    decision = component(platform(FILE), asset="yearly", attributes=attributes, moment=moment)
    assert decision.allowed is holds
    assert decision.run_budget == (70 if holds else 20)


def test_an_approval_that_ended_is_named(platform: Read) -> None:
    decision = component(platform(FILE), asset="old", attributes={"compute_size": "gpu"})
    assert only(decision).text == (
        "compute size 'gpu' is for the teams growth, ml, and sales/report.ipynb is of the team "
        "sales; the approval by another@example.com ended on 2026-09-30. Allowed: small, medium. "
        "For an exception ask #data-platform (dagbook-platform.yaml:5)"
    )


@pytest.mark.parametrize(("day", "warned"), [(23, False), (24, True), (31, True)])
def test_an_approval_that_ends_within_a_week_is_worth_a_warning(
    platform: Read, day: int, warned: bool
) -> None:
    moment = datetime(2026, 12, day, tzinfo=UTC)
    attributes = {"compute_size": "gpu"}
    decision = component(platform(FILE), asset="yearly", attributes=attributes, moment=moment)
    assert decision.allowed
    text = (
        "the approval of the size 'gpu' and 70 USD per run for yearly by someone@example.com ends "
        "on 2026-12-31"
    )
    assert decision.warnings == ((text,) if warned else ())


def test_an_approved_budget_stands_in_place_of_the_platform_s(platform: Read) -> None:
    found = platform(FILE)
    assert component(found, asset="yearly").run_budget == 70
    assert component(found, asset="report").run_budget == 20
    ended = component(found, asset="spent")
    assert ended.run_budget == 20
    assert ended.warnings == (
        "the approval of 70 USD per run for spent by someone@example.com ended on 2026-09-30",
    )


def test_budgets_that_count_nothing_are_said_so(platform: Read) -> None:
    decision = ask(platform("contact: a\nbudgets: {per_run: {stop_at: 3}}\n"))
    assert decision.allowed
    assert decision.warnings == (
        "budgets count nothing: no compute size has a `price_per_hour` (dagbook-platform.yaml:2)",
    )


# Bounds


BOUNDS = """\
bounds:
  limits.max_runtime_hours: {minimum: 0.1, maximum: 2}
  retries: {maximum: 3}
  timeout: {maximum: 600}
"""


@pytest.mark.parametrize(
    ("attributes", "rule", "loc", "text"),
    [
        (
            {"compute_size": "large", "limits": {"max_runtime_hours": 3}},
            "bounds.limits.max_runtime_hours.maximum",
            ("limits", "max_runtime_hours"),
            "3 is too much for `limits.max_runtime_hours`. Allowed: at most 2 "
            "(dagbook-platform.yaml:2)",
        ),
        (
            {"limits": {"max_runtime_hours": 0.05}},
            "bounds.limits.max_runtime_hours.minimum",
            ("limits", "max_runtime_hours"),
            "0.05 is too little for `limits.max_runtime_hours`. Allowed: at least 0.1 "
            "(dagbook-platform.yaml:2)",
        ),
        (
            {"retries": 4},
            "bounds.retries.max.maximum",
            ("retries",),
            "4 is too much for `retries.max`. Allowed: at most 3 (dagbook-platform.yaml:3)",
        ),
        (
            {"retries": {"max": 4}},
            "bounds.retries.max.maximum",
            ("retries", "max"),
            "4 is too much for `retries.max`. Allowed: at most 3 (dagbook-platform.yaml:3)",
        ),
        (
            {"timeout": 601},
            "bounds.timeout.maximum",
            ("timeout",),
            "601 is too much for `timeout`. Allowed: at most 600 (dagbook-platform.yaml:4)",
        ),
    ],
)
def test_a_number_outside_its_bounds_is_objected_to(
    platform: Read, attributes: dict[str, Any], rule: str, loc: tuple[str, ...], text: str
) -> None:
    objection = only(ask(platform(BOUNDS), attributes=attributes))
    assert (objection.rule, objection.loc, objection.text) == (rule, loc, text)


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"retries": 3, "timeout": 600, "limits": {"max_runtime_hours": 1}},
        {"retries": None, "limits": None, "timeout": None},
        {"limits": {"max_runtime_hours": None}},
    ],
)
def test_what_lies_on_its_bounds_or_is_left_out_is_fine(
    platform: Read, attributes: dict[str, Any]
) -> None:
    assert ask(platform(BOUNDS), attributes=attributes).allowed


def test_a_notebook_that_asks_for_no_time_gets_no_more_than_the_bound(platform: Read) -> None:
    decision = ask(platform(BOUNDS), attributes={"compute_size": "large"})
    assert decision.size is not None
    assert decision.size.max_runtime_seconds == 2 * 3600
    small = ask(platform(BOUNDS), attributes={"compute_size": "small"})
    assert small.size is BUILT_IN_PLATFORM.sizes["small"]


# Rules


def test_missing_metadata_is_objected_to(platform: Read) -> None:
    found = platform(
        r"""
        rules:
          required_metadata:
            owners: team:.+
            description: true
            tags.classification: {pattern: public|secret, help: public or secret}
            group: {help: see the wiki}
        """
    )
    decision = component(found, attributes={})
    assert [o.text for o in decision.objections] == [
        "`owners` is missing: every component has to give it. Allowed: text that fits team:.+ "
        "(dagbook-platform.yaml:4)",
        "`description` is missing: every component has to give it (dagbook-platform.yaml:5)",
        "`tags.classification` is missing: every component has to give it. Allowed: public or "
        "secret (dagbook-platform.yaml:6)",
        "`group` is missing: every component has to give it. Allowed: see the wiki "
        "(dagbook-platform.yaml:7)",
    ]
    assert [o.loc for o in decision.objections] == [
        ("owners",),
        ("description",),
        ("tags", "classification"),
        ("group",),
    ]
    good = {
        "owners": ["team:growth", "team:sales"],
        "description": "What it does",
        "tags": {"classification": "public"},
        "group": "g",
    }
    assert component(found, attributes=good).allowed
    # Somebody who runs a notebook by hand describes nothing.
    assert ask(found).allowed
    one_wrong = component(found, attributes={**good, "owners": ["team:growth", "me"]})
    assert only(one_wrong).text == (
        "`owners` is 'me', which is not of the form wanted here. Allowed: text that fits team:.+ "
        "(dagbook-platform.yaml:4)"
    )
    # The whole text has to fit.
    inside = component(found, attributes={**good, "tags": {"classification": "not public"}})
    assert only(inside).value == "not public"


@pytest.mark.parametrize("empty", ["", "   ", [], [""], None, False])
def test_metadata_that_says_nothing_is_missing(platform: Read, empty: Any) -> None:
    found = platform("rules: {required_metadata: {description: true}}\n")
    assert not component(found, attributes={"description": empty}).allowed


def test_a_long_text_is_not_held_against_a_pattern(platform: Read) -> None:
    found = platform("rules: {required_metadata: {description: '(.*x)*+y'}}\n")
    objection = only(component(found, attributes={"description": "x" * 2001}))
    assert objection.text == (
        "`description` is longer than 2,000 characters. Allowed: text that fits (.*x)*+y "
        "(dagbook-platform.yaml:1)"
    )


def test_a_key_of_another_form_is_objected_to(platform: Read) -> None:
    found = platform('rules: {key_pattern: "[a-z]+/[a-z_]+"}\n')
    assert component(found, asset="growth/churn").allowed
    objection = only(component(found, asset="Churn"))
    assert (objection.rule, objection.loc, objection.value) == (
        "rules.key_pattern",
        ("key",),
        "Churn",
    )
    assert objection.text == (
        "the asset's key 'Churn' is not of the form that keys have here. Allowed: keys that fit "
        "[a-z]+/[a-z_]+ (dagbook-platform.yaml:1)"
    )


def test_a_schedule_that_comes_due_too_often_is_objected_to(platform: Read) -> None:
    found = platform("rules: {minimum_schedule_interval: 15 min}\n")
    for seconds in (900, 86_400, None):
        assert component(found, shortest_interval_seconds=seconds).allowed
    attributes = {"schedule": {"cron": "*/5 * * * *"}}
    objection = only(component(found, shortest_interval_seconds=300, attributes=attributes))
    assert (objection.loc, objection.value) == (("schedule", "cron"), "*/5 * * * *")
    assert objection.text == (
        "the schedule comes due every 5 min, which is too often. Allowed: every 15 min or less "
        "often (dagbook-platform.yaml:1)"
    )
    short = {"schedule": "*/5 * * * *"}
    assert only(component(found, shortest_interval_seconds=300, attributes=short)).loc == (
        "schedule",
    )


def test_a_kernel_that_is_not_allowed_is_objected_to(platform: Read) -> None:
    found = platform("rules: {kernels: [python3, ir]}\n")
    assert ask(found, kernel="ir").allowed
    assert ask(found, kernel=None).allowed
    objection = only(ask(found, kernel="bash"))
    assert (objection.rule, objection.loc) == ("rules.kernels", ("notebook",))
    assert objection.text == (
        "the kernel 'bash' is not allowed. Allowed: ir, python3 (dagbook-platform.yaml:1)"
    )
    assert only(ask(found, kernel="bash", attributes={"kernel": "bash"})).loc == ("kernel",)


def test_a_component_s_notebook_elsewhere_is_objected_to(platform: Read) -> None:
    found = platform("rules: {folders: [models/**, reports]}\n")
    assert component(found, "reports/a/b.ipynb").allowed
    assert ask(found, "scratch/a.ipynb").allowed
    objection = only(component(found, "scratch/a.ipynb"))
    assert (objection.rule, objection.loc) == ("rules.folders", ("notebook",))
    assert objection.text == (
        "scratch/a.ipynb lies where notebooks of components may not. Allowed: models/**, reports "
        "(dagbook-platform.yaml:1)"
    )


def test_a_component_type_that_is_not_allowed_is_objected_to(platform: Read) -> None:
    found = platform("rules: {component_types: [company.Notebook]}\n")
    assert component(found, component_type="company.Notebook").allowed
    assert ask(found).allowed
    objection = only(component(found))
    assert objection.loc == ()
    assert objection.text == (
        "the component type dagbook.NotebookRunnerComponent is not allowed. Allowed: "
        "company.Notebook (dagbook-platform.yaml:1)"
    )


def test_a_notebook_without_the_required_checks_is_objected_to(platform: Read) -> None:
    found = platform("rules: {required_checks: [rows_positive, no_nulls]}\n")
    assert component(found, checks=["no_nulls", "more", "rows_positive"]).allowed
    assert component(found, checks=None).allowed
    assert only(component(found, checks=["no_nulls"])).text == (
        "the notebook lacks the check `rows_positive` (dagbook-platform.yaml:1)"
    )
    assert only(component(found, checks=[])).text == (
        "the notebook lacks the checks `rows_positive`, `no_nulls` (dagbook-platform.yaml:1)"
    )


@pytest.mark.parametrize(
    ("retries", "loc"),
    [
        (2, ("retries",)),
        ({"max": 2}, ("retries", "max")),
        ({"max": 9, "on": ["error"]}, ("retries", "max")),
    ],
)
def test_too_many_retries_are_objected_to(
    platform: Read, retries: Any, loc: tuple[str, ...]
) -> None:
    found = platform("rules: {maximum_retries: 1}\n")
    objection = only(ask(found, attributes={"retries": retries}))
    assert objection.loc == loc
    number = retries if isinstance(retries, int) else retries["max"]
    assert objection.text == (
        f"{number} retries are too many. Allowed: at most 1 (dagbook-platform.yaml:1)"
    )


@pytest.mark.parametrize("retries", [None, 0, {"max": 0}])
def test_no_retries_are_never_too_many(platform: Read, retries: Any) -> None:
    assert ask(platform("rules: {maximum_retries: 0}\n"), attributes={"retries": retries}).allowed


def test_retries_without_a_number_mean_one(platform: Read) -> None:
    attributes = {"retries": {"on": ["error"]}}
    assert ask(platform("rules: {maximum_retries: 1}\n"), attributes=attributes).allowed
    objection = only(ask(platform("rules: {maximum_retries: 0}\n"), attributes=attributes))
    assert (objection.loc, objection.value) == (("retries",), 1)


def test_a_schedule_launches_only_what_was_tried(platform: Read) -> None:
    found = platform("rules: {require_trial: true}\n")
    objection = only(component(found, scheduled=True, tried=False))
    assert (objection.rule, objection.loc) == ("rules.require_trial", ("schedule",))
    assert objection.text == (
        "sales/report.ipynb has not yet run well as it is now: run it once by hand, after that its "
        "schedule may (dagbook-platform.yaml:1)"
    )
    for scheduled, tried in ((True, True), (True, None), (False, False)):
        assert component(found, scheduled=scheduled, tried=tried).allowed
    assert component(BUILT_IN_PLATFORM, scheduled=True, tried=False).allowed


TRACKING = """\
tracking:
  tracking_uri: https://mlflow.example.com
  allowed_uris: [https://test.example.com/mlflow/, "https://*.lab.example.com"]
"""


@pytest.mark.parametrize(
    "uri",
    [
        "https://mlflow.example.com",
        "https://mlflow.example.com/",
        "https://mlflow.example.com/team",
        "https://test.example.com/mlflow",
        "https://test.example.com/mlflow/a",
        "https://a.lab.example.com",
    ],
)
def test_a_tracking_server_that_is_allowed(platform: Read, uri: str) -> None:
    attributes = {"experiment": {"tracking_uri": uri}}
    assert component(platform(TRACKING), attributes=attributes).allowed


@pytest.mark.parametrize(
    "uri",
    [
        "http://mlflow.example.com",
        "https://mlflow.example.com.other.com",
        "https://mlflow.example.com@other.com",
        "https://other.com?x=.lab.example.com",
        "https://other.com#.lab.example.com",
        "https://other.com\\.lab.example.com",
        "https://test.example.com/mlflow/../other",
        "https://test.example.com/mlflow2",
        "https://lab.example.com",
        "sqlite:///mlflow.db",
        "/tmp/mlruns",
    ],
)
def test_a_tracking_server_that_is_not_allowed_is_objected_to(platform: Read, uri: str) -> None:
    attributes = {"experiment": {"tracking_uri": uri}}
    objection = only(component(platform(TRACKING), attributes=attributes))
    assert objection.loc == ("experiment", "tracking_uri")
    assert objection.text == (
        f"runs may not be recorded at {uri}. Allowed: https://test.example.com/mlflow/, "
        "https://*.lab.example.com, https://mlflow.example.com (dagbook-platform.yaml:3)"
    )


def test_without_allowed_servers_any_is_allowed(platform: Read) -> None:
    found = platform("tracking: {tracking_uri: https://mlflow.example.com}\n")
    assert component(found, attributes={"experiment": {"tracking_uri": "sqlite:///x"}}).allowed


def test_every_objection_is_one_line_and_all_are_given(platform: Read) -> None:
    found = platform(FILE + BOUNDS + "rules: {kernels: [python3], maximum_retries: 1}\n")
    decision = component(
        found,
        kernel="two\nlines\x1b[2J",
        attributes={"compute_size": "gpu", "retries": 9, "timeout": 9000},
    )
    assert [o.rule for o in decision.objections] == [
        "compute_sizes.gpu.teams",
        "bounds.retries.max.maximum",
        "bounds.timeout.maximum",
        "rules.kernels",
        "rules.maximum_retries",
    ]
    assert [o.text for o in decision.objections if not o.text.isprintable()] == []


# A company's own rules


def no_reports(request: Request, platform: Platform) -> Iterator[Objection]:
    if "report" in request.notebook:
        yield Objection(
            "company", ("notebook",), request.notebook, "", platform.contact, "no reports"
        )


def test_a_company_s_rule_can_object(platform: Read) -> None:
    request = Request("sales/report.ipynb", attributes={"compute_size": "gpu"})
    decision = decide(request, platform(FILE), [no_reports])
    assert [o.rule for o in decision.objections] == ["compute_sizes.gpu.teams", "company"]
    assert decide(Request("sales/a.ipynb"), platform(FILE), [no_reports]).allowed


@pytest.mark.parametrize("nothing", [None, [], ()])
def test_a_company_s_rule_takes_no_objection_away(platform: Read, nothing: Any) -> None:
    request = Request("sales/report.ipynb", attributes={"compute_size": "gpu"})
    decision = decide(request, platform(FILE), [lambda request, platform: nothing])
    assert only(decision).rule == "compute_sizes.gpu.teams"


def test_a_company_s_rule_changes_nothing_of_what_was_judged(platform: Read) -> None:
    def larger(request: Request, platform: Platform) -> list[Objection]:
        request.attributes["compute_size"] = "gpu"  # type: ignore[index]
        return []

    request = Request("sales/report.ipynb", attributes={"compute_size": "small"})
    decision = decide(request, platform(FILE), [larger])
    assert decision.allowed and decision.size is not None
    assert decision.size.name == "small"


def test_a_company_s_rule_that_fails_is_not_passed_over(platform: Read) -> None:
    def broken(request: Request, platform: Platform) -> Iterator[Objection]:
        raise KeyError("x")
        yield

    with pytest.raises(KeyError):
        decide(Request("a.ipynb"), platform(FILE), [broken])
    with pytest.raises(TypeError) as refused:
        decide(Request("a.ipynb"), platform(FILE), [lambda request, platform: ["no"]])  # type: ignore[list-item]
    assert str(refused.value).endswith("gave 'no': a rule gives objections and nothing else")


# The form's choices


def test_a_forbidden_size_is_offered_with_the_reason(platform: Read) -> None:
    choices = options(platform(FILE), "sales/report.ipynb", moment=AUTUMN)
    assert [(c.name, c.allowed, c.is_default, c.price_per_hour) for c in choices] == [
        ("small", True, True, 0.1),
        ("medium", True, False, 0.4),
        ("gpu", False, False, 3),
    ]
    assert choices[0].label == "small (2 CPU, 4 GiB, 1 h)"
    assert (choices[0].reason, choices[2].reason) == (
        "",
        "compute size 'gpu' is for the teams growth, ml, and sales/report.ipynb is of the team "
        "sales. Allowed: small, medium. For an exception ask #data-platform "
        "(dagbook-platform.yaml:5)",
    )


def test_what_was_approved_is_offered(platform: Read) -> None:
    found = platform(FILE)
    assert all(c.allowed for c in options(found, "sales/a.ipynb", asset="yearly", moment=AUTUMN))
    later = AUTUMN + timedelta(days=100)
    assert not all(c.allowed for c in options(found, "sales/a.ipynb", asset="yearly", moment=later))


def test_a_size_is_offered_with_the_time_it_really_has(platform: Read) -> None:
    labels = [choice.label for choice in options(platform(BOUNDS), "a.ipynb")]
    assert labels[:3] == [
        "small (2 CPU, 4 GiB, 1 h)",
        "medium (4 CPU, 16 GiB, 2 h)",
        "large (16 CPU, 64 GiB, 2 h)",
    ]
