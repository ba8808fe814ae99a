"""What a component takes: its attributes, with the defaults and values that a policy leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import UnionType
from typing import Any, Union, get_args, get_origin

from pydantic import BaseModel

from dagbook.policy.platform import Platform
from dagbook.yaml_text import flow_text

_KINDS = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "null": "nothing",
}
#: What Dagster writes where a default cannot be said in a schema.
_UNSET = "__DAGSTER_UNSET_DEFAULT__"


@dataclass(frozen=True)
class Attribute:
    """One key below ``attributes:``, or within one of them."""

    name: str
    kind: str
    """What is written there, in words: ``text``, ``list of text``, ``keys``"""
    description: str
    required: bool
    default: str | None = None
    """As YAML; None without one"""
    allowed: tuple[str, ...] = ()
    """The values there are, where they are few; empty when anything of its kind will do"""
    policy: tuple[str, ...] = ()
    """What the policy in force says of it, a line each"""
    examples: tuple[Any, ...] = ()
    keys: tuple[Attribute, ...] = ()


def describe_attributes(component: type[Any], platform: Platform) -> list[Attribute]:
    """Every attribute of a component, in the order of its class.

    Args:
        component: the class.
        platform: the policy in force; it says nothing of components that run no notebooks.
    """
    from dagbook.catalogue.under_policy import under_policy
    from dagbook.component_types import runs_notebooks

    model = component.get_model_cls()
    if model is None:
        return []
    schema = model.model_json_schema()
    fields: Mapping[str, Any] = getattr(component, "model_fields", {})
    found = [
        _with_class_default(_attribute(name, part, schema, fields.get(name)), fields.get(name))
        for name, part in schema.get("properties", {}).items()
    ]
    found = [replace(a, required=a.name in schema.get("required", [])) for a in found]
    return [under_policy(a, platform) for a in found] if runs_notebooks(component) else found


def _attribute(
    name: str, part: Mapping[str, Any], schema: Mapping[str, Any], field: Any = None
) -> Attribute:
    variants = _variants(part, schema, field)
    default = part.get("default", _UNSET)
    return Attribute(
        name=name,
        kind=" or ".join(dict.fromkeys(_kind(v, schema) for v in variants)) or "anything",
        description=" ".join(str(part.get("description", "")).split()),
        required=False,
        default=None if default in (_UNSET, None) else flow_text(default),
        allowed=tuple(word for variant in variants for word in _choices(variant)),
        examples=tuple(part.get("examples", ())),
        keys=tuple(_keys(variants, schema)),
    )


def _keys(variants: list[Mapping[str, Any]], schema: Mapping[str, Any]) -> list[Attribute]:
    """The keys within an attribute; of several ways to write it, those of each."""
    found: dict[str, Attribute] = {}
    with_keys = [variant for variant in variants if variant.get("properties")]
    for variant in with_keys:
        for name, part in variant["properties"].items():
            key = _attribute(name, part, schema)
            if name in found:
                allowed = dict.fromkeys((*found[name].allowed, *key.allowed))
                key = replace(found[name], allowed=tuple(allowed))
            always = all(name in variant.get("required", ()) for variant in with_keys)
            found[name] = replace(key, required=always)
    return list(found.values())


def _variants(
    part: Mapping[str, Any], schema: Mapping[str, Any], field: Any = None
) -> list[Mapping[str, Any]]:
    """The ways in which a value may be written, without `null`, references followed."""
    if "$ref" in part:
        return _variants(schema["$defs"][part["$ref"].rpartition("/")[2]], schema, field)
    several = part.get("anyOf") or part.get("oneOf")
    if several is None:
        return [part]
    found = [v for one in several for v in _variants(one, schema) if v.get("type") != "null"]
    if field is not None and found[-1:] == [{"type": "string"}] and not _takes_text(field):
        # Dagster lets a template stand for whatever is not text, and puts it last.
        found = found[:-1] or found
    return found


def _takes_text(field: Any) -> bool:
    annotation = field.annotation
    is_union = get_origin(annotation) in (Union, UnionType)
    return annotation is str or (is_union and str in get_args(annotation))


def _kind(variant: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if choices := list(_choices(variant)):
        return "one of a few words" if len(choices) > 1 else choices[0]
    kind = variant.get("type")
    if kind == "array":
        items = _variants(variant.get("items", {}), schema)
        inner = " or ".join(dict.fromkeys(_kind(item, schema) for item in items))
        return f"list of {inner or 'anything'}"
    if kind == "object":
        return "keys" if variant.get("properties") else "names with values"
    return _KINDS.get(str(kind), "anything")


def _choices(variant: Mapping[str, Any]) -> Iterator[str]:
    if "const" in variant:
        yield flow_text(variant["const"])
    for choice in variant.get("enum", ()):
        yield flow_text(choice)
    if variant.get("type") == "array":
        yield from _choices(variant.get("items", {}))


def _with_class_default(attribute: Attribute, field: Any) -> Attribute:
    """The default of the class, where the schema cannot say it."""
    if attribute.default is not None or field is None or field.is_required():
        return attribute
    value = field.get_default(call_default_factory=True)
    if value is None or isinstance(value, BaseModel) or value in ([], {}):
        return attribute
    return replace(attribute, default=flow_text(value))
