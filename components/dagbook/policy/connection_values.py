"""From what a platform file says of connections to the connections: what belongs together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any

from dagbook.errors import did_you_mean
from dagbook.policy.connections import (
    TRACKING_KEY,
    Connection,
    ConnectionFile,
    KernelRules,
    Resource,
)
from dagbook.policy.file_kinds import Loc, Reading
from dagbook.policy.hosts import leads_to, names_one_host
from dagbook.policy.owned_variables import TRACKING_PREFIX, variable_problem
from dagbook.policy.providers import ProviderOption, find_provider

#: Why a connection is revoked of which the file says no more than that it is.
NO_REASON = "no reason is given"

_NONE: Mapping[str, Any] = MappingProxyType({})
_Found = Iterator[tuple[Loc, str]]
#: Variables whose value is a host or an address by their name.
_HOST_NAME = re.compile(r"(?i)(?:^|_)(?:HOST|HOSTNAME|SERVER|URL|URI|ENDPOINT|ADDRESS)$")


def connection_contradictions(tree: Mapping[str, Any], reading: Reading) -> _Found:
    """What is wrong between values that are each right by themselves."""
    connections = tree.get("connections", _NONE)
    for name, given in connections.items():
        yield from _about_provider(("connections", name), given)
        yield from _about_variables(("connections", name), given, reading)
        yield from _about_hosts(("connections", name), given)
    for key, resource in tree.get("resources", _NONE).items():
        yield from _about_resource(("resources", key), resource, connections, reading)
    for name, settings in tree.get("providers", _NONE).items():
        spec = find_provider(name)
        if spec is not None and spec.settings is not None:
            yield from _about_options(("providers", name), settings, spec.settings)
    yield from _about_tracking(tree.get("tracking", _NONE), connections, reading)
    process = tree.get("kernel_process", _NONE)
    if "shared_caches" in process and not process.get("own_home"):
        yield (
            ("kernel_process", "shared_caches"),
            "needs `own_home: true`: without it the whole real home is there",
        )


def _about_provider(loc: Loc, given: Mapping[str, Any]) -> _Found:
    spec = find_provider(given.get("provider", ""))
    if spec is not None and spec.options is not None:
        yield from _about_options((*loc, "options"), given.get("options", _NONE), spec.options)


def _about_options(
    loc: Loc, given: Mapping[str, Any], known: Mapping[str, ProviderOption]
) -> _Found:
    for name, text in given.items():
        option = known.get(name)
        if option is None:
            words = did_you_mean(name, known) if known else "It takes none."
            yield (*loc, name), f"unknown option. {words}"
        elif option.choices is not None and text not in option.choices:
            yield (*loc, name), f"is not known. {did_you_mean(text, option.choices)}"
        elif option.pattern is not None and not re.fullmatch(option.pattern, text):
            yield (*loc, name), f"cannot be used: {option.form}"
    for name, option in known.items():
        if option.required and name not in given:
            yield (*loc, name), "is missing"


def _about_variables(loc: Loc, given: Mapping[str, Any], reading: Reading) -> _Found:
    parts = ("variables", "values", "files")
    first: dict[str, str] = {}
    for part in parts:
        for variable in given.get(part) or ():
            if variable in first:
                words = f"`{variable}` is set by `{first[variable]}` already"
                yield (*loc, part, variable), words
            first.setdefault(variable, part)
    gives = any((*loc, part) in reading.places for part in ("variables", "files"))
    if not gives and "provider" in given and not _usual_variables(given):
        yield loc, "gives a notebook nothing: name its `variables` or `files`"
    tracking = [name for name in first if name.startswith(TRACKING_PREFIX)]
    if not tracking:
        return
    for variable, part in first.items():
        if variable not in tracking or part == "files":
            yield (
                (*loc, part, variable),
                f"`{tracking[0]}` logs the runner in to a tracking server, and nothing of that "
                "reaches a notebook: put this into a connection of its own"
                if part != "files"
                else f"`{variable}`: a login to a tracking server has variables and no files",
            )
    if (*loc, "hosts") not in reading.places:
        yield loc, f"`{tracking[0]}` is sent to a server: name it under `hosts`"


def _about_hosts(loc: Loc, given: Mapping[str, Any]) -> _Found:
    hosts = [host for host in given.get("hosts", ()) if host is not None]
    for variable, value in given.get("values", _NONE).items():
        is_address = "://" in value or _HOST_NAME.search(variable) is not None
        if hosts and is_address and names_one_host(value) and not leads_to(value, hosts):
            yield (*loc, "values", variable), "leads to no host that `hosts` names"


def _about_resource(
    loc: Loc, resource: Mapping[str, Any], connections: Mapping[str, Any], reading: Reading
) -> _Found:
    key = str(loc[-1])
    for number, name in enumerate(resource.get("connections", ())):
        # The file of a package may mean those of a project.
        if name is not None and name not in connections and not reading.in_package:
            yield (*loc, "connections", number), _no_connection(name, connections)
    if "variable" in resource and "values" not in resource:
        yield (*loc, "variable"), "is for plain values, and `values` names none"
    elif "variable" in resource and key == TRACKING_KEY:
        yield (*loc, "variable"), "is not wanted: a plain value here is the tracking server"
    elif "values" in resource and "variable" not in resource and key != TRACKING_KEY:
        problem = variable_problem(Resource(key).plain_variable)
        if problem is not None:
            yield loc, f"{problem}, as `variable`"


def _about_tracking(
    tracking: Mapping[str, Any], connections: Mapping[str, Any], reading: Reading
) -> _Found:
    name, loc = tracking.get("connection"), ("tracking", "connection")
    if name is None:
        return
    if name not in connections:
        if not reading.in_package:
            yield loc, _no_connection(name, connections)
        return
    given = connections[name]
    limits = [key for key in ("teams", "folders", "environments") if key in given]
    if limits:
        of = " and ".join(f"`{key}`" for key in limits)
        yield loc, f"{name!r} is not for all runs, and all are recorded with it: take out its {of}"
    names = [*(given.get("variables") or ()), *(given.get("values") or ())]
    if not any(variable.startswith(TRACKING_PREFIX) for variable in names):
        yield loc, f"{name!r} gives no variable that begins with {TRACKING_PREFIX}"
    uri, hosts = tracking.get("tracking_uri"), [h for h in given.get("hosts", ()) if h is not None]
    if uri is not None and hosts and not leads_to(uri, hosts):
        yield loc, f"{name!r} is bound to {', '.join(hosts)}, and `tracking_uri` leads elsewhere"


def _no_connection(name: str, connections: Mapping[str, Any]) -> str:
    if not connections:
        return f"{name!r} is no connection: `connections` names none"
    return f"{name!r} is no connection. {did_you_mean(name, connections)}"


def _usual_variables(given: Mapping[str, Any]) -> Mapping[str, str]:
    spec = find_provider(given.get("provider", ""))
    return _NONE if spec is None else spec.variables


def build_connections(tree: Mapping[str, Any]) -> Mapping[str, Connection]:
    """The connections of values in which nothing is wrong, by name."""
    found = {}
    for name, given in tree.get("connections", _NONE).items():
        files = given.get("files", _NONE)
        variables = given.get("variables", _NONE if files else _usual_variables(given))
        found[name] = Connection(
            name=name,
            provider=given["provider"],
            key=given["key"],
            options=MappingProxyType(dict(given.get("options", _NONE))),
            variables=MappingProxyType(dict(variables)),
            values=MappingProxyType(dict(given.get("values", _NONE))),
            files=tuple(
                ConnectionFile(variable, file["name"], file.get("field"))
                for variable, file in files.items()
            ),
            public_fields=_names(given, "public_fields"),
            teams=_names(given, "teams"),
            folders=tuple(given.get("folders", ())),
            environments=_names(given, "environments"),
            hosts=tuple(given.get("hosts", ())),
            expires=given.get("expires"),
            revoked=NO_REASON if given.get("revoked") == "" else given.get("revoked"),
            description=given.get("description", ""),
        )
    return MappingProxyType(found)


def build_resources(tree: Mapping[str, Any]) -> Mapping[str, Resource]:
    """What may stand under each key of ``resources:``."""
    return MappingProxyType(
        {
            key: Resource(
                key,
                # With plain values alone no connection may stand there.
                connections=frozenset(given.get("connections", ())) if given else None,
                values=tuple(given.get("values", ())),
                variable=given.get("variable"),
                description=given.get("description", ""),
            )
            for key, given in tree.get("resources", _NONE).items()
        }
    )


def build_providers(tree: Mapping[str, Any]) -> Mapping[str, Mapping[str, str]]:
    """By provider, what it is told for all connections."""
    found = tree.get("providers", _NONE).items()
    return MappingProxyType({name: MappingProxyType(dict(given)) for name, given in found})


def build_kernel_rules(tree: Mapping[str, Any]) -> KernelRules:
    """What is said of the process a notebook runs in."""
    process = tree.get("kernel_process", _NONE)
    return KernelRules(
        own_home=process.get("own_home", False),
        shared_caches=tuple(process.get("shared_caches", ())),
        run_as=process.get("run_as"),
    )


def _names(given: Mapping[str, Any], key: str) -> frozenset[str] | None:
    return frozenset(given[key]) if key in given else None
