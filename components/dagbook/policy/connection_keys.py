"""The keys of the platform file about connections, and about the process a notebook runs in."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from dagbook.errors import did_you_mean
from dagbook.policy.credential_texts import looks_like_credential
from dagbook.policy.file_kinds import WRONG, Checked, Day, Kind, Loc, Reading, Text, Truth, named
from dagbook.policy.file_shapes import Fields, Key, ListOf, Table, entries_of
from dagbook.policy.hosts import host_pattern_problem
from dagbook.policy.owned_variables import variable_problem
from dagbook.policy.path_patterns import path_pattern_problem
from dagbook.policy.plain_values import value_pattern_problem
from dagbook.policy.providers import PROVIDERS, find_provider, provider_names
from dagbook.safe_yaml.parsing import Value

#: Stands for the secret as a whole where a field could stand.
WHOLE = "*"
NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}"
NAME_FORM = "use at most 63 letters, digits, _, - and ., the first a letter or digit"
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]{0,254}"
_VARIABLE_FORM = "write the name of one environment variable"
_RESOURCE = r"[A-Za-z][A-Za-z0-9_-]{0,62}"
_RESOURCE_FORM = "use at most 63 letters, digits, _ and -, the first a letter"
_NO_SECRET = (
    "looks like a credential: none stands in this file. Keep it with the provider, and name it by "
    "`key` and `variables`"
)


@dataclass(frozen=True)
class PublicText:
    """A text that everybody may read. One that looks like a credential is refused, and not shown."""

    longest: int = 1000

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take text that is no credential; what is wrong is said without it."""
        given = value.value
        if not isinstance(given, str):
            is_plain = isinstance(given, bool | int | float)
            what = "" if is_plain else f", not {named(value)}"
            return reading.wrong(
                value, loc, f"text is wanted{what}" + (": write it in quotes" if is_plain else "")
            )
        if not given.strip():
            return reading.wrong(value, loc, "is empty: give a value or take the key out")
        if len(given) > self.longest:
            return reading.wrong(value, loc, f"is longer than {self.longest:,} characters")
        if "\0" in given:
            return reading.wrong(value, loc, "holds a character that no variable can hold")
        return reading.wrong(value, loc, _NO_SECRET) if looks_like_credential(given) else given

    def schema(self) -> dict[str, Any]:
        """A string."""
        return {"type": "string", "minLength": 1, "maxLength": self.longest}


def _file_name_problem(name: str) -> str | None:
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", name):
        return None
    return f"{name!r} cannot be a file's name: use letters, digits, _, - and ., no folder"


def _cache_problem(path: str) -> str | None:
    parts = path.split("/")
    if path.startswith(("/", "~")) or ".." in parts or "." in parts or "" in parts:
        return f"{path!r} is no path below a home: write it like .cache/huggingface"
    if any(character in path for character in "*?\0"):
        return f"{path!r}: write one folder, no pattern"
    return None


_variable = Text(_VARIABLE, _VARIABLE_FORM)
_word = Text(NAME, NAME_FORM)
_field = Text(longest=200)
_path_pattern = Checked(path_pattern_problem, examples=("models/**",))

_FILE = Fields(
    {
        "name": Key(
            Checked(_file_name_problem, examples=("key.json",)),
            "The file's own name, for programs that look at its ending.",
            required=True,
        ),
        "field": Key(
            _field, "The field of the secret that it holds. Default: the secret as a whole."
        ),
    }
)


