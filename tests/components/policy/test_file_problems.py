"""Everything that can be wrong in a platform file, each with its line and key."""

from __future__ import annotations

from collections.abc import Callable

import jsonschema
import pytest

from dagbook.policy.file_keys import platform_schema
from dagbook.safe_yaml.parsing import parse
from dagbook.safe_yaml.rules import ScreeningRules

Problems = Callable[[str], list[str]]

SIZE = "{cpus: 1, memory: 1 GiB, max_run_time: 1 h"

#: What stands in the file, and what is said of it without the file's name.
WRONG = [
    # keys
    (
        "contct: a",
        "1:contct: unknown key. Did you mean `contact`? Known: contact, connections, currency, "
        "bounds, compute_sizes, output_limits, tracking, teams, …",
    ),
    ("3: a", "1: the key 3 is no text to YAML: write it in quotes"),
    ("on: a", "1: the key True is no text to YAML: write it in quotes"),
    ("contact: a\ncontact: b", "2: `contact` is written twice, first in line 1"),
    ("[contact, a]", "1: names with values are wanted, not a list"),
    ("hello", "1: names with values are wanted, not 'hello'"),
    # contact, currency
    ("contact:", "1:contact: text is wanted, not nothing"),
    ("contact: ''", "1:contact: is empty: give a value or take the key out"),
    ("contact: 3", "1:contact: text is wanted, not 3: write it in quotes"),
    ("contact: no", "1:contact: text is wanted, not False: write it in quotes"),
    ("contact: [a]", "1:contact: text is wanted, not a list"),
    ("contact: " + "a" * 1001, "1:contact: is longer than 1,000 characters"),
    ("currency: euro", "1:currency: 'euro' cannot be used: write its three letters, such as EUR"),
    # compute_sizes
    ("compute_sizes:", "1:compute_sizes: names with values are wanted, not nothing"),
    ("compute_sizes: {}", "1:compute_sizes: is empty: give a value or take the key out"),
    ("compute_sizes: {s: 3}", "1:compute_sizes.s: names with values are wanted, not 3"),
    (
        f"compute_sizes:\n  'a b': {SIZE}}}",
        "2:compute_sizes.a b: 'a b' cannot be used as a name: use at most 63 letters, digits, _, "
        "- and ., the first a letter or digit",
    ),
    (
        "compute_sizes:\n  s: {memory: 1 GiB, max_run_time: 1 h}",
        "2:compute_sizes.s.cpus: is missing",
    ),
    ("compute_sizes:\n  s: {cpus: 1, max_run_time: 1 h}", "2:compute_sizes.s.memory: is missing"),
    (
        "compute_sizes:\n  s: {cpus: 1, memory: 1 GiB}",
        "2:compute_sizes.s.max_run_time: is missing",
    ),
    (
        f"compute_sizes:\n  s: {SIZE}, cpu: 3}}",
        "2:compute_sizes.s.cpu: unknown key. Did you mean `cpus`? Known: cpus, gpus, "
        "price_per_hour, description, default, max_run_time, grace_seconds, memory, …",
    ),
]

IN_A_SIZE = [
    ("cpus", "0", "at least 1 is wanted, not 0"),
    ("cpus", "2.5", "a whole number is wanted, not 2.5"),
    ("cpus", "many", "a whole number is wanted, not 'many'"),
    ("cpus", "true", "a whole number is wanted, not True"),
    ("cpus", "5000", "at most 4,096 is wanted, not 5000"),
    ("memory", "16", "16 has no unit: write it like 16 GiB"),
    ("memory", "16 G", "'16 G' cannot be read: write it like 16 GiB"),
    ("memory", "1 MB", "at least 64 MiB is wanted, not 1 MB"),
    ("memory", "5000 TiB", "at most 1024 TiB is wanted, not 5000 TiB"),
    ("memory", "[1 GiB]", "16 GiB is wanted, not a list"),
    ("max_run_time", "4", "4 has no unit: write it like 4 h"),
    ("max_run_time", "4 x", "'4 x' cannot be read: write it like 4 h"),
    ("max_run_time", "0 s", "at least 1 s is wanted, not 0 s"),
    ("max_run_time", "400 d", "at most 366 d is wanted, not 400 d"),
    ("max_run_time", "true", "4 h is wanted, not True"),
    ("gpus", "-1", "at least 0 is wanted, not -1"),
    ("grace_seconds", "5 s", "a number is wanted, not '5 s'"),
    ("grace_seconds", "4000", "at most 3,600 is wanted, not 4000"),
    ("price_per_hour", "-0.1", "at least 0 is wanted, not -0.1"),
    ("price_per_hour", "1000001", "at most 1,000,000 is wanted, not 1000001"),
    ("price_per_hour", ".nan", "a number is wanted, not nan"),
    ("description", "[a]", "text is wanted, not a list"),
    ("default", "1", "true or false is wanted, not 1"),
    ("teams", "growth", "a list is wanted, not 'growth'"),
    ("teams", "[]", "is empty: give at least one, or take the key out"),
]

