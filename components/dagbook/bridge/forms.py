"""Verbs about forms: which components there are, what a form asks for, and what may be chosen."""

from __future__ import annotations

import copy
import dataclasses
import os
from datetime import UTC, datetime
from typing import Any

from dagbook.bridge.known_types import notebook_type
from dagbook.bridge.verbs import Asked
from dagbook.catalogue.entries import Entry, find_entries
from dagbook.context import ENVIRONMENT_VARIABLE
from dagbook.credentials.own import public_variables
from dagbook.labels import HELP, LABELS, label_of
from dagbook.notebook_runner.form_schema import form_schema
from dagbook.notebook_runner.policy_problems import policy_in_force
from dagbook.policy.connection_choices import connection_choices
from dagbook.policy.decision import options as size_options
from dagbook.policy.platform import Platform
from dagbook.project import Project
from dagbook.schedule_words import FORMS
from dagbook.scheduling import COMPONENT_TYPE
from dagbook.time_zones import local_zone_name
from dagbook.validation import importable

#: Shown before More, in this order.
EVERYDAY = (
    "schedule",
    "parameters",
    "compute_size",
    "partitions",
    "deps",
    "monitoring",
    "resources",
)

# By what they depend on: the policy's version changes with its text, the code with the process.
_schemas: dict[tuple[Any, ...], dict[str, Any]] = {}
_catalogues: dict[bool, list[Entry]] = {}
_MOST_SCHEMAS = 512


def catalogue(asked: Asked) -> dict[str, Any]:
    """Which components there are, each with what it does; what cannot be loaded says why."""
    entries = _catalogues.get(asked.is_trusted)
    if entries is None:
        project = asked.project if asked.is_trusted else None
        if project is None:
            entries = find_entries(None)
        else:
            with importable(project):
                entries = find_entries(project)
        _catalogues[asked.is_trusted] = entries
    return {
        "components": [
            {
                "name": entry.name,
                "label": _label(entry),
                "summary": entry.summary,
                "description": entry.description,
                "problem": entry.reason,
                "package": dataclasses.asdict(entry.package),
                "runs_notebooks": entry.runs_notebooks,
            }
            for entry in entries
        ]
    }


def schema(
    asked: Asked,
    notebook: str,
    type: str | None = None,
    component: str | None = None,
) -> dict[str, Any]:
    """What a form for a notebook asks for: the pair of schemas, labelled, with the policy in it."""
    project = asked.project
    type, asset = _type_and_asset(asked, notebook, type, component)
    class_ = notebook_type(asked, project, type)
    return schema_of(project, class_, notebook, asset, type or COMPONENT_TYPE)


def _type_and_asset(
    asked: Asked, notebook: str, type: str | None, component: str | None
) -> tuple[str | None, str | None]:
    """The type that is asked for, else that of the notebook's component; and its asset's key."""
    found = asked.index.choose(notebook, component)
    if found is None:
        return type, None
    return type or found.document.type, found.key


def schema_of(
    project: Project, class_: type[Any], notebook: str, asset: str | None, name: str
) -> dict[str, Any]:
    """The same for a class that was found."""
    platform = policy_in_force(class_, project.root)
    today = datetime.now(UTC).date()  # approvals end on a day
    key = (name, class_, id(platform), platform.version, notebook, asset, today)
    known = _schemas.get(key)
    # The platform itself is kept: its number must not become another's.
    if known is not None and known["platform"] is platform:
        return dict(known["form"])
    form = form_schema(class_, project.root, notebook, asset=asset, platform=platform)
    labelled = _labelled(form["schema"])
    answer = {
        "type": name,
        "dataSchema": labelled,
        "uiSchema": {
            **form["ui"],
            "ui:order": list(labelled.get("properties", {})),
            "dagbook:everyday": [n for n in EVERYDAY if n in labelled.get("properties", {})],
        },
        "policy": form["policy"],
        "markdown": class_.__doc__ or "",
    }
    if len(_schemas) >= _MOST_SCHEMAS:
        _schemas.clear()
    _schemas[key] = {"platform": platform, "form": answer}
    return dict(answer)


def options(
    asked: Asked,
    notebook: str,
    type: str | None = None,
    component: str | None = None,
) -> dict[str, Any]:
    """What may be chosen for a notebook, and of the rest why not: sizes, kernels, connections."""
    from dagbook.execution.kernelspec import kernel_names

    project = asked.project
    type, asset = _type_and_asset(asked, notebook, type, component)
    platform = policy_in_force(notebook_type(asked, project, type), project.root)
    kernels = platform.rules.kernels
    return {
        "sizes": [
            dataclasses.asdict(choice) for choice in size_options(platform, notebook, asset=asset)
        ],
        "currency": platform.currency if platform.has_prices else None,
        "connections": _connections(platform, notebook, asset),
        "own_credentials": _own_credentials(platform),
        "kernels": [
            {"name": name, "allowed": kernels is None or name in kernels} for name in kernel_names()
        ],
        "schedule_forms": list(FORMS),
        "timezone": local_zone_name(),
        "ask": platform.contact,
    }


def _connections(platform: Platform, notebook: str, asset: str | None) -> dict[str, Any]:
    """By key of `resources`, the connections that may stand there, and those that may not.

    Nothing of where their secrets are kept.
    """
    here = os.environ.get(ENVIRONMENT_VARIABLE) or None
    found = connection_choices(platform, notebook, asset=asset, environment=here)
    return {
        key: [dataclasses.asdict(choice) for choice in choices] for key, choices in found.items()
    }


def _own_credentials(platform: Platform) -> list[dict[str, Any]]:
    """What a researcher may keep of their own, by connection, and what of it is no secret."""
    return [
        {
            "name": found.name,
            "own": [*found.variables, *(file.variable for file in found.files)],
            "files": [file.variable for file in found.files],
            "public": sorted(public_variables(found)),
        }
        for found in platform.connections.values()
        if not found.logs_in_to_tracking
    ]


def _label(entry: Entry) -> str:
    """A component's name for people: ``CompanyNotebook`` is ``Company notebook``."""
    words = "".join(
        f" {letter.lower()}" if letter.isupper() and index else letter
        for index, letter in enumerate(entry.name.rpartition(".")[2].removesuffix("Component"))
    )
    return words.strip()


def _labelled(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema in a researcher's words, with our labels as titles and in their order."""
    found: dict[str, Any] = copy.deepcopy(schema)
    definitions = found.get("$defs", {})
    properties = found.get("properties", {})
    for name, part in properties.items():
        part["title"] = label_of(name)
        if name in HELP:
            part["description"] = HELP[name]
        for inner in _objects(part, definitions):
            for key, value in inner.get("properties", {}).items():
                if f"{name}.{key}" in LABELS:  # others say themselves what they are called
                    value["title"] = label_of(name, key)
                if f"{name}.{key}" in HELP:
                    value["description"] = HELP[f"{name}.{key}"]
    order = [name for name in LABELS if name in properties]
    order += [name for name in properties if name not in LABELS]
    found["properties"] = {name: properties[name] for name in order}
    return found


def _objects(part: dict[str, Any], definitions: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    if "$ref" in part:
        found += _objects(definitions[str(part["$ref"]).rpartition("/")[2]], definitions)
    for variant in (*part.get("anyOf", ()), *part.get("oneOf", ())):
        found += _objects(variant, definitions)
    return [*found, part] if "properties" in part else found
