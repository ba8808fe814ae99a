"""The platform file: found, read once, read again when it changed, and refused when hostile."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from dagbook.errors import DagbookError
from dagbook.policy.connections import Connection, ConnectionFile, KernelRules, Resource
from dagbook.policy.platform import (
    BUILT_IN_PLATFORM,
    Approval,
    Bound,
    Budget,
    OutputRule,
    Platform,
    Team,
    Wanted,
)
from dagbook.policy.platform_file import find_platform, platform_problems, read_platform
from dagbook.policy.presence import has_platform_file
from dagbook.policy.sizes import GIB, Size

PAGE = (Path(__file__).parents[3] / "docs" / "platform.md").read_text("utf-8")
EXAMPLE = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.M | re.S)[0]

Read = Callable[[str], Platform]
Problems = Callable[[str], list[str]]


def refusal(root: Path) -> str:
    with pytest.raises(DagbookError) as refused:
        find_platform(root)
    assert "\n" not in str(refused.value)
    return str(refused.value)


# What a file says


def test_no_file_means_the_built_in_defaults(root: Path) -> None:
    assert not has_platform_file(root)
    assert find_platform(root) is BUILT_IN_PLATFORM
    assert BUILT_IN_PLATFORM.version == "built-in"
    assert list(BUILT_IN_PLATFORM.sizes) == ["small", "medium", "large", "gpu_medium", "gpu_large"]
    assert BUILT_IN_PLATFORM.default_size == "small"


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "---\n", "null\n"])
def test_an_empty_file_says_nothing_but_is_a_file(platform: Read, text: str) -> None:
    found = platform(text)
    assert found.sizes == BUILT_IN_PLATFORM.sizes
    assert found.rules == BUILT_IN_PLATFORM.rules
    assert found.version != "built-in"
    assert found.file is not None and found.file.name == "dagbook-platform.yaml"


def test_the_example_of_the_page_is_read_as_it_is_meant(platform: Read) -> None:
    found = platform(EXAMPLE)
    assert (found.contact, found.currency) == ("#data-platform", "EUR")
    assert list(found.sizes) == ["small", "medium", "gpu_large"]
    assert found.sizes["medium"] == Size(
        "medium",
        cpus=4,
        memory_bytes=16 * GIB,
        max_runtime_seconds=4 * 3600,
        grace_seconds=30,
        price_per_hour=0.35,
    )
    assert found.sizes["gpu_large"] == Size(
        "gpu_large",
        cpus=16,
        memory_bytes=128 * GIB,
        max_runtime_seconds=24 * 3600,
        gpus=4,
        price_per_hour=12,
        description="Training of large models",
        teams=frozenset({"growth"}),
    )
    assert found.default_size == "small"
    assert found.teams == (
        Team("models/growth/**", "growth", "#growth"),
        Team("reports", "finance", None),
    )
    rules = found.rules
    assert rules.required_metadata == (
        Wanted("owners", r"team:.+|.+@example\.com"),
        Wanted("description"),
        Wanted("tags.classification", "public|internal|secret", "public, internal or secret"),
    )
    assert rules.key_patterns == ("[a-z0-9_]+(/[a-z0-9_]+)*+",)
    assert rules.minimum_schedule_interval_seconds == 900
    assert rules.kernels == {"python3", "ir"}
    assert rules.folders == (("models/**", "reports/**"),)
    assert rules.component_types == {"dagbook.NotebookRunnerComponent"}
    assert rules.required_checks == ("rows_positive",)
    assert rules.maximum_retries == 3
    assert rules.require_trial is True
    assert rules.environment == {"WAREHOUSE_HOST"}
    assert rules.template_names == {"paths.landing"}
    assert rules.template_vars_modules == {"company.template_vars"}
    assert rules.post_processing is False
    assert rules.python_below_defs is False
    assert found.budgets.per_run == Budget(10, 50)
    assert found.budgets.of_team("growth") == Budget(1500, 2000)
    assert found.budgets.of_team("finance") == Budget(None, 200)
    assert found.budgets.of_team(None) == Budget(None, 200)
    assert found.approvals == (
        Approval(
            "reports/yearly",
            until=date(2026, 12, 31),
            by="someone@example.com",
            size="gpu_large",
            budget=120,
            reason="the yearly report compares all models",
        ),
    )
    assert found.outputs == OutputRule(1_000_000, 50_000_000)
    assert found.tracking.tracking_uri == "https://mlflow.example.com"
    assert found.tracking.allowed_uris == (
        ("https://mlflow-test.example.com", "https://mlflow.example.com"),
    )
    assert found.tracking.experiment_prefix == "shop/"
    assert found.tracking.connection == "mlflow_prod"
    assert found.connections == {
        "analytics_prod": Connection(
            "analytics_prod",
            provider="aws_secrets_manager",
            key="prod/analytics",
            options={"region": "eu-central-1"},
            variables={"DB_USER": "username", "DB_PASSWORD": "password"},
            values={"DB_HOST": "db.example.com"},
            public_fields=frozenset({"username"}),
            teams=frozenset({"growth"}),
            folders=("models/**",),
            environments=frozenset({"prod", "staging"}),
            hosts=("db.example.com",),
            expires=date(2027, 1, 31),
            description="The warehouse, read only",
        ),
        "bigquery": Connection(
            "bigquery",
            provider="file",
            key="/run/secrets/bigquery.json",
            files=(
                ConnectionFile("GOOGLE_APPLICATION_CREDENTIALS", "key.json"),
                ConnectionFile("BIGQUERY_TOKEN_FILE", "token", field="token"),
            ),
            revoked="found in a notebook on 2026-11-02",
        ),
        "mlflow_prod": Connection(
            "mlflow_prod",
            provider="vault",
            key="mlflow",
            variables={"MLFLOW_TRACKING_TOKEN": "token"},
            hosts=("mlflow.example.com",),
        ),
    }
    assert found.resources == {
        "database": Resource(
            "database", frozenset({"analytics_prod"}), description="Where tables come from"
        ),
        "warehouse": Resource("warehouse", frozenset({"bigquery"})),
        "s3_bucket": Resource("s3_bucket", frozenset(), ("company-*",), "BUCKET"),
    }
    assert found.providers == {
        "vault": {"address": "https://vault.example.com", "auth": "kubernetes", "role": "notebooks"}
    }
    assert found.kernels == KernelRules(True, (".cache/huggingface",), "notebooks")
    assert found.defaults == {
        "retries.max": 1,
        "retries.delay_seconds": 60,
        "schedule.timezone": "Europe/Berlin",
    }
    assert found.bounds == {
        "limits.max_runtime_hours": Bound(None, 8),
        "retries.delay_seconds": Bound(10, 600),
    }
    assert found.has_prices


def test_every_key_knows_its_line(platform: Read) -> None:
    found = platform(EXAMPLE)
    lines = EXAMPLE.splitlines()
    assert {key.split(".")[0] for key in found.places} == {
        line.split(":")[0] for line in lines if re.match(r"[a-z_]+:", line)
    }
    for key, line in found.places.items():
        # The last part of a key that is no list's number stands in its line.
        last = [part for part in key.split(".") if not part.isdigit()][-1]
        assert last in lines[line - 1] or key.split(".")[-1].isdigit(), (key, lines[line - 1])
    assert found.origin_of("compute_sizes.medium.memory") == "dagbook-platform.yaml:13"
    assert found.origin_of("approvals.0.until") == "dagbook-platform.yaml:58"
    assert found.origin_of("defaults.retries.max") == "dagbook-platform.yaml:111"
    assert found.origin_of("compute_sizes.small.gpus") is None
    assert BUILT_IN_PLATFORM.origin_of("contact") is None


def leaves_of(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value of a file."""
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in inner:
        if isinstance(item, dict | list):
            yield from leaves_of(item, (*path, key))
        else:
            yield (*path, key)


