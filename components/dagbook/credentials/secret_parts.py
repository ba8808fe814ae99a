"""Which parts of a secret would give it away where they turn up alone.

A password stands in an address, a key in a JSON text: a driver's error or a log shows the part and
not the whole, so the part is masked as well.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple
from urllib.parse import unquote, unquote_plus, urlsplit

#: Fields whose names say that they are no secret, in small letters without marks.
_PUBLIC = frozenset([
    "host", "hostname", "server", "port", "region", "regionname", "awsregion", "engine",
    "driver", "dialect", "scheme", "protocol", "database", "db", "dbname",
    "dbinstanceidentifier", "dbclusteridentifier", "schema", "catalog", "warehouse", "role",
    "username", "user", "account", "accountname", "tenant", "tenantid", "clientid", "project",
    "projectid", "type", "bucket", "email", "clientemail", "endpoint", "authuri", "tokenuri",
    "authproviderx509certurl", "clientx509certurl", "universedomain", "expiration", "version",
    "sslmode", "timeout",
])  # fmt: skip
_SECRET_NAME = re.compile(
    r"(?:pass|passwd|password|passphrase|pwd|pw|psk|secret|token|key|cookie|credentials?|"
    r"signature|sig|auth)$"
)
_ADDRESS = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)*//\S+")
_PAIR = re.compile(
    r"(?P<name>[A-Za-z][\w .-]{0,40}?)\s{0,4}=\s{0,4}(?P<value>'[^']*'|\"[^\"]*\"|[^;\s]*)"
)
_LINE_PAIR = re.compile(r"(?:export\s+)?(?P<name>[\w.\"' -]{1,64}?)\s*[=:]\s*(?P<value>.+)")
#: `scott/tiger@db.example.com/sales`, `jdbc:oracle:thin:scott/tiger@//…`
_ORACLE = re.compile(r"(?:jdbc:oracle:\w+:)?[^/@\s:]+/([^/@\s]+)@\S+")
_PEM = re.compile(r"-----(?:BEGIN|END) [^-]*-----")
#: What nobody writes by hand: long, without blanks, letters and digits.
_OPAQUE = re.compile(r"(?=\S*[A-Za-z])(?=\S*\d)[^\s:]{16,}")
_LOGIN = re.compile(r"(?:basic|bearer|token)\s+(\S+)", re.IGNORECASE)
_NETRC = re.compile(r"\b(?:password|account)\s+(\S+)")

IsPublic = Callable[[str], bool]


class Part(NamedTuple):
    """One part of a secret."""

    name: str | None
    """What it is called, for a message; None: it has no name, and is masked if it is long"""
    value: str


def is_public(name: str) -> bool:
    """Whether a field's name says that it is no secret: `host`, `username`, `AWS_REGION`."""
    return re.sub(r"[^a-z0-9]", "", name.lower()) in _PUBLIC


def parts_of(text: str, is_public: IsPublic = is_public) -> Iterator[Part]:
    """The parts of a secret that are secrets themselves, the text as a whole left out.

    Args:
        text: the secret.
        is_public: which fields' names are those of no secret.
    """
    stripped = text.strip()
    found = _json(stripped)
    if found is not None:
        yield from leaves_of(found, is_public)
    elif _ADDRESS.fullmatch(stripped):
        yield from _of_address(stripped)
    elif "\n" in stripped:
        for line in stripped.splitlines():
            yield from _of_line(line.strip(), is_public)
    elif oracle := _ORACLE.fullmatch(stripped):
        yield Part("the password in it", oracle[1])
    elif login := _LOGIN.fullmatch(stripped):
        yield from _of_login(login[1])
    else:
        yield from _of_pairs(stripped)


def leaves_of(value: Any, is_public: IsPublic, name: str = "") -> Iterator[Part]:
    """Every text and number within fields, with its name and parts; public ones are left out."""
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, dict | list):
                yield from leaves_of(item, is_public, f"{name}{key}.")
            elif is_public(str(key)):
                yield from _logins_of(item)
            else:
                yield from leaves_of(item, is_public, f"{name}{key}")
    elif isinstance(value, list):
        for number, item in enumerate(value):
            yield from leaves_of(item, is_public, f"{name}{number}")
    elif isinstance(value, str):
        yield Part(name, value)
        yield from parts_of(value, is_public)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield Part(name, json.dumps(value))


