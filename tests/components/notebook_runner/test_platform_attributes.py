"""The attributes that the platform file knows are those that the component has."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, ValidationError

from dagbook.notebook_runner import NotebookRunnerComponent
from dagbook.notebook_runner.attributes import Measurement
from dagbook.policy.attribute_defaults import with_defaults
from dagbook.policy.attribute_keys import ATTRIBUTES, MEASUREMENTS, NUMBERS
from dagbook.policy.file_kinds import Number
from dagbook.policy.platform_file import platform_from_text

#: What no default could be for every notebook, or is said elsewhere in the platform file.
NO_DEFAULT = {
    "notebook", "key", "parameters", "partitions", "description", "deps", "compute_size",
    "schedule.cron", "schedule.own_job", "retries.on", "experiment.tags",
    "experiment.tracking_uri", "dagstermill.resource_keys", "dagstermill.io_manager_key",
    "dagstermill.inputs", "tags", "schema_version", "limits.max_cost_usd", "resources",
}  # fmt: skip
#: What `budgets.per_run` bounds, and what no platform has a say in.
NO_BOUNDS = {"limits.max_cost_usd", "schema_version"}


def attributes_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in model.model_fields.items():
        inner = [m for m in models_in(field.annotation) if name != "partitions"]
        if inner:
            yield from attributes_of(inner[0], f"{prefix}{name}.")
        else:
            yield prefix + name, field.annotation


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    elif get_origin(annotation) is not None or isinstance(annotation, types.UnionType):
        for part in get_args(annotation):
            yield from models_in(part)


def is_number(annotation: Any) -> bool:
    if annotation in (int, float):
        return True
    return any(is_number(part) for part in get_args(annotation))


def test_every_attribute_can_have_a_default_or_there_is_a_reason() -> None:
    names = {name for name, _ in attributes_of(NotebookRunnerComponent)}
    assert names == set(ATTRIBUTES) | NO_DEFAULT


def test_every_number_can_have_bounds() -> None:
    numbers = {n for n, kind in attributes_of(NotebookRunnerComponent) if is_number(kind)}
    assert numbers == set(NUMBERS) | NO_BOUNDS


def test_measurements_are_the_component_s() -> None:
    assert get_args(Measurement) == MEASUREMENTS
    assert get_origin(Measurement) is Literal


def number_cases() -> list[tuple[str, float, bool]]:
    cases = []
    for name, kind in NUMBERS.items():
        assert isinstance(kind, Number)
        for value in (-1, 0, 1, 0.5, 100, 101):
            whole = not kind.whole or isinstance(value, int)
            high = kind.maximum is None or value <= kind.maximum
            low = (kind.minimum is None or value >= kind.minimum) and (
                kind.above is None or value > kind.above
            )
            cases.append((name, value, whole and high and low))
    return cases


@pytest.mark.parametrize(("name", "value", "fine"), number_cases())
def test_a_number_is_fine_here_exactly_when_it_is_for_the_component(
    name: str, value: float, fine: bool
) -> None:
    from pathlib import Path

    attributes: dict[str, Any] = {"notebook": "a.ipynb"}
    first, _, rest = name.partition(".")
    attributes[first] = {rest: value} if rest else value
    if fine:
        NotebookRunnerComponent.model_validate(attributes)
        text = f"defaults: {{{name}: {value}}}"
        platform = platform_from_text(text.encode(), Path("p"), label="p", in_package=False)
        filled = with_defaults({"notebook": "a.ipynb"}, platform)
        NotebookRunnerComponent.model_validate(filled)
    else:
        with pytest.raises(ValidationError):
            NotebookRunnerComponent.model_validate(attributes)
