"""The reference of the YAML, written from the component itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel

from dagbook.notebook_runner.component import NotebookRunnerComponent
from dagbook.yaml_text import block_text


def attributes_reference(
    component_class: type[NotebookRunnerComponent] = NotebookRunnerComponent,
) -> str:
    """Describe every attribute in Markdown: what it is for, its default, how it is written."""
    model = component_class.get_model_cls()
    assert model is not None
    nested = {name: list(_models(f.annotation)) for name, f in component_class.model_fields.items()}
    sections = []
    for name, info in model.model_fields.items():
        required = component_class.model_fields[name].is_required()
        default = f" Default: `{info.default}`." if _is_shown(info.default) else ""
        lines = [f"### `{name}`", ""]
        lines += [f"{'Required. ' if required else ''}{info.description}{default}", ""]
        for example in info.examples or []:
            lines += ["```yaml", block_text({name: example}, 0), "```", ""]
        for part in nested[name]:
            # Two ways to write one thing are told apart by their first words.
            lines += [str(part.__doc__), ""] if len(nested[name]) > 1 else []
            lines += [*_table(name, part), ""]
        sections.append("\n".join(lines).rstrip())
    return "\n\n".join(sections) + "\n"


def _table(name: str, model: type[BaseModel]) -> Iterator[str]:
    yield "| key | what it says | default |"
    yield "|---|---|---|"
    for key, info in model.model_fields.items():
        choices = [f"`{choice}`" for choice in _choices(info.annotation)]
        what = f"{info.description} One of {', '.join(choices)}." if choices else info.description
        default = "required"
        if not info.is_required():
            default = _default(info.get_default(call_default_factory=True))
        yield f"| `{name}.{key}` | {what} | {default} |"


def _default(value: Any) -> str:
    if value is None or value in ([], {}):
        return ""
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    return ", ".join(f"`{item}`" for item in (value if isinstance(value, list) else [value]))


def _is_shown(default: Any) -> bool:
    # What Dagster cannot write down as a default, an empty list say, it marks with its own word.
    return isinstance(default, str) and not default.startswith("__")


def _choices(annotation: Any) -> Iterator[Any]:
    if get_origin(annotation) is Literal:
        yield from get_args(annotation)
        return
    for argument in get_args(annotation):
        yield from _choices(argument)


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
