"""An example of a component's YAML that passes validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagbook.catalogue.attributes import Attribute, describe_attributes
from dagbook.catalogue.entries import Entry
from dagbook.component_index import index_components
from dagbook.policy.platform import Platform
from dagbook.project import Project, folders_below
from dagbook.yaml_text import block_text

#: What stands for a text that nobody gave an example for.
_TEXTS = {"path": "churn.py", "owners": "team:growth", "description": "What it does, and for whom"}
_DEEPEST = 6


def find_example(entry: Entry, platform: Platform, project: Project | None = None) -> str | None:
    """The YAML of a component with what it requires, and nothing else.

    Args:
        entry: the component.
        platform: the policy in force; what it requires is in the example too.
        project: where a notebook is looked for; without one the example names a file that may
            not exist.

    Returns:
        The YAML, None when no sound one could be made of what the component's schema says.
    """
    assert entry.component is not None
    attributes = _attributes(entry, platform, project)
    if not _is_sound(entry, attributes):
        return None
    text = f"type: {entry.name}\n"
    return text + (f"attributes:\n  {block_text(attributes, 2)}\n" if attributes else "")


def _attributes(entry: Entry, platform: Platform, project: Project | None) -> dict[str, Any]:
    component: Any = entry.component
    found: dict[str, Any] = {}
    described = describe_attributes(component, platform)
    schema = component.get_model_cls().model_json_schema()
    for attribute in described:
        if entry.runs_notebooks and attribute.name == "notebook":
            found["notebook"] = _notebook(project) or attribute.examples[0]
        elif attribute.required:
            found[attribute.name] = _value(attribute, schema["properties"][attribute.name], schema)
    if entry.runs_notebooks:
        if component.current_schema_version > 1:
            found["schema_version"] = component.current_schema_version
        for wanted in platform.rules.required_metadata:
            key, _, tag = wanted.key.partition(".")
            if tag:
                found["tags"] = {**(found.get("tags") or {}), tag: "unknown"}
            elif key == "owners":
                found[key] = ["team:growth"]
    return found


def _notebook(project: Project | None) -> str | None:
    """A notebook of the project, first of all one that is scheduled already."""
    if project is None:
        return None
    for component in index_components(project).components:
        if (project.root / component.notebook).is_file():
            return component.notebook
    for folder in folders_below(project.root):
        if project.runs_folder in (folder, *folder.parents):
            continue
        for path in sorted(folder.glob("*.ipynb")):
            return path.relative_to(project.root).as_posix()
    return None


def _value(attribute: Attribute, part: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    return attribute.examples[0] if attribute.examples else _made(attribute.name, part, schema, 0)


def _made(name: str, part: Mapping[str, Any], schema: Mapping[str, Any], depth: int) -> Any:
    """A value of a schema: its first example, else as little as it asks for."""
    if part.get("examples"):
        return part["examples"][0]
    if "const" in part or "enum" in part:
        return part.get("const", next(iter(part.get("enum", ())), None))
    if "$ref" in part and depth < _DEEPEST:
        return _made(name, schema["$defs"][part["$ref"].rpartition("/")[2]], schema, depth + 1)
    for several in ("anyOf", "oneOf"):
        if several in part:
            return _made(name, part[several][0], schema, depth + 1)
    kind = part.get("type")
    if kind == "object":
        properties = part.get("properties", {})
        return {
            key: _made(key, properties.get(key, {}), schema, depth + 1)
            for key in part.get("required", ())
        }
    if kind == "array":
        return [_made(name, part.get("items", {}), schema, depth + 1)]
    numbers = {"integer": part.get("minimum", 1), "number": part.get("minimum", 1.0)}
    return {"boolean": True, **numbers}.get(str(kind), _TEXTS.get(name, "example"))


def _is_sound(entry: Entry, attributes: dict[str, Any]) -> bool:
    from pydantic import TypeAdapter, ValidationError

    component: Any = entry.component
    model = component.get_model_cls()
    try:
        if attributes:
            TypeAdapter(model).validate_python(attributes)
    except ValidationError:
        return False
    return True
