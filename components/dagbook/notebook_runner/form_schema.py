"""The schema of a component's form with the platform's rules in it.

What is forbidden is shown, disabled, with the reason; what is allowed comes with its bounds.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.context import ENVIRONMENT_VARIABLE
from dagbook.execution.allowance import name_in_project
from dagbook.notebook_runner.dagster_forms import form_of
from dagbook.notebook_runner.policy_problems import policy_in_force
from dagbook.policy.connection_choices import ConnectionChoice, connection_choices
from dagbook.policy.decision import options
from dagbook.policy.platform import Platform
from dagbook.policy.sizes import HOUR

if TYPE_CHECKING:
    from dagbook.notebook_runner.component import NotebookRunnerComponent


def form_schema(
    component_class: type[NotebookRunnerComponent],
    project_root: Path,
    notebook: Path | str,
    *,
    asset: str | None = None,
    platform: Platform | None = None,
) -> dict[str, Any]:
    """What a form needs to ask for a component's attributes, within what the platform allows.

    Args:
        component_class: ours, or a company's.
        project_root: the project.
        notebook: the notebook the form is about, relative to the project.
        asset: its asset's key, where it has one, for what was approved of it.
        platform: the policy; by default the one in force.

    Returns:
        ``schema``, the JSON schema of what stands below ``attributes:``, and ``ui``, hints of how
        to show it, as react-jsonschema-form takes both. A choice that is not allowed stands among
        the others with ``disabled`` and its ``reason``; a value that holds it is not valid.
        ``policy`` says which version of which file that is, whom to ask, and what no schema can:
        how far apart ticks have to be, which checks the notebook needs, whether it needs a trial.

    Raises:
        DagbookError: a platform file cannot be used.
    """
    if platform is None:
        platform = policy_in_force(component_class, project_root)
    schema, ui = form_of(component_class)
    schema = {**schema, "properties": dict(schema.get("properties", {}))}
    ui = dict(ui)
    named = project_root / notebook
    name = name_in_project(named, named.resolve(), project_root)
    _sizes(schema, ui, platform, name, asset)
    _connections(schema, ui, platform, name, asset)
    _kernels(schema, platform)
    _metadata(schema, platform)
    _numbers(schema, platform)
    _defaults(schema, platform)
    team, rules = platform.team_of(name), platform.rules
    return {
        "schema": schema,
        "ui": ui,
        "policy": {
            "version": platform.version,
            "file": None if platform.file is None else str(platform.file),
            "team": None if team is None else team.team,
            "ask": (None if team is None else team.contact) or platform.contact,
            "minimum_schedule_interval_seconds": rules.minimum_schedule_interval_seconds,
            "required_checks": list(rules.required_checks),
            "require_trial": rules.require_trial,
        },
    }


def _sizes(
    schema: dict[str, Any], ui: dict[str, Any], platform: Platform, notebook: str, asset: str | None
) -> None:
    choices = []
    forbidden = []
    for choice in options(platform, notebook, asset=asset):
        shown: dict[str, Any] = {"const": choice.name, "title": choice.label}
        if choice.description:
            shown["description"] = choice.description
        if choice.price_per_hour is not None:
            shown["price_per_hour"] = choice.price_per_hour
            shown["currency"] = platform.currency
        if not choice.allowed:
            shown |= {"disabled": True, "reason": choice.reason}
            forbidden.append(choice.name)
        choices.append(shown)
    # `not` and not `enum`: a form lists what is in an `enum` and nothing else.
    part = _part(schema, "compute_size")
    part |= {"oneOf": choices, "default": platform.default_size}
    part.pop("examples", None)
    if forbidden:
        part["not"] = {"enum": forbidden}
        ui["compute_size"] = {**ui.get("compute_size", {}), "ui:enumDisabled": forbidden}
    allowed = [platform.sizes[c["const"]] for c in choices if not c.get("disabled")]
    longest = max((size.max_runtime_seconds for size in allowed), default=None)
    if longest is not None:
        _bounded(_part(schema, "limits", "max_runtime_hours"), None, longest / HOUR)


def _connections(
    schema: dict[str, Any], ui: dict[str, Any], platform: Platform, notebook: str, asset: str | None
) -> None:
    here = os.environ.get(ENVIRONMENT_VARIABLE) or None
    if not platform.resources:
        # A key that nothing can stand under is none to show.
        schema["properties"].pop("resources", None)
        return
    part = _part(schema, "resources")
    for key in ("examples", "default"):
        part.pop(key, None)
    part |= {"title": "Connections", "properties": {}, "additionalProperties": False}
    hints: dict[str, Any] = {}
    found = connection_choices(platform, notebook, asset=asset, environment=here)
    for key, choices in found.items():
        resource = platform.resources[key]
        shown: dict[str, Any]
        kinds: list[dict[str, Any]] = []
        if choices:
            kinds.append({"oneOf": [_choice(choice) for choice in choices]})
        if resource.values:
            # Whether it fits a pattern is said when it is judged: no schema can.
            like = list(resource.values)
            kinds.append({"title": " or ".join(like), "minLength": 1, "examples": like})
        shown = dict(kinds[0]) if len(kinds) == 1 else {"anyOf": kinds}
        shown |= {"type": "string", "title": key}
        if resource.description:
            shown["description"] = resource.description
        forbidden = [choice.name for choice in choices if not choice.allowed]
        if forbidden:
            shown["not"] = {"enum": forbidden}
            hints[key] = {"ui:enumDisabled": forbidden}
        part["properties"][key] = shown
    if hints:
        ui["resources"] = {**ui.get("resources", {}), **hints}


def _choice(choice: ConnectionChoice) -> dict[str, Any]:
    shown: dict[str, Any] = {"const": choice.name, "title": choice.name}
    if choice.description:
        shown["description"] = choice.description
    if choice.variables:
        shown["variables"] = list(choice.variables)
    return shown if choice.allowed else {**shown, "disabled": True, "reason": choice.reason}


def _kernels(schema: dict[str, Any], platform: Platform) -> None:
    if platform.rules.kernels is not None:
        _part(schema, "kernel")["enum"] = sorted(platform.rules.kernels)


def _metadata(schema: dict[str, Any], platform: Platform) -> None:
    required = list(schema.get("required", []))
    for wanted in platform.rules.required_metadata:
        first, _, rest = wanted.key.partition(".")
        part = _part(schema, first)
        if first not in required:
            required.append(first)
        if rest:
            part["required"] = [*part.get("required", []), rest]
            value: dict[str, Any] = {"type": "string", "minLength": 1}
            part["properties"] = {**part.get("properties", {}), rest: value}
        elif part.get("type") == "array":
            part["minItems"] = 1
            value = part["items"] = dict(part.get("items", {}))
        else:
            part["minLength"] = 1
            value = part
        if wanted.pattern is not None:
            value["pattern"] = _whole(wanted.pattern)
        if wanted.help is not None:
            value["help"] = wanted.help
    if required:
        schema["required"] = required
    if platform.rules.key_patterns:
        key = _part(schema, "key")
        key["allOf"] = [{"pattern": _whole(pattern)} for pattern in platform.rules.key_patterns]


def _numbers(schema: dict[str, Any], platform: Platform) -> None:
    most = platform.rules.maximum_retries
    if most is not None:
        for part in _retries(schema):
            _bounded(part, None, most)
    for key, bound in platform.bounds.items():
        parts = list(_retries(schema)) if key == "retries.max" else [_part(schema, *key.split("."))]
        for part in parts:
            _bounded(part, bound.minimum, bound.maximum)


def _retries(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Both ways in which a number of retries is written."""
    part = _part(schema, "retries")
    variants = [dict(variant) for variant in part.get("anyOf", [])]
    if variants:
        part["anyOf"] = variants
    yield from (variant for variant in variants if variant.get("type") == "integer")
    yield _part(schema, "retries", "max")


