"""The keys of the platform file: the one table that reading, the schema and the docs come from."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import Any

from dagbook.policy.attribute_keys import Bounds, Defaults
from dagbook.policy.connection_keys import (
    CONNECTIONS,
    KERNEL_PROCESS,
    NAME,
    NAME_FORM,
    RESOURCES,
    SETTINGS,
)
from dagbook.policy.credential_texts import looks_like_credential
from dagbook.policy.file_kinds import (
    Checked,
    Day,
    Loc,
    Number,
    Reading,
    Text,
    Truth,
    memory,
    time,
)
from dagbook.policy.file_shapes import Fields, Key, ListOf, Table
from dagbook.policy.path_patterns import path_pattern_problem
from dagbook.policy.regexes import regex_problem
from dagbook.safe_yaml.parsing import Value

SCHEMA_ID = "urn:dagbook:platform:1"

_WORD, _WORD_FORM = NAME, NAME_FORM
_OF_PROJECT = "it is about one project, so it belongs in the project's own file"

name = Text(_WORD, _WORD_FORM)
asset = Text(
    r"[A-Za-z0-9_-]+(?:/[A-Za-z0-9_-]+)*",
    "write an asset's key, its parts separated by slashes",
)
variable = Text(r"[A-Za-z_][A-Za-z0-9_]*", "write the name of one environment variable")
dotted_name = Text(
    r"[A-Za-z][A-Za-z0-9_]*(?:\.[A-Za-z][A-Za-z0-9_]*)*",
    "write a plain dotted name, no part of which begins with _",
)
module_name = Text(
    r"\.?[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*", "write the name of a Python module"
)
#: More than anything costs, and little enough for the ledger to add up.
money = Number(minimum=0, maximum=1_000_000_000)
price = Number(minimum=0, maximum=1_000_000)


def _address_problem(text: str) -> str | None:
    if looks_like_credential(text):
        return "holds a login: leave that out, and name a `connection` that logs in"
    if any(character.isspace() for character in text):
        return f"{text!r} holds blanks: write one address or path"
    return None


regex = Checked(regex_problem, examples=("team:.+",))
path_pattern = Checked(path_pattern_problem, examples=("models/**",))
address = Checked(_address_problem, examples=("https://mlflow.example.com",))


_WANTED = Fields(
    {
        "pattern": Key(regex, "A regular expression for the whole text (of each item)."),
        "help": Key(Text(), "What to write, or where to read about it."),
    }
)


@dataclass(frozen=True)
class _Wanted:
    """What a key of metadata has to hold: nothing more than something, or a pattern."""

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        if value.value is None or value.value is True:
            return {}
        if isinstance(value.value, dict):
            return _WANTED.read(value, loc, reading)
        return {"pattern": regex.read(value, loc, reading)}

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [{"enum": [None, True]}, regex.schema(), _WANTED.schema()]}


SIZE = Fields(
    {
        "cpus": Key(
            Number(minimum=1, maximum=4096, whole=True), "How many processors.", required=True
        ),
        "memory": Key(
            memory(64 * 1024**2, "64 MiB", "16 GiB"),
            "How much memory, all processes together.",
            required=True,
        ),
        "max_run_time": Key(
            time(1, "1 s", "4 h"), "How long a run may take at most.", required=True
        ),
        "gpus": Key(Number(minimum=0, maximum=1024, whole=True), "How many GPUs. Default: none."),
        "grace_seconds": Key(
            Number(minimum=0, maximum=3600),
            "How long a notebook may tidy up once it is told to stop, in seconds. Default: 10.",
        ),
        "price_per_hour": Key(
            price, "What an hour costs. Without any price no cost is shown anywhere."
        ),
        "description": Key(Text(), "What the size is good for, for those who choose."),
        "teams": Key(ListOf(name), "The teams that may use it. Default: everybody."),
        "default": Key(
            Truth(), "Whether a notebook that names no size gets this one. Default: the first is."
        ),
    }
)

TEAM = Fields(
    {
        "folder": Key(path_pattern, "A pattern of notebooks' paths in the project.", required=True),
        "team": Key(name, "The team whose notebooks these are.", required=True),
        "contact": Key(Text(), "Whom its members ask: an address, a channel, a page."),
    }
)

RULES = Fields(
    {
        "required_metadata": Key(
            Table(
                _Wanted(),
                r"owners|description|group|tags\.[A-Za-z0-9_.-]{1,63}",
                "write owners, description, group or tags.NAME",
            ),
            "What every component has to say of itself: `true` for anything at "
            "all, or a regular expression for the whole text (of each owner), or both `pattern` "
            "and `help`.",
        ),
        "key_pattern": Key(regex, "A regular expression for whole asset keys."),
        "minimum_schedule_interval": Key(
            time(60, "1 min", "15 min"), "The shortest time between two ticks of a schedule."
        ),
        "kernels": Key(ListOf(Text()), "The kernels notebooks may run on, by name."),
        "folders": Key(ListOf(path_pattern), "Where the notebooks of components may lie."),
        "component_types": Key(
            ListOf(
                Text(r"\.?[\w.]+", "write a component's type, as `type:` names it"),
            ),
            "The component types that may be used, as `type:` names them.",
            project_only=_OF_PROJECT,
        ),
        "required_checks": Key(ListOf(Text()), "Checks that every notebook has to have, by name."),
        "maximum_retries": Key(
            Number(minimum=0, maximum=100, whole=True), "How often a run may be tried again."
        ),
        "require_trial": Key(
            Truth(),
            "Whether a notebook must have run well once, as it is now, before a schedule runs it.",
        ),
        "environment": Key(
            ListOf(variable),
            "Environment variables that component files may read as `{{ env.NAME }}`.",
            project_only=_OF_PROJECT,
        ),
        "template_names": Key(
            ListOf(dotted_name),
            "Further names that may stand in braces in component files.",
            project_only=_OF_PROJECT,
        ),
        "template_vars_modules": Key(
            ListOf(module_name),
            "What may stand behind `template_vars_module:` in component files.",
            project_only=_OF_PROJECT,
        ),
        "post_processing": Key(
            Truth(),
            "Whether component files may use `post_processing:`. Default: no.",
            project_only=_OF_PROJECT,
        ),
        "python_below_defs": Key(
            Truth(),
            "Whether Python files below `defs` are loaded. Default: yes.",
            project_only=_OF_PROJECT,
        ),
    }
)

BUDGET = Fields(
    {
        "warn_at": Key(money, "From here on it is said."),
        "stop_at": Key(money, "Here it ends."),
    },
    any_of=("warn_at", "stop_at"),
)

BUDGETS = Fields(
    {
        "per_run": Key(BUDGET, "What one run may cost."),
        "per_team": Key(
            Table(BUDGET, rf"\*|{_WORD}", 'write a team\'s name, or "*" for all the others'),
            'What a team may spend in a calendar month (UTC); `"*"` is for those not named, '
            "and for notebooks of no team.",
        ),
    }
)

APPROVAL = Fields(
    {
        "asset": Key(asset, "The asset's key, its parts separated by slashes.", required=True),
        "size": Key(name, "A size it may use although its team may not."),
        "budget": Key(money, "What one run of it may cost, in place of `budgets.per_run.stop_at`."),
        "until": Key(Day(), "The last day (UTC) on which this holds.", required=True),
        "by": Key(Text(), "Who answers for it.", required=True),
        "reason": Key(Text(), "Why, for those who read the file later."),
    },
    any_of=("size", "budget"),
)

_OUTPUT = memory(16_384, "16 KiB", "1 MB")

OUTPUT_LIMITS = Fields(
    {
        "per_cell": Key(_OUTPUT, "How much output of a cell is kept. Default: 1 MB."),
        "per_notebook": Key(_OUTPUT, "How much output of a notebook is kept. Default: 50 MB."),
    }
)

TRACKING = Fields(
    {
        "tracking_uri": Key(address, "The MLflow server of notebooks that name none."),
        "allowed_uris": Key(
            ListOf(address),
            "The servers a notebook's `experiment.tracking_uri` may name: each with all that lies "
            "below it, or a pattern with `*`. `tracking_uri` is among them.",
        ),
        "experiment_prefix": Key(
            Text(longest=100), "What the names of MLflow experiments begin with."
        ),
        "connection": Key(
            name,
            "The connection that logs in to `tracking_uri`. The runner alone uses it: no notebook "
            "sees it.",
        ),
    }
)

PLATFORM = Fields(
    {
        "contact": Key(Text(), "Whom to ask where a team has no contact of its own."),
        "currency": Key(
            Text(r"[A-Z]{3}", "write its three letters, such as EUR"),
            "The currency of prices and budgets. Default: USD.",
        ),
        "compute_sizes": Key(
            Table(SIZE, _WORD, _WORD_FORM),
            "The sizes a notebook may choose from, in place of the built-in ones.",
        ),
        "teams": Key(
            ListOf(TEAM), "Whose notebooks lie where: the first pattern that fits decides."
        ),
        "rules": Key(RULES, "What components have to hold to."),
        "budgets": Key(BUDGETS, "How much money may be spent."),
        "approvals": Key(
            ListOf(APPROVAL), "Exceptions that somebody answers for.", project_only=_OF_PROJECT
        ),
        "output_limits": Key(OUTPUT_LIMITS, "How much output is kept of a run."),
        "tracking": Key(TRACKING, "Where runs are recorded."),
        "connections": Key(
            CONNECTIONS,
            "Named access to databases, stores and services. The file holds no credential: it says "
            "where each is kept, how a notebook sees it, and who may use it.",
        ),
        "resources": Key(
            RESOURCES, "What the keys of a component's `resources:` are, and what may stand there."
        ),
        "providers": Key(
            SETTINGS, "What each provider of credentials is told for all connections."
        ),
        "kernel_process": Key(KERNEL_PROCESS, "The process a notebook runs in."),
        "defaults": Key(
            Defaults(), "Values of component attributes for YAML that leaves them out."
        ),
        "bounds": Key(
            Bounds(), "Within what a component's YAML may set attributes that are numbers."
        ),
    }
)


@functools.cache
def platform_schema() -> dict[str, Any]:
    """The JSON schema of the platform file, for editors and for tests."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "dagbook-platform.yaml, version 1",
        "description": "What a platform team allows the notebooks of a project.",
        **PLATFORM.schema(),
    }