WRONG += [
    (
        "teams: [{folder: x, team: growth}]\ncompute_sizes:\n  s:\n    "
        + "\n    ".join(
            f"{name}: {value if name == key else fine}"
            for name, fine in {
                "cpus": "1", "memory": "1 GiB", "max_run_time": "1 h", key: value
            }.items()
        ),
        f"{4 + ['cpus', 'memory', 'max_run_time', key].index(key)}:compute_sizes.s.{key}: {text}",
    )
    for key, value, text in IN_A_SIZE
]  # fmt: skip

WRONG += [
    (
        f"compute_sizes:\n  s: {SIZE}, default: true}}\n  t: {SIZE}, default: true}}",
        "3:compute_sizes.t.default: 's' is the default already: only one can be",
    ),
    (
        f"compute_sizes:\n  s: {SIZE}, teams: [growth]}}",
        "2:compute_sizes.s.teams.0: 'growth' is no team: `teams` says whose notebooks lie where, "
        "and names none",
    ),
    (
        f"teams: [{{folder: a, team: growth}}]\ncompute_sizes:\n  s: {SIZE}, teams: [grwth]}}",
        "3:compute_sizes.s.teams.0: 'grwth' is no team that `teams` names. Did you mean `growth`? "
        "Known: growth",
    ),
    (
        f"teams: [{{folder: a, team: x}}]\ncompute_sizes:\n  s: {SIZE}, teams: [x, x]}}",
        "3:compute_sizes.s.teams.1: x stands here twice",
    ),
    (
        "compute_sizes:\n  s: {cpus: 1, memory: 1 GiB, max_run_time: 1 h, teams: ['team:x']}",
        "2:compute_sizes.s.teams.0: 'team:x' cannot be used: use at most 63 letters, digits, _, - "
        "and ., the first a letter or digit",
    ),
    # teams
    ("teams: {folder: a}", "1:teams: a list is wanted, not names with values"),
    ("teams: [growth]", "1:teams.0: names with values are wanted, not 'growth'"),
    ("teams:\n  - {folder: a}", "2:teams.0.team: is missing"),
    ("teams:\n  - {team: a}", "2:teams.0.folder: is missing"),
    (
        "teams:\n  - {folder: /a, team: x}",
        "2:teams.0.folder: '/a' begins at the root: write it relative to the project",
    ),
    (
        "teams:\n  - {folder: a/../b, team: x}",
        "2:teams.0.folder: 'a/../b' is no pattern of paths: write folders with single slashes, no "
        ". or ..",
    ),
    (
        "teams:\n  - {folder: a, team: x}\n  - {folder: a, team: y}",
        "3:teams.1.folder: 'a' never comes here: `teams.0` has it first",
    ),
    # rules
    (
        "rules: {requiredmetadata: {owners: true}}",
        "1:rules.requiredmetadata: unknown key. Did you mean `required_metadata`? Known: "
        "required_metadata, require_trial, required_checks, environment, "
        "minimum_schedule_interval, template_vars_modules, template_names, maximum_retries, …",
    ),
    (
        "rules:\n  required_metadata:\n    owner: true",
        "3:rules.required_metadata.owner: 'owner' cannot be used as a name: write owners, "
        "description, group or tags.NAME",
    ),
    (
        "rules:\n  required_metadata:\n    owners: (",
        "3:rules.required_metadata.owners: is no regular expression: missing ), unterminated "
        "subpattern at position 0",
    ),
    (
        "rules:\n  required_metadata:\n    owners: false",
        "3:rules.required_metadata.owners: text is wanted, not False: write it in quotes",
    ),
    (
        "rules:\n  required_metadata:\n    owners: {patern: x}",
        "3:rules.required_metadata.owners.patern: unknown key. Did you mean `pattern`? Known: "
        "pattern, help",
    ),
    (
        "rules: {key_pattern: '[a'}",
        "1:rules.key_pattern: is no regular expression: unterminated character set at position 0",
    ),
    (
        "rules: {key_pattern: '(a+)+'}",
        "1:rules.key_pattern: repeats a group that itself repeats or chooses, which on some texts "
        "takes forever: write one more + behind the repeat, as in (/[a-z]+)*+",
    ),
    (
        "rules: {key_pattern: '[a--b]'}",
        "1:rules.key_pattern: is no regular expression: Possible set difference at position 2",
    ),
    (
        "rules: {key_pattern: " + "a" * 301 + "}",
        "1:rules.key_pattern: is longer than 300 characters",
    ),
    (
        "rules: {minimum_schedule_interval: 900}",
        "1:rules.minimum_schedule_interval: 900 has no unit: write it like 15 min",
    ),
    (
        "rules: {minimum_schedule_interval: 10 s}",
        "1:rules.minimum_schedule_interval: at least 1 min is wanted, not 10 s",
    ),
    ("rules: {kernels: python3}", "1:rules.kernels: a list is wanted, not 'python3'"),
    ("rules: {kernels: [3]}", "1:rules.kernels.0: text is wanted, not 3: write it in quotes"),
    (
        "rules: {folders: [models**]}",
        "1:rules.folders.0: 'models**': ** stands alone between slashes, as in models/**",
    ),
    (
        "rules: {component_types: [a b]}",
        "1:rules.component_types.0: 'a b' cannot be used: write a component's type, as `type:` "
        "names it",
    ),
    (
        "rules: {required_checks: []}",
        "1:rules.required_checks: is empty: give at least one, or take the key out",
    ),
    ("rules: {maximum_retries: 101}", "1:rules.maximum_retries: at most 100 is wanted, not 101"),
    ("rules: {require_trial: 'yes'}", "1:rules.require_trial: true or false is wanted, not 'yes'"),
    (
        "rules: {environment: [A B]}",
        "1:rules.environment.0: 'A B' cannot be used: write the name of one environment variable",
    ),
    (
        "rules: {template_names: [_x]}",
        "1:rules.template_names.0: '_x' cannot be used: write a plain dotted name, no part of "
        "which begins with _",
    ),
    (
        "rules: {template_vars_modules: [a-b]}",
        "1:rules.template_vars_modules.0: 'a-b' cannot be used: write the name of a Python module",
    ),
    ("rules: {post_processing: 0}", "1:rules.post_processing: true or false is wanted, not 0"),
    (
        "rules: {python_below_defs: []}",
        "1:rules.python_below_defs: true or false is wanted, not a list",
    ),
    # budgets
    (
        "bounds: {timeout: {maximum: .inf}}",
        "1:bounds.timeout.maximum: a number is wanted, not inf",
    ),
    ("budgets: {per_run: {}}", "1:budgets.per_run: is empty: give a value or take the key out"),
    (
        "budgets: {per_run: {stop: 3}}",
        "1:budgets.per_run: needs `warn_at` or `stop_at`",
    ),
    (
        "budgets: {per_run: {warn_at: 9, stop_at: 3}}",
        "1:budgets.per_run.warn_at: 9 is more than `stop_at`: it would never be said",
    ),
    (
        "budgets: {per_team: {x: {stop_at: 1}}}",
        "1:budgets.per_team.x: 'x' is no team: `teams` says whose notebooks lie where, and names "
        "none",
    ),
    (
        "budgets: {per_team: {'**': {stop_at: 1}}}",
        "1:budgets.per_team.**: '**' cannot be used as a name: write a team's name, or \"*\" for "
        "all the others",
    ),
    (
        f"compute_sizes:\n  s: {SIZE}}}\nbudgets: {{per_run: {{stop_at: 1}}}}",
        "3:budgets: needs a `price_per_hour` of some size: without one nothing is ever spent",
    ),
    # approvals
    ("approvals:\n  - {asset: a, size: s, until: 2026-12-31}", "2:approvals.0.by: is missing"),
    ("approvals:\n  - {asset: a, size: s, by: b}", "2:approvals.0.until: is missing"),
    ("approvals:\n  - {size: s, until: 2026-12-31, by: b}", "2:approvals.0.asset: is missing"),
    (
        "approvals:\n  - {asset: a, until: 2026-12-31, by: b}",
        "2:approvals.0: needs `size` or `budget`",
    ),
    (
        "approvals:\n  - {asset: a b, size: s, until: 2026-12-31, by: b}",
        "2:approvals.0.asset: 'a b' cannot be used: write an asset's key, its parts separated by "
        "slashes",
    ),
    (
        "approvals:\n  - {asset: a, size: s, until: 2026-02-30, by: b}",
        "2:approvals.0.until: a day is wanted, like 2026-12-31, not '2026-02-30'",
    ),
    (
        "approvals:\n  - {asset: a, size: s, until: tomorrow, by: b}",
        "2:approvals.0.until: a day is wanted, like 2026-12-31, not 'tomorrow'",
    ),
    (
        f"compute_sizes:\n  large: {SIZE}}}\n"
        "approvals:\n  - {asset: a, size: larg, until: 2026-12-31, by: b}",
        "4:approvals.0.size: 'larg' is no size. Did you mean `large`? Known: large",
    ),
    (
        f"compute_sizes:\n  s: {SIZE}}}\n"
        "approvals:\n  - {asset: a, budget: 3, until: 2026-12-31, by: b}",
        "4:approvals.0.budget: needs a `price_per_hour` of some size: without one nothing is ever "
        "spent",
    ),
    # output_limits
    ("output_limits: {per_cell: 3}", "1:output_limits.per_cell: 3 has no unit: write it like 1 MB"),
    (
        "output_limits: {per_cell: 1 KB}",
        "1:output_limits.per_cell: at least 16 KiB is wanted, not 1 KB",
    ),
    (
        "output_limits:\n  per_notebook: 1 MB\n  per_cell: 2 MB",
        "3:output_limits.per_cell: is more than `per_notebook`",
    ),
    # tracking
    (
        "tracking: {tracking_uri: 'a b'}",
        "1:tracking.tracking_uri: 'a b' holds blanks: write one address or path",
    ),
    (
        "tracking: {allowed_uris: http://x}",
        "1:tracking.allowed_uris: a list is wanted, not 'http://x'",
    ),
    (
        "tracking: {experiment_prefix: " + "a" * 101 + "}",
        "1:tracking.experiment_prefix: is longer than 100 characters",
    ),
    # defaults, bounds
    (
        "defaults: {retris: 3}",
        "1:defaults.retris: `retris` is no attribute of this kind. Did you mean `retries.max`? "
        "Known: retries.max, retries.delay_seconds, monitoring.track_metrics, engine, kernel, "
        "owners, timeout, experiment.name, …",
    ),
    (
        "defaults: {compute_size: large}",
        "1:defaults.compute_size: has no default here: give the size itself `default: true`",
    ),
    (
        "defaults: {experiment: {tracking_uri: x}}",
        "1:defaults.experiment.tracking_uri: has no default here: write it as "
        "`tracking.tracking_uri`",
    ),
    ("defaults: {timeout: 0}", "1:defaults.timeout: more than 0 is wanted, not 0"),
    ("defaults: {retries: [1]}", "1:defaults.retries.max: a whole number is wanted, not a list"),
    (
        "defaults: {engine: papermill}",
        "1:defaults.engine: 'papermill' is not known. Did you mean `dagstermill`? Known: dagstermill, dagbook",
    ),
    (
        "defaults: {retries.max: 1, retries: 2}",
        "1:defaults.retries: is given twice, nested and with dots",
    ),
    (
        "defaults:\n  monitoring:\n    track_metrics: [runtim]",
        "3:defaults.monitoring.track_metrics.0: 'runtim' is not known. Did you mean `runtime`? "
        "Known: runtime, gpu_utilization, memory_usage, cpu_usage, gpu_memory",
    ),
    (
        "bounds: {kernel: {maximum: 1}}",
        "1:bounds.kernel: is no number. Known: retries.max, retries.delay_seconds, timeout, limits.max_runtime_hours",
    ),
    ("bounds: {timeout: 3}", "1:bounds.timeout: names with values are wanted, not 3"),
    (
        "bounds: {timeout: {max: 3}}",
        "1:bounds.timeout.max: unknown key. Did you mean `maximum`? Known: maximum, minimum",
    ),
    (
        "bounds:\n  timeout: {minimum: 3, maximum: 2}",
        "2:bounds.timeout: leaves nothing: 3 is more than 2",
    ),
    (
        "defaults: {timeout: 9}\nbounds: {timeout: {maximum: 5}}",
        "1:defaults.timeout: 9 lies outside `bounds.timeout`",
    ),
]