def _defaults(schema: dict[str, Any], platform: Platform) -> None:
    for key, value in platform.defaults.items():
        _part(schema, *key.split("."))["default"] = value


def _bounded(part: dict[str, Any], minimum: float | None, maximum: float | None) -> None:
    if minimum is not None:
        part["minimum"] = max(minimum, part.get("minimum", minimum))
    if maximum is not None:
        part["maximum"] = min(maximum, part.get("maximum", maximum))


def _part(schema: dict[str, Any], *keys: str) -> dict[str, Any]:
    """The schema of one attribute, as an object of this form's own that may be changed."""
    at = schema
    for key in keys:
        target = _behind(schema, at)
        properties = target["properties"] = dict(target.get("properties", {}))
        at = properties[key] = dict(properties.get(key, {}))
    return at


def _behind(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    """What a part refers to, where its own keys stand."""
    references = [part.get("$ref"), *(variant.get("$ref") for variant in part.get("anyOf", []))]
    reference = next((found for found in references if found), None)
    if reference is None:
        return part
    name = str(reference).rpartition("/")[2]
    definitions = schema["$defs"] = dict(schema["$defs"])
    found: dict[str, Any] = dict(definitions[name])
    definitions[name] = found
    return found


def _whole(pattern: str) -> str:
    return f"^(?:{pattern})$"