#: Where another number, text or truth value would not do.
OTHERS = {
    "currency": "USD",
    "component_types": "company.Notebook",
    "folders": "other/**",
    "template_names": "paths.archive",
    "template_vars_modules": "company.others",
    "environment": "OTHER_HOST",
    "folder": "other/**",
    "key_pattern": "other",
    "tracking_uri": "https://mlflow.example.com/other",
    "allowed_uris": "https://other.example.com",
    "asset": "reports/other",
    "size": "medium",
    "until": "2027-12-31",
    "memory": "8 GiB",
    "max_run_time": "3 h",
    "minimum_schedule_interval": "20 min",
    "per_cell": "2 MB",
    "per_notebook": "60 MB",
    "description": "other",
    "analytics_prod.provider": "aws_assume_role",
    "bigquery.provider": "dotenv",
    "mlflow_prod.provider": "environment",
    "region": "eu-west-1",
    "DB_HOST": "db.example.com:5432",
    "hosts": "*.example.com",
    "expires": "2028-01-31",
    "address": "https://other.example.com",
    "auth": "approle",
}


@pytest.mark.parametrize(
    "path", list(leaves_of(yaml.safe_load(EXAMPLE))), ids=lambda p: ".".join(map(str, p))
)
def test_another_value_anywhere_is_another_version_and_another_policy(
    platform: Read, path: tuple[Any, ...]
) -> None:
    tree = yaml.safe_load(EXAMPLE)
    # Names of teams stand in several places that have to agree.
    tree["teams"].append({"folder": "more", "team": "other"})
    tree["teams"].append({"folder": "even more", "team": "growth"})
    # Those of connections too, and what belongs together.
    tree["connections"]["other"] = {**tree["connections"]["mlflow_prod"], "key": "other"}
    if path == ("kernel_process", "own_home"):
        del tree["kernel_process"]["shared_caches"]
    before = platform(yaml.safe_dump(tree, sort_keys=False))
    *way, last = path
    holder = tree
    for part in way:
        holder = holder[part]
    name = next(part for part in reversed(path) if isinstance(part, str))
    name = next((n for n in OTHERS if ".".join(map(str, path)).endswith(f".{n}")), name)
    value = holder[last]
    if name in OTHERS:
        holder[last] = OTHERS[name]
    elif isinstance(value, bool):
        holder[last] = not value
    elif isinstance(value, int | float):
        holder[last] = value + 1
    else:
        holder[last] = "other"
    after = platform(yaml.safe_dump(tree, sort_keys=False))
    assert after.version != before.version
    if path == ("compute_sizes", "small", "default"):
        return  # the first size is the default anyway
    assert after != dataclasses.replace(before, version=after.version, places=after.places)