@dataclass(frozen=True)
class _Variables:
    """Variables with the field each holds, or names alone for the secret as a whole."""

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take a name, a list of names, or names with fields."""
        if isinstance(value.value, str):
            return _whole([value], loc, reading)
        if isinstance(value.value, list):
            if not value.items:
                return reading.wrong(value, loc, "is empty: give at least one, or take it out")
            return _whole(value.items, loc, reading)
        return _read_table(_FieldOrWhole(), value, loc, reading)

    def schema(self) -> dict[str, Any]:
        """A string, a list or an object."""
        return {
            "anyOf": [
                _variable.schema(),
                ListOf(_variable).schema(),
                _table_schema(_FieldOrWhole()),
            ]
        }


def _whole(names: list[Value], loc: Loc, reading: Reading) -> Any:
    found: dict[str, None] = {}
    for item in names:
        name = _own_variable(item, loc, reading)
        if name in found:
            reading.wrong(item, loc, f"{name} stands here twice")
        elif name is not WRONG:
            found[name] = None
            reading.places[(*loc, name)] = (item.line, item.column)
    return found or WRONG


@dataclass(frozen=True)
class _Variable:
    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        return _own_variable(value, loc, reading)

    def schema(self) -> dict[str, Any]:
        return _variable.schema()


@dataclass(frozen=True)
class _FieldOrWhole:
    """A field of the secret; a star for the secret as a whole."""

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        return None if value.value == WHOLE else _field.read(value, loc, reading)

    def schema(self) -> dict[str, Any]:
        return _field.schema()


@dataclass(frozen=True)
class _FileOrName:
    """A file's name, or its name and the field it holds."""

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        if isinstance(value.value, dict):
            return _FILE.read(value, loc, reading)
        name = _FILE.keys["name"].kind.read(value, loc, reading)
        return WRONG if name is WRONG else {"name": name}

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [_FILE.keys["name"].kind.schema(), _FILE.schema()]}


@dataclass(frozen=True)
class _ByVariable:
    """Something for each of several environment variables, which the run does not set itself."""

    item: Kind

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take each entry whose name a connection may set."""
        return _read_table(self.item, value, loc, reading)

    def schema(self) -> dict[str, Any]:
        """An object with names of variables."""
        return _table_schema(self.item)


def _table_schema(item: Kind) -> dict[str, Any]:
    return Table(item, _VARIABLE, _VARIABLE_FORM).schema()


def _read_table(item: Kind, value: Value, loc: Loc, reading: Reading) -> Any:
    found = Table(item, _VARIABLE, _VARIABLE_FORM).read(value, loc, reading)
    for name in [] if found is WRONG else list(found):
        problem = variable_problem(name)
        if problem is not None:
            reading.wrong_at((*loc, name), problem)
            found[name] = WRONG
    return found


def _own_variable(value: Value, loc: Loc, reading: Reading) -> Any:
    name = _variable.read(value, loc, reading)
    problem = None if name is WRONG else variable_problem(name)
    return name if problem is None else reading.wrong(value, loc, problem)


@dataclass(frozen=True)
class _ProviderName:
    """One of our own providers, or of a company's package that is installed here."""

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take the name of a provider there is."""
        given = Text(longest=100).read(value, loc, reading)
        if given is WRONG or find_provider(given) is not None:
            return given
        words = f"there is no provider {given!r}. {did_you_mean(given, provider_names())}"
        return reading.wrong(value, loc, words)

    def schema(self) -> dict[str, Any]:
        """A string: companies bring providers of their own."""
        return {"anyOf": [{"enum": list(PROVIDERS)}, Text(longest=100).schema()]}


@dataclass(frozen=True)
class _Revoked:
    """Why nobody may use a connection any more, or only that nobody may."""

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take a reason, true or false."""
        if isinstance(value.value, bool):
            return "" if value.value else None
        return PublicText(300).read(value, loc, reading)

    def schema(self) -> dict[str, Any]:
        """A string or a boolean."""
        return {"anyOf": [Truth().schema(), PublicText(300).schema()]}


_OPTIONS = Table(
    PublicText(), r"[A-Za-z][A-Za-z0-9_]{0,62}", "write a provider's option as it is called"
)

CONNECTION = Fields(
    {
        "provider": Key(
            _ProviderName(), "Which kind of place keeps the credential.", required=True
        ),
        "key": Key(PublicText(), "What the credential is called there.", required=True),
        "options": Key(_OPTIONS, "What the provider is told beside the key."),
        "variables": Key(
            _Variables(),
            "By environment variable the field of the secret that it holds, or `*` for the secret "
            "as a whole; a name, or a list of names, means the same. Default: those of the "
            "provider, where it has any.",
        ),
        "values": Key(
            _ByVariable(PublicText()),
            "By environment variable what everybody may know: a host, a port.",
        ),
        "files": Key(
            _ByVariable(_FileOrName()),
            "By environment variable the file whose path it holds: its name, or `name` and `field`.",
        ),
        "public_fields": Key(
            ListOf(_field, empty=True),
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
            _Revoked(), "Why nobody may use it any more; `true` to give no reason. Default: no."
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
            _Variable(),
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
