"""What a platform file says of connections, and everything that can be wrong in it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from dagbook.errors import DagbookError
from dagbook.policy import connection_listing
from dagbook.policy.combining import combine
from dagbook.policy.connections import Connection, KernelRules, Resource
from dagbook.policy.listing import platform_values, rows_of
from dagbook.policy.platform import Platform
from dagbook.policy.platform_file import platform_from_text

Read = Callable[[str], Platform]
Problems = Callable[[str], list[str]]

#: A token as its issuer makes them, put together here so that none stands in this file.
TOKEN = "ghp_" + "Ab1" * 12
NO_SECRET = (
    "looks like a credential: none stands in this file. Keep it with the provider, and name it by "
    "`key` and `variables`"
)


def one(text: str) -> str:
    """A file with one connection, `a`, whose keys from line 3 on are given."""
    return f"connections:\n  a:\n    {text}\n"


FINE = "provider: environment\n    key: A\n    variables: A_B"

WRONG = [
    ("connections: {}", "1:connections: is empty: give a value or take the key out"),
    ("connections: [a]", "1:connections: names with values are wanted, not a list"),
    (
        "connections:\n  a.b: {provider: environment, key: A, variables: B}",
        "2:connections.a.b: 'a.b' cannot be used as a name: use at most 63 letters, digits, _ and "
        "-, the first a letter or digit",
    ),
    (one("key: A\n    variables: B"), "3:connections.a.provider: is missing"),
    (one("provider: environment\n    variables: B"), "3:connections.a.key: is missing"),
    (
        one("provider: aws_secret_manager\n    key: A\n    variables: B"),
        "3:connections.a.provider: there is no provider 'aws_secret_manager'. Did you mean "
        "`aws_secrets_manager`? Known: aws_secrets_manager, google_secret_manager, "
        "aws_assume_role, environment, vault, dotenv, process, file",
    ),
    (one("provider: environment\n    key: 3\n    variables: B"),
     "4:connections.a.key: text is wanted: write it in quotes"),
    (one("provider: environment\n    key: A"),
     "2:connections.a: gives a notebook nothing: name its `variables` or `files`"),
    (one(f"{FINE}\n    key2: A"),
     "6:connections.a.key2: unknown key. Did you mean `key`? Known: key, revoked, files, "
     "teams, values, expires, folders, provider, …"),
    # options
    (
        one("provider: aws_secrets_manager\n    key: A\n    variables: B\n    options: {regoin: x}"),
        "6:connections.a.options.regoin: unknown option. Did you mean `region`? Known: region, "
        "renew_seconds, version_id, version_stage",
    ),
    (one(f"{FINE}\n    options: {{region: eu-west-1}}"),
     "6:connections.a.options.region: unknown option. It takes none."),
    (
        one("provider: aws_secrets_manager\n    key: A\n    variables: B\n    options: {region: x}"),
        "6:connections.a.options.region: cannot be used: write a region like eu-central-1",
    ),
    (
        one("provider: file\n    key: A\n    variables: B\n    options: {format: jsn}"),
        "6:connections.a.options.format: is not known. Did you mean `json`? Known: json, ini, text",
    ),
    (
        one("provider: file\n    key: A\n    variables: B\n    options: {shared: yes}"),
        "6:connections.a.options.shared: text is wanted: write it in quotes",
    ),
    # variables, values, files
    (one("provider: environment\n    key: A\n    variables: A B"),
     "5:connections.a.variables: 'A B' cannot be used: write the name of one environment variable"),
    (one("provider: environment\n    key: A\n    variables: [A, A]"),
     "5:connections.a.variables: A stands here twice"),
    (one("provider: environment\n    key: A\n    variables: []"),
     "5:connections.a.variables: is empty: give at least one, or take it out"),
    (one("provider: environment\n    key: A\n    variables: {A: }"),
     "5:connections.a.variables.A: text is wanted, not nothing"),
    (one("provider: environment\n    key: A\n    variables: {1A: b}"),
     "5:connections.a.variables.1A: '1A' cannot be used as a name: write the name of one "
     "environment variable"),
    (one("provider: environment\n    key: A\n    variables: PATH"),
     "5:connections.a.variables: `PATH` is set by the run itself: take another name"),
    (one("provider: environment\n    key: A\n    variables: {LD_PRELOAD: x}"),
     "5:connections.a.variables.LD_PRELOAD: `LD_PRELOAD` is set by the run itself: take another "
     "name"),
    (one(f"{FINE}\n    values: {{DAGBOOK_ENVIRONMENT: prod}}"),
     "6:connections.a.values.DAGBOOK_ENVIRONMENT: `DAGBOOK_ENVIRONMENT` is set by the run itself: "
     "take another name"),
    (one(f"{FINE}\n    files: {{PYTHONSTARTUP: a.py}}"),
     "6:connections.a.files.PYTHONSTARTUP: `PYTHONSTARTUP` is set by the run itself: take another "
     "name"),
    (one(f"{FINE}\n    values: {{MLFLOW_TRACKING_URI: 'https://a.example.com'}}"),
     "6:connections.a.values.MLFLOW_TRACKING_URI: `MLFLOW_TRACKING_URI` is set by the run itself: "
     "write the server as `tracking.tracking_uri`"),
    (one(f"{FINE}\n    values: {{A_B: x}}"),
     "6:connections.a.values.A_B: `A_B` is set by `variables` already"),
    (one(f"{FINE}\n    files: {{A_B: x}}"),
     "6:connections.a.files.A_B: `A_B` is set by `variables` already"),
    (one(f"{FINE}\n    values: {{PORT: 5432}}"),
     "6:connections.a.values.PORT: text is wanted: write it in quotes"),
    (one(f"{FINE}\n    values: {{PORT: [1]}}"),
     "6:connections.a.values.PORT: text is wanted, not a list"),
    (one(f"{FINE}\n    files: {{KEY_FILE: ../key}}"),
     "6:connections.a.files.KEY_FILE: '../key' cannot be a file's name: use letters, digits, _, - "
     "and ., no folder"),
    (one(f"{FINE}\n    files: {{KEY_FILE: {{field: a}}}}"),
     "6:connections.a.files.KEY_FILE.name: is missing"),
    # who, where, until when
    (one(f"{FINE}\n    teams: [growth]"),
     "6:connections.a.teams.0: 'growth' is no team: `teams` says whose notebooks lie where, and "
     "names none"),
    (one(f"{FINE}\n    folders: [/models]"),
     "6:connections.a.folders.0: '/models' begins at the root: write it relative to the project"),
    (one(f"{FINE}\n    environments: prod"),
     "6:connections.a.environments: a list is wanted, not 'prod'"),
    (one(f"{FINE}\n    hosts: ['https://db.example.com']"),
     "6:connections.a.hosts.0: 'https://db.example.com' is more than a host: write it like "
     "db.example.com or db.example.com:80"),
    (one(f"{FINE}\n    hosts: ['*']"),
     "6:connections.a.hosts.0: '*' is nearly every host: write more of it, as in *.example.com"),
    (one(f"{FINE}\n    hosts: [db.example.com]\n    values: {{DB_HOST: db.example.org}}"),
     "7:connections.a.values.DB_HOST: leads to no host that `hosts` names"),
    (one(f"{FINE}\n    hosts: [db.example.com]\n    values: {{X: 'https://db.example.org/a'}}"),
     "7:connections.a.values.X: leads to no host that `hosts` names"),
    (one(f"{FINE}\n    expires: soon"),
     "6:connections.a.expires: a day is wanted, like 2026-12-31, not 'soon'"),
    (one(f"{FINE}\n    revoked: 3"), "6:connections.a.revoked: text is wanted: write it in quotes"),
    # a login to a tracking server
    (one("provider: environment\n    key: A\n    variables: MLFLOW_TRACKING_TOKEN"),
     "2:connections.a: `MLFLOW_TRACKING_TOKEN` is sent to a server: name it under `hosts`"),
    (one("provider: environment\n    key: A\n    hosts: [a.example.com]\n"
         "    variables: [MLFLOW_TRACKING_TOKEN, B]"),
     "6:connections.a.variables.B: `MLFLOW_TRACKING_TOKEN` logs the runner in to a tracking "
     "server, and nothing of that reaches a notebook: put this into a connection of its own"),
    (one("provider: environment\n    key: A\n    hosts: [a.example.com]\n"
         "    files: {MLFLOW_TRACKING_CLIENT_CERT_PATH: a.pem}"),
     "6:connections.a.files.MLFLOW_TRACKING_CLIENT_CERT_PATH: `MLFLOW_TRACKING_CLIENT_CERT_PATH`: "
     "a login to a tracking server has variables and no files"),
    # tracking.connection
    ("tracking: {connection: a}", "1:tracking.connection: 'a' is no connection: `connections` names none"),
    (f"{one(FINE)}tracking: {{connection: b}}", "6:tracking.connection: 'b' is no connection. Known: a"),
    (f"{one(FINE)}tracking: {{connection: a}}",
     "6:tracking.connection: 'a' gives no variable that begins with MLFLOW_TRACKING_"),
    (
        "connections:\n  a: {provider: environment, key: A, variables: MLFLOW_TRACKING_TOKEN, "
        "hosts: [a.example.com], folders: [x], environments: [prod]}\n"
        "tracking: {connection: a}",
        "3:tracking.connection: 'a' is not for all runs, and all are recorded with it: take out "
        "its `folders` and `environments`",
    ),
    (
        "connections:\n  a: {provider: environment, key: A, variables: MLFLOW_TRACKING_TOKEN, "
        "hosts: [a.example.com]}\n"
        "tracking: {connection: a, tracking_uri: 'https://b.example.com'}",
        "3:tracking.connection: 'a' is bound to a.example.com, and `tracking_uri` leads elsewhere",
    ),
    (
        "tracking: {tracking_uri: 'https://me:hunter2@mlflow.example.com'}",
        "1:tracking.tracking_uri: holds a login: leave that out, and name a `connection` that "
        "logs in",
    ),
    # resources
    ("resources: {database: }", "1:resources.database: names with values are wanted, not nothing"),
    ("resources: {database: false}", "1:resources.database: names with values are wanted, not False"),
    ("resources: {database: {variable: A}}",
     "1:resources.database: needs `connections` or `values`"),
    ("resources: {database: {connections: [a]}}",
     "1:resources.database.connections.0: 'a' is no connection: `connections` names none"),
    (f"{one(FINE)}resources: {{database: {{connections: [b]}}}}",
     "6:resources.database.connections.0: 'b' is no connection. Known: a"),
    (f"{one(FINE)}resources: {{database: {{connections: [a], variable: B}}}}",
     "6:resources.database.variable: is for plain values, and `values` names none"),
    ("resources: {mlflow: {values: ['https://a.example.com'], variable: B}}",
     "1:resources.mlflow.variable: is not wanted: a plain value here is the tracking server"),
    ("resources: {bucket: {values: [a], variable: HOME}}",
     "1:resources.bucket.variable: `HOME` is set by the run itself: take another name"),
    ("resources: {path: {values: [a]}}",
     "1:resources.path: `PATH` is set by the run itself: take another name, as `variable`"),
    ("resources: {bucket: {values: ['*']}}",
     "1:resources.bucket.values.0: '*' is every value: write more of it, as in company-*"),
    ("resources: {bucket: {values: ['https://mlflow.example.com*']}}",
     "1:resources.bucket.values.0: 'https://mlflow.example.com*': its host 'mlflow.example.com*' "
     "is nearly every host: write more of it, as in *.example.com"),
    ("resources: {a b: true}",
     "1:resources.a b: 'a b' cannot be used as a name: use at most 63 letters, digits, _ and -, "
     "the first a letter"),
    # providers
    ("providers: {valt: {address: x}}",
     "1:providers.valt: there is no such provider. Did you mean `vault`? Known: vault, "
     "environment, file, aws_assume_role, dotenv, aws_secrets_manager, google_secret_manager, "
     "process"),
    ("providers: {vault: {adress: x}}",
     "1:providers.vault.adress: unknown option. Did you mean `address`? Known: address, "
     "namespace, role, ca_file, token_variable, auth, secret_id_file, secret_id_variable, …"),
    ("providers: {vault: {address: 'https://me:hunter2@vault.example.com'}}",
     f"1:providers.vault.address: {NO_SECRET}"),
    ("providers: {environment: {a: b}}", "1:providers.environment.a: unknown option. It takes none."),
    # kernel_process
    ("kernel_process: {shared_caches: [.cache/a]}",
     "1:kernel_process.shared_caches: needs `own_home: true`: without it the whole real home is "
     "there"),
    ("kernel_process: {own_home: true, shared_caches: [../a]}",
     "1:kernel_process.shared_caches.0: '../a' is no path below a home: write it like "
     ".cache/huggingface"),
    ("kernel_process: {own_home: true, shared_caches: ['.cache/*']}",
     "1:kernel_process.shared_caches.0: '.cache/*': write one folder, no pattern"),
    ("kernel_process: {run_as: 'a b'}",
     "1:kernel_process.run_as: 'a b' cannot be used: write the name of one user of the machine"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problem"), WRONG, ids=[problem for _, problem in WRONG])
def test_what_is_wrong_is_said_with_its_place(problems: Problems, text: str, problem: str) -> None:
    found = problems(text + "\n")
    assert f"dagbook-platform.yaml:{problem}" in found
    # What follows from a mistake is no more than one further line.
    assert len(found) <= 2


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (one(f"{FINE}\n    options: {{a: {TOKEN}}}"), "6:connections.a.options.a"),
        (one(f"{FINE}\n    values: {{A: {TOKEN}}}"), "6:connections.a.values.A"),
        (one(f"{FINE}\n    values: {{A: 'https://me:hunter2@a.example.com'}}"),
         "6:connections.a.values.A"),
        (one(f"{FINE}\n    description: 'the token is {TOKEN}'"), "6:connections.a.description"),
        (one(f"{FINE}\n    revoked: '{TOKEN} was leaked'"), "6:connections.a.revoked"),
        (one(f"provider: process\n    key: 'helper --token={TOKEN}'"), "4:connections.a.key"),
        (one("provider: process\n    key: helper --password=hunter2"), "4:connections.a.key"),
    ],
)  # fmt: skip
def test_a_credential_in_the_file_is_refused_and_not_shown(
    problems: Problems, text: str, key: str
) -> None:
    found = problems(text)
    assert f"dagbook-platform.yaml:{key}: {NO_SECRET}" in found
    assert not any(TOKEN in line or "hunter2" in line for line in found)


def test_everything_wrong_is_said_at_once_in_the_order_of_lines(problems: Problems) -> None:
    found = problems(
        """\
        connections:
          a: {provider: vault, key: a, options: {mnt: x}, variables: PATH}
          b: {provider: vualt, key: a, variables: B}
        resources:
          database: {connections: [c]}
        providers:
          vault: {auth: passwords}
        tracking: {connection: d}
        kernel_process: {shared_caches: [.cache/a]}
        """
    )
    assert [problem.split(": ")[0] for problem in found] == [
        "dagbook-platform.yaml:2:connections.a.options.mnt",
        "dagbook-platform.yaml:2:connections.a.variables",
        "dagbook-platform.yaml:3:connections.b.provider",
        "dagbook-platform.yaml:5:resources.database.connections.0",
        "dagbook-platform.yaml:7:providers.vault.auth",
        "dagbook-platform.yaml:8:tracking.connection",
        "dagbook-platform.yaml:9:kernel_process.shared_caches",
    ]


@pytest.mark.parametrize(
    ("text", "variables"),
    [
        ("variables: TOKEN", {"TOKEN": None}),
        ("variables: [TOKEN, API_KEY]", {"TOKEN": None, "API_KEY": None}),
        ("variables: {TOKEN: token, ALL: '*'}", {"TOKEN": "token", "ALL": None}),
    ],
)
def test_variables_are_written_in_three_ways(
    platform: Read, text: str, variables: dict[str, str | None]
) -> None:
    found = platform(one(f"provider: environment\n    key: A\n    {text}"))
    assert found.connections["a"].variables == variables


def test_a_connection_that_names_nothing_gives_what_its_provider_gives(platform: Read) -> None:
    found = platform(one("provider: aws_assume_role\n    key: arn:aws:iam::1:role/a"))
    assert list(found.connections["a"].variables) == [
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
    ]  # fmt: skip
    found = platform(one("provider: process\n    key: helper\n    files: {AWS_FILE: a}"))
    assert found.connections["a"].variables == {}


@pytest.mark.parametrize(
    ("text", "revoked"),
    [("true", "no reason is given"), ("leaked on 2 May", "leaked on 2 May"), ("false", None)],
)
def test_a_connection_is_revoked_with_or_without_a_reason(
    platform: Read, text: str, revoked: str | None
) -> None:
    found = platform(one(f"{FINE}\n    revoked: {text}"))
    assert found.connections["a"].revoked == revoked


def test_addresses_of_a_connection_lead_to_its_hosts(platform: Read) -> None:
    found = platform(
        one(
            f"{FINE}\n    hosts: ['*.example.com', 'db.example.org:5432']\n    values: "
            "{DB_HOST: db.example.org:5432, API_URL: 'https://api.example.com/v1', DB_NAME: x, "
            "DSN: 'jdbc:postgresql://db.example.net/x', PORT: '5432'}"
        )
    )
    assert found.connections["a"].values["DB_NAME"] == "x"


def test_what_is_said_of_resources_is_what_may_stand_there(platform: Read) -> None:
    found = platform(
        f"{one(FINE)}"
        "resources: {any: true, one: {connections: [a]}, bucket: {values: [b-*]}, "
        "both: {connections: [a], values: [c], variable: D}}\n"
    )
    assert found.resources == {
        "any": Resource("any"),
        "one": Resource("one", frozenset({"a"})),
        "bucket": Resource("bucket", frozenset(), ("b-*",)),
        "both": Resource("both", frozenset({"a"}), ("c",), "D"),
    }
    assert found.resources["bucket"].plain_variable == "BUCKET"
    assert found.resources["both"].plain_variable == "D"


# Shown


def test_of_a_program_and_of_a_companys_provider_only_what_is_no_secret_is_shown(
    platform: Read, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = platform(
        "connections:\n"
        "  a: {provider: process, key: helper --for notebooks, options: {timeout_seconds: '9'}}\n"
        "  b: {provider: vault, key: b, variables: B, options: {mount: kv}}\n"
        "providers: {vault: {role: notebooks}}\n"
    )
    rows = {row.key: row.text for row in rows_of(found)}
    assert rows["connections.a.key"] == "(not shown)"
    assert rows["connections.a.options.timeout_seconds"] == "9"
    assert rows["connections.b.key"] == "b"
    assert rows["connections.b.options.mount"] == "kv"
    assert rows["providers.vault.role"] == "notebooks"
    # As if `vault` were a company's own, which knows alone what is secret of it.
    monkeypatch.setattr(connection_listing, "PROVIDERS", {})
    rows = {row.key: row.text for row in rows_of(found)}
    assert rows["connections.b.options.mount"] == "(not shown)"
    assert rows["providers.vault.role"] == "(not shown)"
    assert "helper" not in str(platform_values(found))


# With a company package


def package(text: str) -> Platform:
    label = "company:dagbook-platform.yaml"
    return platform_from_text(text.encode(), Path(label), label=label, in_package=True)


OURS = """\
teams: [{folder: a, team: x}, {folder: b, team: y}]
connections:
  both:
    {provider: vault, key: k, variables: B, teams: [x, y], environments: [prod, dev],
     expires: 2027-05-01, description: ours}
  ours: {provider: environment, key: O, variables: O}
