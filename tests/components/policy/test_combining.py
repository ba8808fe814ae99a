"""A project's platform file beside that of a company package: neither loosens the other."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dagbook.errors import DagbookError
from dagbook.policy.combining import combine
from dagbook.policy.decision import Request, decide
from dagbook.policy.platform import BUILT_IN_PLATFORM, Bound, Budget, OutputRule, Platform
from dagbook.policy.platform_file import platform_from_text

Read = Callable[[str], Platform]


def package(text: str) -> Platform:
    label = "company:dagbook-platform.yaml"
    return platform_from_text(text.encode(), Path(label), label=label, in_package=True)


SIZE = "{cpus: %s, memory: %s GiB, max_run_time: %s h, gpus: %s, price_per_hour: %s%s}"


def sizes(**figures: tuple[Any, ...]) -> str:
    return "compute_sizes:\n" + "".join(
        f"  {name}: {SIZE % values}\n" for name, values in figures.items()
    )


def test_without_a_project_s_file_the_package_s_holds() -> None:
    theirs = package("contact: '#company'\n" + sizes(tiny=(1, 1, 1, 0, 2, "")))
    both = combine(BUILT_IN_PLATFORM, theirs)
    assert list(both.sizes) == ["tiny"]
    assert both.default_size == "tiny"
    assert both.contact == "#company"
    assert both.version == theirs.version
    assert both.origin_of("compute_sizes.tiny.cpus") == "company:dagbook-platform.yaml:3"


def test_without_a_package_the_project_s_holds(platform: Read) -> None:
    ours = platform("contact: a\n")
    assert combine(ours, BUILT_IN_PLATFORM) is ours


def test_sizes_are_those_in_both_with_the_smaller_figures(platform: Read) -> None:
    ours = platform(
        "teams: [{folder: a, team: x}, {folder: b, team: y}]\n"
        + sizes(
            small=(2, 8, 1, 0, 1, ""),
            large=(8, 16, 9, 2, 3, ", teams: [x, y]"),
            own=(1, 1, 1, 0, 1, ""),
        )
    )
    theirs = package(
        sizes(
            large=(16, 8, 4, 1, 5, ", teams: [y, z], default: true"),
            small=(4, 4, 2, 0, 0.5, ""),
            more=(1, 1, 1, 0, 1, ""),
        )
    )
    both = combine(ours, theirs)
    assert list(both.sizes) == ["small", "large"]
    large = both.sizes["large"]
    assert (large.cpus, large.memory_bytes // 1024**3, large.max_runtime_seconds) == (8, 8, 14400)
    assert (large.gpus, large.price_per_hour, large.teams) == (1, 5, {"y"})
    assert both.sizes["small"].teams is None
    assert both.default_size == "small"
    assert both.version not in (ours.version, theirs.version)


def test_the_package_s_sizes_replace_the_built_in_ones_only(platform: Read) -> None:
    theirs = package(sizes(tiny=(1, 1, 1, 0, 2, "")))
    assert list(combine(platform("contact: a\n"), theirs).sizes) == ["tiny"]
    ours = platform(sizes(huge=(1, 1, 1, 0, 2, "")))
    assert list(combine(ours, package("contact: a\n")).sizes) == ["huge"]


def test_no_size_in_common_is_said(platform: Read) -> None:
    ours = platform(sizes(a=(1, 1, 1, 0, 1, ""), b=(1, 1, 1, 0, 1, "")))
    with pytest.raises(DagbookError) as refused:
        combine(ours, package(sizes(c=(1, 1, 1, 0, 1, ""))))
    assert str(refused.value) == (
        "the project's platform file and that of a component's package have no compute size in "
        "common: the one has a, b, the other c"
    )


def test_prices_in_two_currencies_are_said(platform: Read) -> None:
    ours = platform("currency: EUR\n" + sizes(a=(1, 1, 1, 0, 1, "")))
    theirs = package(sizes(a=(1, 1, 1, 0, 1, "")))
    with pytest.raises(DagbookError) as refused:
        combine(ours, theirs)
    assert str(refused.value) == (
        "the project's platform file counts in EUR, that of a component's package in USD: both "
        "have to name the same `currency`"
    )
    assert combine(platform("contact: a\n"), package("currency: EUR\n")).currency == "EUR"
    assert combine(platform("currency: EUR\n"), package("contact: a\n")).currency == "EUR"


OURS = """\
contact: ours
teams: [{folder: a, team: x}]
rules:
  required_metadata: {owners: true, description: true}
  key_pattern: "[a-z/]+"
  minimum_schedule_interval: 10 min
  kernels: [python3, ir]
  folders: [a, b]
  required_checks: [one]
  maximum_retries: 5
  require_trial: false
  environment: [HOST]