def test_the_version_is_that_of_the_text(platform: Read) -> None:
    first = platform("contact: a\n")
    assert re.fullmatch("[0-9a-f]{12}", first.version)
    assert platform("contact: b\n").version != first.version
    assert platform("contact: a\n").version == first.version


def test_a_changed_file_is_read_again(platform: Read, root: Path) -> None:
    assert platform("contact: aaa\n").contact == "aaa"
    file = root / "dagbook-platform.yaml"
    before = file.stat()
    file.write_text("contact: bbb\n", "utf-8")
    # The same size, and the time it was modified put back.
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert find_platform(root).contact == "bbb"
    file.unlink()
    assert find_platform(root) is BUILT_IN_PLATFORM


def test_a_file_that_stays_is_read_once(platform: Read, root: Path) -> None:
    first = platform("contact: a\n")
    deadline = time.monotonic() + 60
    while (again := find_platform(root)) is not find_platform(root):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert again == first


def test_a_file_that_is_mended_is_read_again(platform: Read, root: Path) -> None:
    (root / "dagbook-platform.yaml").write_text("contct: a\n", "utf-8")
    refusal(root)
    assert platform("contact: a\n").contact == "a"


def test_the_first_size_is_the_default_where_none_is_marked(platform: Read) -> None:
    found = platform(
        """
        compute_sizes:
          tiny: {cpus: 1, memory: 1 GiB, max_run_time: 10 min}
          huge: {cpus: 64, memory: 1 TiB, max_run_time: 2 d}
        """
    )
    assert found.default_size == "tiny"
    assert not found.has_prices


