"""Whether a credential may be sent to a host: only to one that its connection is bound to.

A pattern is a host, perhaps with a port: ``db.example.com`` is that host on any port,
``db.example.com:5432`` on this one only. ``*.example.com`` is every host below `example.com`, and
a star elsewhere stands for a part of one label: ``db-*.example.com``.

Programs read odd addresses differently, so what could be read in two ways leads nowhere here.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple

from dagbook.policy.connections import Connection

#: Where an address leads that names no port.
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PATTERN_LABEL = re.compile(r"[a-z0-9_*](?:[a-z0-9_*-]{0,61}[a-z0-9_*])?")
#: What some programs take for a number of an address: ``127.1``, ``0x7f000001``, ``017700000001``.
_NUMBER = re.compile(r"(?:[0-9]+|0x[0-9a-f]*)")
#: Python's own takes others for digits too.
_PORT = re.compile(r"[0-9]{1,5}")
_LONGEST_NAME = 253

_Name = str | IPv4Address | IPv6Address


class _Host(NamedTuple):
    name: _Name
    """In small letters, without a dot at the end"""
    port: int | None
    """None: none is named, and the scheme has no usual one"""


def is_bound_to(connection: Connection, url_or_host: str) -> bool:
    """Whether a connection's credential may be sent to an address or a host.

    Not to one that holds a user name, a backslash, a blank, a character outside of ASCII in its
    host, a zone, or a number that is no whole address: programs disagree on where those lead.
    A redirection leads to another address, which has to be asked about anew.

    Args:
        connection: whose `hosts` count; bound to none, it may be sent nowhere.
        url_or_host: ``https://mlflow.example.com/path``, ``db.example.com:5432``, ``[::1]:80``.
    """
    return leads_to(url_or_host, connection.hosts)


def leads_to(url_or_host: str, patterns: Iterable[str]) -> bool:
    """Whether an address leads to a host that one of the patterns means, as `is_bound_to` has it."""
    host = _host_in(url_or_host)
    return host is not None and any(_fits(pattern, host) for pattern in patterns)


def names_one_host(text: str) -> bool:
    """Whether a text is a host or an address that leads to one, with nothing odd about it."""
    return _host_in(text) is not None


def host_pattern_problem(pattern: str) -> str | None:
    """What is wrong with a pattern of hosts; None when nothing is."""
    if "://" in pattern or "/" in pattern:
        return f"{pattern!r} is more than a host: write it like db.example.com or db.example.com:80"
    if "@" in pattern:
        return f"{pattern!r} holds a user name: write the host alone"
    if not pattern.isascii():
        return f"{pattern!r} is not ASCII: write it as it is sent, {_as_sent(pattern)}"
    found = _pattern(pattern)
    if found is None:
        return f"{pattern!r} is no host: write it like db.example.com, *.example.com or [::1]:80"
    if isinstance(found.name, str):
        *_, before, last = ("", *found.name.split("."))
        if "*" in last and (before or not last.strip("*-_")):
            return f"{pattern!r} is nearly every host: write more of it, as in *.example.com"
        if before == "*":
            return f"{pattern!r} is every host of a whole domain: write it like *.example.com"
    return None


def _fits(pattern: str, host: _Host) -> bool:
    found = _pattern(pattern)
    if found is None or found.port not in (None, host.port):
        return False
    if isinstance(found.name, str) and isinstance(host.name, str):
        return _compiled(found.name).fullmatch(host.name) is not None
    # An address is no name, so no star stands for one.
    return found.name == host.name


def _host_in(text: str) -> _Host | None:
    if "\\" in text or any(c.isspace() or not c.isprintable() for c in text):
        return None
    scheme = _SCHEME.match(text)
    if scheme is None:
        return _host_and_port(text, _LABEL)
    server = re.split("[/?#]", text[scheme.end() :], maxsplit=1)[0]
    host = _host_and_port(server, _LABEL)
    if host is None or host.port is not None:
        return host
    return _Host(host.name, _PORTS.get(scheme[1].lower()))


@functools.lru_cache(maxsize=1024)
def _pattern(text: str) -> _Host | None:
    return _host_and_port(text, _PATTERN_LABEL)


def _host_and_port(text: str, label: re.Pattern[str]) -> _Host | None:
    if not text.isascii():
        return None
    if text.startswith("["):
        inside, bracket, rest = text[1:].partition("]")
        name: _Name | None = _address_6(inside) if bracket else None
    elif text.count(":") > 1:
        name, rest = _address_6(text), ""
    else:
        host, colon, port = text.partition(":")
        name, rest = _name(host.lower(), label), colon + port
    if name is None or (rest and not rest.startswith(":")):
        return None
    if not rest:
        return _Host(name, None)
    port = rest[1:]
    if not _PORT.fullmatch(port) or not 0 < int(port) < 65536:
        return None
    return _Host(name, int(port))


def _name(text: str, label: re.Pattern[str]) -> _Name | None:
    name = text.removesuffix(".")
    labels = name.split(".")
    if len(name) > _LONGEST_NAME or not all(label.fullmatch(part) for part in labels):
        return None
    if not _NUMBER.fullmatch(labels[-1]):
        return name
    try:
        return IPv4Address(text)
    except ValueError:
        return None


def _address_6(text: str) -> IPv6Address | None:
    try:
        return None if "%" in text else IPv6Address(text)
    except ValueError:
        return None


@functools.lru_cache(maxsize=1024)
def _compiled(name: str) -> re.Pattern[str]:
    below = name.startswith("*.")
    rest = name[2:] if below else name
    # Each piece up to the next star is taken where it first fits, for good: no name, however odd,
    # makes it try more than its length.
    labels = [_label(part) for part in rest.split(".")]
    return re.compile((r"(?:[^.]+\.)+" if below else "") + r"\.".join(labels))


def _label(part: str) -> str:
    first, *others = re.split(r"\*+", part)
    if not others:
        return re.escape(first)
    *inner, last = others
    middle = "".join(f"(?>[^.]*?{re.escape(piece)})" for piece in inner if piece)
    return f"{re.escape(first)}{middle}[^.]*{re.escape(last)}"


def _as_sent(pattern: str) -> str:
    try:
        return pattern.encode("idna").decode("ascii")
    except UnicodeError:
        return "its labels beginning with xn--"