budgets: {per_run: {warn_at: 5, stop_at: 30}, per_team: {x: {stop_at: 100}}}
output_limits: {per_cell: 2 MB}
tracking: {tracking_uri: https://ours, allowed_uris: ["https://**"], experiment_prefix: ours/}
defaults: {retries: 2, timeout: 60}
bounds: {timeout: {maximum: 100}}
"""
THEIRS = """\
contact: theirs
teams: [{folder: a/c, team: y}, {folder: d, team: y}]
rules:
  required_metadata: {owners: "team:.+", group: true}
  key_pattern: ".*/.*"
  minimum_schedule_interval: 20 min
  kernels: [python3, bash]
  folders: [b, c]
  required_checks: [two, one]
  maximum_retries: 3
  require_trial: true
budgets: {per_run: {warn_at: 8, stop_at: 20}, per_team: {"*": {stop_at: 40}}}
output_limits: {per_cell: 1 MB, per_notebook: 9 MB}
tracking: {tracking_uri: https://theirs, allowed_uris: ["https://ours/**", https://c], experiment_prefix: theirs/}
defaults: {retries: 1, kernel: ir}
bounds: {timeout: {minimum: 10, maximum: 200}, cost_center: {maximum: 9}}
"""


def test_of_two_rules_the_stricter_holds(platform: Read) -> None:
    both = combine(platform(OURS), package(THEIRS))
    rules = both.rules
    assert [(w.key, w.pattern) for w in rules.required_metadata] == [
        ("owners", None), ("description", None), ("owners", "team:.+"), ("group", None),
    ]  # fmt: skip
    assert rules.key_patterns == ("[a-z/]+", ".*/.*")
    assert rules.minimum_schedule_interval_seconds == 1200
    assert rules.kernels == {"python3"}
    assert rules.folders == (("a", "b"), ("b", "c"))
    assert rules.required_checks == ("one", "two")
    assert rules.maximum_retries == 3
    assert rules.require_trial is True
    assert rules.environment == {"HOST"}
    assert both.budgets.per_run == Budget(5, 20)
    assert both.budgets.of_team("x") == Budget(None, 40)
    assert both.budgets.of_team("y") == Budget(None, 40)
    assert both.outputs == OutputRule(1_000_000, 9_000_000)
    assert both.bounds == {"timeout": Bound(10, 100), "cost_center": Bound(None, 9)}
    assert [team.team for team in both.teams] == ["x", "y", "y"]
    assert (both.team_of("a/c/n") or both.teams[1]).team == "x"
    assert both.contact == "ours"
    assert both.defaults == {"retries.max": 2, "timeout": 60, "kernel": "ir"}
    assert both.tracking.tracking_uri == "https://ours"
    assert both.tracking.experiment_prefix == "ours/"


def test_each_value_comes_from_the_file_that_has_its_way(platform: Read) -> None:
    both = combine(platform(OURS), package(THEIRS))
    ours, theirs = "dagbook-platform.yaml", "company:dagbook-platform.yaml"
    assert {key: both.origin_of(key) for key in (
        "contact", "rules.maximum_retries", "output_limits.per_notebook", "budgets.per_run.warn_at",
        "budgets.per_run.stop_at", "rules.kernels", "bounds.timeout.minimum",
        "bounds.timeout.maximum", "teams.0", "teams.2", "teams.2.folder", "currency",
    )} == {
        "contact": f"{ours}:1",
        "rules.maximum_retries": f"{theirs}:10",
        "output_limits.per_notebook": f"{theirs}:13",
        "budgets.per_run.warn_at": f"{ours}:13",
        "budgets.per_run.stop_at": f"{theirs}:12",
        "rules.kernels": f"{ours}:7 and {theirs}:7",
        "bounds.timeout.minimum": f"{theirs}:16",
        "bounds.timeout.maximum": f"{ours}:17",
        "teams.0": f"{ours}:2",
        "teams.2": f"{theirs}:2",
        "teams.2.folder": f"{theirs}:2",
        "currency": None,
    }  # fmt: skip


REQUESTS = [
    Request(
        f"{folder}/n.ipynb",
        asset=asset,
        component_type="company.Notebook",
        kernel=kernel,
        checks=checks,
        shortest_interval_seconds=interval,
        scheduled=True,
        tried=tried,
        attributes={"retries": retries, "timeout": timeout, **metadata,
                    "experiment": {"tracking_uri": uri}},
        moment=datetime(2026, 11, 2, tzinfo=UTC),
    )
    for folder, asset, kernel, checks, (interval, tried), (retries, timeout), metadata, uri
    in itertools.product(
        ("a", "b", "c"),
        ("x", "x/y"),
        ("python3", "ir"),
        (["one"], ["one", "two"]),
        ((900, True), (1800, False), (1800, True)),
        ((4, 50), (3, 150), (3, 5), (2, 20)),
        ({}, {"owners": ["me"], "description": "d", "group": "g"},
         {"owners": ["team:x"], "description": "d", "group": "g"}),
        ("https://ours/a", "https://c"),
    )
]  # fmt: skip


def test_nothing_is_allowed_together_that_one_forbids(platform: Read) -> None:
    ours, theirs = platform(OURS), package(THEIRS)
    both = combine(ours, theirs)
    allowed = 0
    for request in REQUESTS:
        alone = decide(request, ours).allowed and decide(request, theirs).allowed
        together = decide(request, both).allowed
        assert together is alone, request
        allowed += together
    assert 0 < allowed < len(REQUESTS)


def test_runs_that_name_no_server_go_to_none_that_the_other_file_forbids(platform: Read) -> None:
    ours = platform("tracking: {tracking_uri: 'http://mine:5000'}\n")
    theirs = package("tracking: {allowed_uris: ['http://ok:5000']}\n")
    (objection,) = decide(Request("a.ipynb", asset="a"), combine(ours, theirs)).objections
    assert objection.text == (
        "runs may not be recorded at http://mine:5000. Allowed: http://ok:5000 "
        "(company:dagbook-platform.yaml:1)"
    )
    assert decide(Request("a.ipynb", asset="a"), ours).allowed


def test_bounds_that_leave_nothing_are_said(platform: Read) -> None:
    with pytest.raises(DagbookError) as refused:
        combine(
            platform("bounds: {timeout: {minimum: 9}}\n"),
            package("bounds: {timeout: {maximum: 5}}\n"),
        )
    assert str(refused.value) == (
        "the project's platform file and that of a component's package leave nothing for "
        "`timeout`: at least 9 and at most 5"
    )


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("approvals: [{asset: a, size: small, until: 2026-12-31, by: b}]", "approvals"),
        ("rules: {component_types: [a.B]}", "rules.component_types"),
        ("rules: {environment: [A]}", "rules.environment"),
        ("rules: {template_names: [a]}", "rules.template_names"),
        ("rules: {template_vars_modules: [a]}", "rules.template_vars_modules"),
        ("rules: {post_processing: true}", "rules.post_processing"),
        ("rules: {python_below_defs: false}", "rules.python_below_defs"),
    ],
)
def test_what_is_about_one_project_has_no_effect_in_a_package(text: str, key: str) -> None:
    with pytest.raises(DagbookError) as refused:
        package(text)
    assert str(refused.value) == (
        f"company:dagbook-platform.yaml:1:{key}: has no effect here: it is about one project, so "
        "it belongs in the project's own file"
    )


def test_a_package_may_name_teams_that_only_projects_know() -> None:
    found = package(sizes(a=(1, 1, 1, 0, 1, ", teams: [growth]")))
    assert found.sizes["a"].teams == {"growth"}


def test_a_package_may_say_something_of_attributes_of_its_own(platform: Read) -> None:
    found = package(
        "defaults: {cost_center: '4711', review: {days: 30}}\n"
        "bounds: {review.days: {maximum: 90}}\n"
    )
    assert found.defaults == {"cost_center": "4711", "review.days": 30}
    assert found.bounds == {"review.days": Bound(None, 90)}
    objections = decide(Request("a", attributes={"review": {"days": 91}}), found).objections
    assert [o.text for o in objections] == [
        "91 is too much for `review.days`. Allowed: at most 90 (company:dagbook-platform.yaml:2)"
    ]
    with pytest.raises(DagbookError) as refused:
        package("defaults: {retries: {mx: 3}}\n")
    assert "defaults.retries.mx: `retries.mx` is no attribute of this kind." in str(refused.value)