def test_a_team_has_one_contact_wherever_its_notebooks_lie(platform: Read) -> None:
    found = platform(
        """
        teams:
          - {folder: a, team: growth}
          - {folder: b, team: growth, contact: "#growth"}
          - {folder: c, team: sales}
        """
    )
    assert [team.contact for team in found.teams] == ["#growth", "#growth", None]


def test_the_first_folder_that_fits_says_whose_a_notebook_is(platform: Read) -> None:
    found = platform(
        """
        teams:
          - {folder: models/shared/**, team: everyone}
          - {folder: models/**, team: growth}
        """
    )
    teams = {path: found.team_of(path) for path in ("models/shared/a", "models/b", "c")}
    assert {path: team and team.team for path, team in teams.items()} == {
        "models/shared/a": "everyone",
        "models/b": "growth",
        "c": None,
    }


def test_aliases_and_merged_mappings_are_what_they_stand_for(platform: Read) -> None:
    found = platform(
        """
        compute_sizes:
          small: &small {cpus: 1, memory: 1 GiB, max_run_time: 1 h}
          large: {<<: *small, cpus: 8}
        """
    )
    assert found.sizes["large"].cpus == 8
    assert found.sizes["large"].memory_bytes == GIB


# What is refused


def test_a_link_is_refused(root: Path) -> None:
    elsewhere = root / "elsewhere.yaml"
    elsewhere.write_text("contact: a\n", "utf-8")
    (root / "dagbook-platform.yaml").symlink_to(elsewhere)
    assert has_platform_file(root)
    assert refusal(root) == "dagbook-platform.yaml:1: is a link: put the file itself there"


def test_a_link_that_leads_nowhere_is_refused(root: Path) -> None:
    (root / "dagbook-platform.yaml").symlink_to(root / "nowhere")
    assert has_platform_file(root)
    assert refusal(root) == "dagbook-platform.yaml:1: is a link: put the file itself there"


def test_a_file_that_becomes_a_link_while_it_is_opened_is_refused(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = root / "dagbook-platform.yaml"
    file.write_text("contact: a\n", "utf-8")
    (root / "looser.yaml").write_text("contact: b\n", "utf-8")
    open_file = os.open

    def swapped(path: Path, flags: int) -> int:
        file.unlink()
        file.symlink_to(root / "looser.yaml")
        return open_file(path, flags)

    monkeypatch.setattr(os, "open", swapped)
    assert refusal(root) == (
        "dagbook-platform.yaml:1: cannot be read: Too many levels of symbolic links"
    )


def test_a_folder_is_refused(root: Path) -> None:
    (root / "dagbook-platform.yaml").mkdir()
    assert refusal(root) == "dagbook-platform.yaml:1: is not a file"


def test_a_pipe_is_refused_and_not_waited_for(root: Path) -> None:
    os.mkfifo(root / "dagbook-platform.yaml")
    assert refusal(root) == "dagbook-platform.yaml:1: is not a file"


@pytest.mark.parametrize(
    "name", ["dagbook-platform.yml", "dagbook_platform.yaml", "dagbook_platform.yml"]
)
def test_a_name_that_is_nearly_right_is_not_overlooked(root: Path, name: str) -> None:
    (root / name).write_text("contact: a\n", "utf-8")
    assert has_platform_file(root)
    assert refusal(root) == (
        f"{root / name} is not read: the platform file is called dagbook-platform.yaml"
    )


@pytest.mark.needs("other-uid")
def test_a_file_that_may_not_be_read_is_refused(root: Path) -> None:
    file = root / "dagbook-platform.yaml"
    file.write_text("contact: a\n", "utf-8")
    file.chmod(0o600)
    for folder in (root, *root.parents):
        if folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    os.seteuid(65534)
    try:
        assert refusal(root) == "dagbook-platform.yaml:1: cannot be read: Permission denied"
    finally:
        os.seteuid(0)


def test_a_second_document_is_refused(problems: Problems) -> None:
    assert problems("contact: a\n---\ncontact: b\n") == [
        "dagbook-platform.yaml:3: a second document: one file holds one, without `---`"
    ]
    assert problems("contact: a\n---\n") == [
        "dagbook-platform.yaml:3: a second document: one file holds one, without `---`"
    ]
    assert problems("---\ncontact: a\n...\n") == []


def test_a_huge_file_is_refused_without_reading_it_all(root: Path) -> None:
    file = root / "dagbook-platform.yaml"
    with file.open("wb") as handle:
        handle.truncate(50_000_000)
    assert refusal(root) == (
        "dagbook-platform.yaml:1: is larger than 262,144 bytes: no platform file is"
    )


BOMB = "\n".join(
    ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    + [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 10) + "]" for n in range(1, 10)]
)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (BOMB, "4: aliases make more than 10,000 values"),
        ("a: &a [*a]", "1: an alias inside what it stands for"),
        ("a: " + "[" * 5000 + "]" * 5000, "1: nested deeper than 50 levels"),
        (
            "a:\n" + "".join(f"  k{n}: 1\n" for n in range(20_000)),
            "5000: holds more than 10,000 values",
        ),
        ("contact: !!python/object/apply:os.system [id]", "1: the tag !!python/object/apply:os.system is not allowed: write plain values"),
        ("contact: !env X", "1: the tag !env is not allowed: write plain values"),
        ("%YAML 1.2\n---\ncontact: a", "1: a line that begins with % is not allowed: take it out"),
        ("contact: a\n  b: c", "2: `: ` is not allowed here; indent as the lines above, or put the value in quotes"),
        ("contact: [a", "2: expected ',' or ']', but got '<stream end>', while parsing a flow sequence that starts in line 1"),
        ("? {a: 1}\n: 2", "1: a list or a mapping cannot be a key"),
        ("currency: " + "9" * 101, "1: a number of more than 100 digits"),
        ("contact: a\x01", "1: a character that YAML does not allow"),
    ],
)  # fmt: skip
def test_a_hostile_text_is_refused(problems: Problems, text: str, problem: str) -> None:
    assert problems(text + "\n") == [f"dagbook-platform.yaml:{problem}"]