def _logins_of(item: object) -> Iterator[Part]:
    # An `endpoint` is none, but for the password in it.
    if isinstance(item, str) and _ADDRESS.fullmatch(item.strip()):
        yield from _of_address(item.strip())


def _json(text: str) -> Any:
    if text[:1] not in ("{", "["):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _of_address(text: str) -> Iterator[Part]:
    # `jdbc:postgresql://…`
    start = text.index("//")
    scheme = text[:start].rstrip(":").rpartition(":")[2]
    rest = text[start + 2 :]
    server = re.split(r"[/?#]", rest, maxsplit=1)[0]
    # A password that was not encoded may hold these marks itself.
    if "@" in rest and "@" not in server:
        server = rest.rpartition("@")[0] + "@"
    login, at, _ = server.rpartition("@")
    user, colon, password = login.partition(":")
    if colon:
        yield from _both("the password in the address", password)
    if at and not colon and len(user) >= 12:
        # A token in the place of a user name.
        yield from _both(None, user)
    if ";" in rest:
        yield from _of_pairs(rest)
    try:
        parsed = urlsplit(f"{scheme or 'x'}://{rest}")
    except ValueError:
        return
    for pair in re.split("[&;]", parsed.query):
        name, _, value = pair.partition("=")
        if value and is_secret_name(name):
            yield from _both(f"`{name}` in the address", value)
    segments = [part for part in parsed.path.split("/") if part]
    if not at and any(_OPAQUE.fullmatch(part) for part in segments):
        # A webhook: whoever has its path may use it, and errors show the path alone.
        yield Part(None, parsed.path)
        yield from (Part(None, part) for part in segments if _OPAQUE.fullmatch(part))


def _both(name: str | None, value: str) -> Iterator[Part]:
    """A part as it is written in an address, and as programs read it."""
    for form in dict.fromkeys((value, unquote(value), unquote_plus(value))):
        yield Part(name, form)


def _of_pairs(text: str) -> Iterator[Part]:
    # `host=db user=reader password=…`, `Server=…;Pwd=…;`
    for pair in _PAIR.finditer(text):
        # A name of several words is the last of them where blanks separate the pairs.
        name = pair["name"] if ";" in text else pair["name"].split()[-1]
        # A key in base64 ends with `=`, which is a part of the value.
        if is_secret_name(name) and pair["value"].strip("=\"'"):
            yield Part(f"`{name}` in it", _unquoted(pair["value"]))


def _of_line(line: str, is_public: IsPublic) -> Iterator[Part]:
    if not line or line.startswith(("#", ";")) or _PEM.fullmatch(line):
        return
    if line.startswith("[") and line.endswith("]"):
        return
    if netrc := _NETRC.findall(line):
        yield from (Part("the password in a line of it", value) for value in netrc)
        return
    columns = re.split(r"(?<!\\):", line)
    if len(columns) == 5 and re.fullmatch(r"\*|\d+", columns[1]):
        # A line of .pgpass: host, port, database, user, password.
        yield Part("the password in a line of it", columns[4].replace("\\:", ":"))
        return
    pair = _LINE_PAIR.fullmatch(line)
    # A line of base64 may end with `=`, which makes no pair of it.
    if pair is None or not pair["value"].strip("="):
        yield Part(None, line)
        return
    name, value = pair["name"].strip("\"' -"), _unquoted(pair["value"].strip().rstrip(","))
    if is_public(name):
        yield from _logins_of(value)
    elif is_secret_name(name):
        yield Part(f"`{name}` in it", value)
        yield from parts_of(value, is_public)
    elif _ADDRESS.fullmatch(value):
        yield from _of_address(value)
    elif _OPAQUE.fullmatch(value):
        yield Part(None, value)


def _of_login(text: str) -> Iterator[Part]:
    yield Part(None, text)
    try:
        user, colon, password = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return
    if colon and user.isprintable():
        yield Part("the password in it", password)


def _unquoted(text: str) -> str:
    if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'":
        return text[1:-1]
    return text


def is_secret_name(name: str) -> bool:
    """Whether a name is that of a password, a key or a token."""
    return _SECRET_NAME.search(re.sub(r"[^a-z0-9]", "", name.lower())) is not None
