"""Whether a secret leads to a host that its connection is bound to, where it names one itself."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from dagbook.errors import DagbookError
from dagbook.policy.connections import Connection
from dagbook.policy.hosts import is_bound_to

#: Fields that say where a credential is sent, in small letters without marks.
_HOST_FIELDS = re.compile(
    r"(?:host|hostname|server|endpoint|dsn|uri|.*(?:url|host|endpoint)|tokenuri)"
)
_BARE = re.compile(r"\[[^]]*\]|[^:]*")
_ADDRESS = re.compile(
    r"(?:[A-Za-z][A-Za-z0-9+.-]*:)*?(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<rest>\S+)"
)
_PAIR = re.compile(
    r"(?:^|[;\s])(?:host|hostaddr|server|data source)\s*=\s*(?:tcp:)?(?P<host>[^;\s,]+)",
    re.IGNORECASE,
)
#: Where an address leads that names no port; `is_bound_to` knows those of the web.
_PORTS = {
    "amqp": 5672, "amqps": 5671, "mariadb": 3306, "mongodb": 27017, "mysql": 3306,
    "oracle": 1521, "postgres": 5432, "postgresql": 5432, "redis": 6379, "rediss": 6379,
    "sftp": 22, "sqlserver": 1433, "mssql": 1433,
}  # fmt: skip


def refuse_foreign_hosts(
    connection: Connection, fields: Mapping[str, object], whole: str | None
) -> None:
    """Refuse a secret that would lead its notebook elsewhere than the platform file says.

    A connection that is bound to no host is not looked into.

    Args:
        connection: whose `hosts` count.
        fields: the secret's fields, asked for or not.
        whole: the secret as one text, where it is one.

    Raises:
        DagbookError: it names another host. The text names the field and not the host.
    """
    if not connection.hosts:
        return
    for field, host in _named(fields, whole):
        if not is_bound_to(connection, host):
            where = f"its field `{field}`" if field else "the secret"
            raise DagbookError(
                f"{where} leads to a host that is none of `hosts` "
                f"({', '.join(connection.hosts)}): mend the secret, or `hosts`"
            )


def _named(fields: Mapping[str, object], whole: str | None) -> Iterator[tuple[str, str]]:
    """Every host that says where the secret is sent, with its field."""
    if whole is not None and not fields:
        yield from (("", host) for host in _hosts_in(whole))
    port = next((str(v) for k, v in fields.items() if _plain(k) == "port"), None)
    for name, value in fields.items():
        if not isinstance(value, str) or not value:
            continue
        leads_there = _HOST_FIELDS.fullmatch(_plain(name)) is not None
        found = list(_hosts_in(value))
        if found:
            # One without a login, in a field about something else, sends the secret nowhere.
            if leads_there or "@" in value or "://" not in value:
                yield from ((name, host) for host in found)
        elif leads_there:
            yield from ((name, _with_port(host.strip(), port)) for host in value.split(","))


def _with_port(host: str, port: str | None) -> str:
    return f"{host}:{port}" if port and _BARE.fullmatch(host) else host


def _hosts_in(text: str) -> Iterator[str]:
    """The hosts in an address or in pairs like ``host=…``; what cannot be read leads nowhere."""
    address = _ADDRESS.fullmatch(text.strip())
    if address is None:
        yield from (pair["host"].strip("'\"") for pair in _PAIR.finditer(text))
        return
    rest = address["rest"]
    server = re.split(r"[/?#;]", rest, maxsplit=1)[0]
    if rest.count("@") > 1 or ("@" in rest and "@" not in server):
        # Programs disagree on where such an address leads, so it leads nowhere here.
        yield rest
        return
    # Several hosts at once are one address to some databases.
    for host in server.rpartition("@")[2].split(","):
        port = _PORTS.get(address["scheme"].lower().partition("+")[0])
        if port is not None and _BARE.fullmatch(host):
            yield f"{host}:{port}"
        else:
            yield f"{address['scheme']}://{host}"


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