def test_bytes_that_are_no_text_are_refused(root: Path) -> None:
    (root / "dagbook-platform.yaml").write_bytes(b"contact: a\ncurrency: \xff\n")
    assert refusal(root) == "dagbook-platform.yaml:2: not UTF-8 text"


def test_a_byte_order_mark_and_other_line_ends_are_fine(root: Path) -> None:
    (root / "dagbook-platform.yaml").write_bytes(b"\xef\xbb\xbfcontact: a\r\ncurrency: EUR\r\n")
    found = find_platform(root)
    assert (found.contact, found.currency) == ("a", "EUR")
    assert found.places == {"contact": 1, "currency": 2}


def test_the_first_problem_is_said_and_how_many_more_there_are(root: Path) -> None:
    (root / "dagbook-platform.yaml").write_text("currency: eur\ncontact: 3\n", "utf-8")
    assert refusal(root) == (
        "dagbook-platform.yaml:1:currency: 'eur' cannot be used: write its three letters, such as "
        "EUR (1 more: `dagbook platform show`)"
    )
    found = platform_problems(root / "dagbook-platform.yaml")
    assert [(p.line, p.column, p.key) for p in found] == [(1, 11, "currency"), (2, 10, "contact")]


def test_a_file_that_is_not_there_is_said_so(root: Path) -> None:
    with pytest.raises(DagbookError) as refused:
        read_platform(root / "draft.yaml")
    assert str(refused.value) == "draft.yaml:1: cannot be read: No such file or directory"


def test_to_look_for_a_file_imports_nothing() -> None:
    program = (
        "import sys\n"
        "from dagbook.policy.presence import has_platform_file\n"
        "has_platform_file('.')\n"
        "print(sorted(m for m in sys.modules if m.startswith(('dagbook.policy', 'yaml', 'ruamel'))"
        " or m in ('dagbook.safe_yaml', 'importlib.metadata')))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout == (
        "['dagbook.policy', 'dagbook.policy.presence', 'dagbook.policy.sizes']\n"
    )
