"""The keys of the platform file about connections, and about the process a notebook runs in."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dagbook.errors import did_you_mean
from dagbook.policy.connection_kinds import (
    FIELD,
    ByVariable,
    FileOrName,
    ProviderName,
    PublicText,
    Revoked,
    Variable,
    Variables,
)
from dagbook.policy.file_kinds import WRONG, Checked, Day, Loc, Reading, Text, Truth
from dagbook.policy.file_shapes import Fields, Key, ListOf, Table, entries_of
from dagbook.policy.hosts import host_pattern_problem
from dagbook.policy.path_patterns import path_pattern_problem
from dagbook.policy.plain_values import value_pattern_problem
from dagbook.policy.providers import PROVIDERS, find_provider, provider_names
from dagbook.safe_yaml.parsing import Value

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
NAME_FORM = "use at most 63 letters, digits, _, - and ., the first a letter or digit"
_RESOURCE = r"[A-Za-z][A-Za-z0-9_-]{0,62}"
_RESOURCE_FORM = "use at most 63 letters, digits, _ and -, the first a letter"


def _cache_problem(path: str) -> str | None:
    parts = path.split("/")
    if path.startswith(("/", "~")) or ".." in parts or "." in parts or "" in parts:
        return f"{path!r} is no path below a home: write it like .cache/huggingface"
    if any(character in path for character in "*?\0"):
        return f"{path!r}: write one folder, no pattern"
    return None


_word = Text(NAME, NAME_FORM)
_path_pattern = Checked(path_pattern_problem, examples=("models/**",))

_OPTIONS = Table(
    PublicText(), r"[A-Za-z][A-Za-z0-9_]{0,62}", "write a provider's option as it is called"
)

CONNECTION = Fields(
    {
        "provider": Key(ProviderName(), "Which kind of place keeps the credential.", required=True),
        "key": Key(PublicText(), "What the credential is called there.", required=True),
        "options": Key(_OPTIONS, "What the provider is told beside the key."),
        "variables": Key(
            Variables(),
            "By environment variable the field of the secret that it holds, or `*` for the secret "
            "as a whole; a name, or a list of names, means the same. Default: those of the "
            "provider, where it has any.",
        ),
        "values": Key(
            ByVariable(PublicText()),
            "By environment variable what everybody may know: a host, a port.",
        ),
        "files": Key(
            ByVariable(FileOrName()),
            "By environment variable the file whose path it holds: its name, or `name` and `field`.",
        ),
        "public_fields": Key(
            ListOf(FIELD, empty=True),
            "The fields of the secret that are none and need not be hidden. Default: those whose "
            "names say so, such as host, port, username and region.",
        ),
        "teams": Key(ListOf(_word), "The teams that may use it. Default: everybody."),
        "folders": Key(
            ListOf(_path_pattern), "Patterns of the notebooks that may use it. Default: any."
        ),
        "environments": Key(
            ListOf(_word),
            "The deployments in which it may be used, as `DAGBOOK_ENVIRONMENT` names them. "
            "Default: each.",
        ),
        "hosts": Key(
            ListOf(Checked(host_pattern_problem, examples=("db.example.com",))),
            "The hosts it is bound to, perhaps with a port, or patterns with `*`. Without any the "
            "runner itself sends it nowhere.",
        ),
        "expires": Key(Day(), "The last day (UTC) on which it may be used."),
        "revoked": Key(
            Revoked(), "Why nobody may use it any more; `true` to give no reason. Default: no."
        ),
        "description": Key(PublicText(), "What it leads to, for those who choose."),
    }
)

# Without dots, so that `NAME.FIELD` and `connections.NAME.KEY` are read in one way.
CONNECTIONS = Table(
    CONNECTION,
    r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}",
    "use at most 63 letters, digits, _ and -, the first a letter or digit",
)

_RESOURCE_KEYS = Fields(
    {
        "connections": Key(ListOf(_word), "The connections that may stand there."),
        "values": Key(
            ListOf(Checked(value_pattern_problem, examples=("company-*",))),
            "Patterns with `*` of the plain values that may stand there instead: a bucket, an "
            "address.",
        ),
        "variable": Key(
            Variable(),
            "The environment variable that holds such a plain value. Default: the key in capitals.",
        ),
        "description": Key(PublicText(), "What it is, for those who choose."),
    },
    any_of=("connections", "values"),
)


@dataclass(frozen=True)
class _Resource:
    """What may stand under a key of ``resources:``: `true` for each connection one may use."""

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take `true`, or what exactly may stand there."""
        if value.value is True:
            return {}
        return _RESOURCE_KEYS.read(value, loc, reading)

    def schema(self) -> dict[str, Any]:
        """True or an object."""
        return {"anyOf": [{"const": True}, _RESOURCE_KEYS.schema()]}


RESOURCES = Table(_Resource(), _RESOURCE, _RESOURCE_FORM)


@dataclass(frozen=True)
class _Settings:
    """By provider, what it is told for all connections."""

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take the settings of providers there are."""
        entries = entries_of(value, loc, reading)
        if entries is WRONG:
            return WRONG
        found: dict[str, Any] = {}
        for name, item in entries:
            inner = (*loc, name.value)
            reading.places[inner] = (name.line, name.column)
            if find_provider(name.value) is None:
                known = did_you_mean(name.value, provider_names())
                reading.wrong(name, inner, f"there is no such provider. {known}")
            else:
                found[name.value] = _OPTIONS.read(item, inner, reading)
        return found

    def schema(self) -> dict[str, Any]:
        """An object with each of our own providers and what it can be told."""
        return {
            "type": "object",
            "properties": {
                name: {
                    "description": spec.help,
                    "type": "object",
                    "properties": {
                        key: {"description": option.help, "type": "string"}
                        for key, option in (spec.settings or {}).items()
                    },
                    "additionalProperties": False,
                    "minProperties": 1,
                }
                for name, spec in PROVIDERS.items()
                if spec.settings
            },
            "minProperties": 1,
        }


SETTINGS = _Settings()

KERNEL_PROCESS = Fields(
    {
        "own_home": Key(
            Truth(), "Whether each run has a `HOME` of its own, empty at first. Default: no."
        ),
        "shared_caches": Key(
            ListOf(Checked(_cache_problem, examples=(".cache/huggingface",))),
            "Folders below the real home that are there all the same.",
        ),
        "run_as": Key(
            Text(
                r"[a-z_][a-z0-9_-]{0,31}",
                "write the name of one user of the machine",
            ),
            "The user a kernel runs as, where the runner is root.",
        ),
    }
)