resources:
  database: {connections: [both, ours], values: [a, b]}
  own: true
providers: {vault: {address: "https://vault.example.com"}}
kernel_process: {own_home: true, shared_caches: [.cache/a, .cache/b]}
"""
THEIRS = """\
connections:
  both:
    {provider: vault, key: k, variables: B, teams: [y, z], expires: 2027-03-01, revoked: leaked}
  theirs: {provider: environment, key: T, variables: T}
resources:
  database: {connections: [both, theirs], values: [b, c]}
  more: {values: [d]}
providers: {vault: {address: "https://vault.example.com", role: r}, file: {folder: /run/secrets}}
kernel_process: {own_home: true, shared_caches: [.cache/b, .cache/c], run_as: notebooks}
"""


def test_of_a_connection_of_both_the_stricter_limits_hold(platform: Read) -> None:
    both = combine(platform(OURS), package(THEIRS))
    assert list(both.connections) == ["both", "theirs", "ours"]
    assert both.connections["both"] == Connection(
        "both",
        provider="vault",
        key="k",
        variables={"B": None},
        teams=frozenset({"y"}),
        environments=frozenset({"prod", "dev"}),
        expires=date(2027, 3, 1),
        revoked="leaked",
        description="ours",
    )
    assert both.resources == {
        "database": Resource("database", frozenset({"both"}), ("b",)),
        "more": Resource("more", frozenset(), ("d",)),
        "own": Resource("own"),
    }
    assert both.providers == {
        "vault": {"address": "https://vault.example.com", "role": "r"},
        "file": {"folder": "/run/secrets"},
    }
    assert both.kernels == KernelRules(True, (".cache/b",), "notebooks")
    assert both.origin_of("connections.both.revoked") == "company:dagbook-platform.yaml:3"
    assert both.origin_of("connections.ours.key") == "dagbook-platform.yaml:6"


@pytest.mark.parametrize(
    ("ours", "theirs", "key"),
    [
        (one(FINE), one(FINE.replace("key: A", "key: B")), "connections.a.key"),
        (one(FINE), one(f"{FINE}\n    hosts: [a.example.com]"), "connections.a.hosts"),
        (one(FINE), one(f"{FINE}\n    folders: [a]"), "connections.a.folders"),
        (one(FINE), one(FINE.replace("A_B", "A_C")), "connections.a.variables"),
        ("providers: {vault: {role: a}}\n", "providers: {vault: {role: b}}\n",
         "providers.vault.role"),
        ("kernel_process: {run_as: a}\n", "kernel_process: {run_as: b}\n",
         "kernel_process.run_as` (a and b)"),
        ("resources: {a: {values: [a]}}\n", "resources: {a: {values: [a], variable: B}}\n",
         "resources.a.variable` (A and B)"),
    ],
)  # fmt: skip
def test_what_cannot_be_two_things_at_once_is_said(
    platform: Read, ours: str, theirs: str, key: str
) -> None:
    with pytest.raises(DagbookError) as refused:
        combine(platform(ours), package(theirs))
    key = key if "`" in key else f"{key}`"
    assert str(refused.value) == (
        "the project's platform file and that of a component's package say different things under "
        f"`{key}: both have to say the same, or only one of them anything"
    )


def test_a_home_without_caches_in_one_file_gets_none_of_the_other(platform: Read) -> None:
    ours = platform("kernel_process: {own_home: true, shared_caches: [.cache/a]}\n")
    both = combine(ours, package("kernel_process: {own_home: true}\n"))
    assert both.kernels == KernelRules(True, ())
    both = combine(ours, package("kernel_process: {run_as: a}\n"))
    assert both.kernels == KernelRules(True, (".cache/a",), "a")


def test_a_package_may_name_connections_and_teams_that_only_projects_know() -> None:
    found = package(
        one(f"{FINE}\n    teams: [growth]")
        + "resources: {database: {connections: [other]}}\ntracking: {connection: other}\n"
    )
    assert found.connections["a"].teams == {"growth"}
    assert found.tracking.connection == "other"
