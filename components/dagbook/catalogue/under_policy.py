"""An attribute under the policy in force: what its platform file requires, bounds or forbids."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from dagbook.catalogue.attributes import Attribute
from dagbook.policy.connections import Resource
from dagbook.policy.cost import in_money
from dagbook.policy.platform import Platform, Wanted
from dagbook.policy.sizes import Size
from dagbook.yaml_text import flow_text


def under_policy(attribute: Attribute, platform: Platform, prefix: str = "") -> Attribute:
    """The same attribute with what a platform says of it and of the keys within it."""
    name = f"{prefix}{attribute.name}"
    found = replace(
        attribute,
        default=_default(name, attribute, platform),
        allowed=_allowed(name, platform) or attribute.allowed,
        policy=tuple(_said(name, platform)),
        keys=tuple(under_policy(key, platform, f"{name}.") for key in attribute.keys),
    )
    return replace(found, required=True) if name in _wanted(platform) else found


def _default(name: str, attribute: Attribute, platform: Platform) -> str | None:
    if name == "compute_size":
        return platform.default_size
    value = platform.defaults.get(name)
    return attribute.default if value is None else flow_text(value)


def _allowed(name: str, platform: Platform) -> tuple[str, ...]:
    if name == "compute_size":
        return tuple(_said_size(size, platform) for size in platform.sizes.values())
    if name == "kernel" and platform.rules.kernels is not None:
        return tuple(sorted(platform.rules.kernels))
    if name == "resources":
        return tuple(_said_resource(resource, platform) for resource in platform.resources.values())
    return ()


def _said_size(size: Size, platform: Platform) -> str:
    price = ""
    if size.price_per_hour is not None:
        price = f", {in_money(size.price_per_hour, platform.currency)} an hour"
    teams = "" if size.teams is None else f", for {', '.join(sorted(size.teams)) or 'nobody'}"
    text = f": {size.description}" if size.description else ""
    return f"{size.label}{price}{teams}{text}"


def _said_resource(resource: Resource, platform: Platform) -> str:
    known = platform.connections
    names = [n for n in known if resource.connections is None or n in resource.connections]
    text = f" ({resource.description})" if resource.description else ""
    return f"{resource.key}{text}: {', '.join((*names, *resource.values)) or 'nothing'}"


def _wanted(platform: Platform) -> dict[str, Wanted]:
    # Of the tags, the attribute is required that holds them.
    return {w.key.partition(".")[0]: w for w in platform.rules.required_metadata}


def _said(name: str, platform: Platform) -> Iterator[str]:
    rules = platform.rules
    for wanted in rules.required_metadata:
        if wanted.key.partition(".")[0] == name:
            # Of a tag, which one.
            key = "" if wanted.key == name else f": {wanted.key}"
            pattern = f", as {wanted.pattern}" if wanted.pattern else ""
            note = f" ({wanted.help})" if wanted.help else ""
            yield f"required by the platform{key}{pattern}{note}"
    if name in platform.defaults:
        yield "the platform's default"
    bound = platform.bounds.get(name)
    if bound is not None:
        ends = [
            f"at least {bound.minimum:g}" if bound.minimum is not None else "",
            f"at most {bound.maximum:g}" if bound.maximum is not None else "",
        ]
        yield " and ".join(end for end in ends if end)
    if name in ("retries", "retries.max") and rules.maximum_retries is not None:
        yield f"at most {rules.maximum_retries}"
    if name == "schedule" and rules.minimum_schedule_interval_seconds:
        yield f"at least {_in_words(rules.minimum_schedule_interval_seconds)} between two runs"
    if name == "schedule" and rules.require_trial:
        yield "only for a notebook that has run well once, as it is"
    if name == "key":
        yield from (f"as {pattern}" for pattern in rules.key_patterns)
    if name == "notebook":
        yield from (f"one of {', '.join(group)}" for group in rules.folders)
    if name == "notebook" and rules.required_checks:
        yield f"with the checks {', '.join(rules.required_checks)}"
    if name == "experiment.tracking_uri":
        yield from (f"one of {', '.join(group)}" for group in platform.tracking.allowed_uris)


def _in_words(seconds: float) -> str:
    for unit, word in ((3600, "h"), (60, "min")):
        if seconds >= unit and seconds % unit == 0:
            return f"{seconds / unit:g} {word}"
    return f"{seconds:g} s"