@pytest.mark.parametrize(("text", "problem"), WRONG, ids=[problem for _, problem in WRONG])
def test_what_is_wrong_is_said_with_its_place(problems: Problems, text: str, problem: str) -> None:
    found = problems(text + "\n")
    assert f"dagbook-platform.yaml:{problem}" in found
    # What follows from a mistake is no more than one further line.
    assert len(found) <= 2


def test_everything_wrong_is_said_at_once_in_the_order_of_lines(problems: Problems) -> None:
    found = problems(
        """\
        currency: eur
        compute_sizes:
          small: {cpus: 1.5, memory: 1 GiB, max_run_time: 1 h, teams: [growth]}
        rules:
          maximum_retries: -1
          key_patern: x
        approvals:
          - {asset: a, size: larg, until: 2026-12-31, by: b}
          - 3
        """
    )
    assert [problem.split(": ")[0] for problem in found] == [
        "dagbook-platform.yaml:1:currency",
        "dagbook-platform.yaml:3:compute_sizes.small.cpus",
        "dagbook-platform.yaml:3:compute_sizes.small.teams.0",
        "dagbook-platform.yaml:5:rules.maximum_retries",
        "dagbook-platform.yaml:6:rules.key_patern",
        "dagbook-platform.yaml:8:approvals.0.size",
        "dagbook-platform.yaml:9:approvals.1",
    ]


