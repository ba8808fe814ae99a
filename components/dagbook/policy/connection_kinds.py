"""What may stand behind the keys of a connection: variables, files, and texts that are no secret."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from dagbook.errors import did_you_mean
from dagbook.policy.credential_texts import looks_like_credential
from dagbook.policy.file_kinds import WRONG, Checked, Kind, Loc, Reading, Text, Truth, named
from dagbook.policy.file_shapes import Fields, Key, ListOf, Table
from dagbook.policy.owned_variables import variable_problem
from dagbook.policy.providers import PROVIDERS, find_provider, provider_names
from dagbook.safe_yaml.parsing import Value

#: Stands for the secret as a whole where a field could stand.
WHOLE = "*"
_VARIABLE = r"[A-Za-z_][A-Za-z0-9_]{0,254}"
_VARIABLE_FORM = "write the name of one environment variable"
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


_variable = Text(_VARIABLE, _VARIABLE_FORM)
FIELD = Text(longest=200)


def _file_name_problem(name: str) -> str | None:
    if re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", name):
        return None
    return f"{name!r} cannot be a file's name: use letters, digits, _, - and ., no folder"


_FILE = Fields(
    {
        "name": Key(
            Checked(_file_name_problem, examples=("key.json",)),
            "The file's own name, for programs that look at its ending.",
            required=True,
        ),
        "field": Key(
            FIELD, "The field of the secret that it holds. Default: the secret as a whole."
        ),
    }
)


@dataclass(frozen=True)
class Variables:
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
class Variable:
    """An environment variable that the run does not set itself."""

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take the name of one variable."""
        return _own_variable(value, loc, reading)

    def schema(self) -> dict[str, Any]:
        """A string."""
        return _variable.schema()


@dataclass(frozen=True)
class _FieldOrWhole:
    """A field of the secret; a star for the secret as a whole."""

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        return None if value.value == WHOLE else FIELD.read(value, loc, reading)

    def schema(self) -> dict[str, Any]:
        return FIELD.schema()


@dataclass(frozen=True)
class FileOrName:
    """A file's name, or its name and the field it holds."""

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take a name, or both."""
        if isinstance(value.value, dict):
            return _FILE.read(value, loc, reading)
        name = _FILE.keys["name"].kind.read(value, loc, reading)
        return WRONG if name is WRONG else {"name": name}

    def schema(self) -> dict[str, Any]:
        """A string or an object."""
        return {"anyOf": [_FILE.keys["name"].kind.schema(), _FILE.schema()]}


@dataclass(frozen=True)
class ByVariable:
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
class ProviderName:
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
class Revoked:
    """Why nobody may use a connection any more, or only that nobody may."""

    def read(self, value: Value, loc: Loc, reading: Reading) -> Any:
        """Take a reason, true or false."""
        if isinstance(value.value, bool):
            return "" if value.value else None
        return PublicText(300).read(value, loc, reading)

    def schema(self) -> dict[str, Any]:
        """A string or a boolean."""
        return {"anyOf": [Truth().schema(), PublicText(300).schema()]}
