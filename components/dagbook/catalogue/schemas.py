"""A component's attributes as a JSON schema, for editors and forms."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagbook.catalogue.entries import Entry
from dagbook.policy.platform import Platform

_UNSET = "__DAGSTER_UNSET_DEFAULT__"


def schema_of(entry: Entry, platform: Platform) -> dict[str, Any]:
    """The JSON schema of what stands below ``attributes:``.

    Of a component that runs notebooks the choices are those that the platform leaves: its sizes
    and kernels, and its bounds.
    """
    assert entry.component is not None
    schema = _without_unset(entry.component.get_model_cls().model_json_schema())
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    schema["title"] = entry.name
    properties = schema.get("properties", {})
    if not entry.runs_notebooks:
        return schema
    properties["compute_size"] |= {"enum": list(platform.sizes), "default": platform.default_size}
    if platform.rules.kernels is not None:
        properties["kernel"] |= {"enum": [*sorted(platform.rules.kernels), None]}
    for name, bound in platform.bounds.items():
        part = _part(schema, name)
        for variant in part.get("anyOf", [part]) if part else ():
            if variant.get("type") in ("integer", "number"):
                variant |= {
                    **({"minimum": bound.minimum} if bound.minimum is not None else {}),
                    **({"maximum": bound.maximum} if bound.maximum is not None else {}),
                }
    required = {wanted.key.partition(".")[0] for wanted in platform.rules.required_metadata}
    schema["required"] = sorted({*schema.get("required", ()), *required})
    return schema


def _part(schema: Mapping[str, Any], dotted: str) -> dict[str, Any] | None:
    """What the schema says of a dotted key."""
    found: Any = schema
    for name in dotted.split("."):
        variants = [found, *found.get("anyOf", ())]
        variants += [schema["$defs"][v["$ref"].rpartition("/")[2]] for v in variants if "$ref" in v]
        found = next(
            (v["properties"][name] for v in variants if name in v.get("properties", {})), None
        )
        if found is None:
            return None
    return found if isinstance(found, dict) else None


def _without_unset(value: Any) -> Any:
    """Without the mark by which Dagster says that a default cannot be said."""
    if isinstance(value, dict):
        return {
            key: _without_unset(item)
            for key, item in value.items()
            if not (key == "default" and item == _UNSET)
        }
    return [_without_unset(item) for item in value] if isinstance(value, list) else value