def test_a_message_shows_nothing_that_a_terminal_would_obey(problems: Problems) -> None:
    assert problems('currency: "\\e[2J\\nX"\n') == [
        "dagbook-platform.yaml:1:currency: '�[2J X' cannot be used: write its three letters, such "
        "as EUR"
    ]
    assert problems('"\\e[2J": 1\n')[0].startswith("dagbook-platform.yaml:1:�[2J: unknown key.")


#: What no JSON schema says: how values belong together, and what a text means.
BEYOND_A_SCHEMA = (
    "is the default already", "is no team", "stands here twice", "never comes here",
    "is no regular expression", "takes forever", "begins at the root", "is no pattern of paths",
    "stands alone between slashes", "would never be said", "needs a `price_per_hour`",
    "is no size", "is more than `per_notebook`", "holds blanks", "is given twice",
    "leaves nothing", "lies outside", "is written twice", "2026-02-30",
    "at least 64 MiB", "at most 1024 TiB", "at least 1 s", "at most 366 d", "at least 1 min",
    "at least 16 KiB", "is no attribute of this kind", "has no default here", "is no number",
    "not inf", "not nan",
)  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), WRONG, ids=[problem for _, problem in WRONG])
def test_an_editor_is_told_of_what_a_schema_can_say(text: str, problem: str) -> None:
    documents, _ = parse(text, ScreeningRules(), read_again=False)
    validator = jsonschema.Draft202012Validator(platform_schema())
    told = not validator.is_valid(documents[0].value)
    assert told is not any(words in problem for words in BEYOND_A_SCHEMA)
