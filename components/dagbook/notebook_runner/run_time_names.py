"""Names in braces: ``{{ data_interval_start }}`` in YAML, filled in when the run starts."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dagbook.errors import DagbookError, did_you_mean

#: What may stand in braces, with what the reader gets.
RUN_TIME_NAMES: dict[str, str] = {
    "partition_key": "the partition of the run, as text",
    "data_interval_start": "the start of the interval the run is about, ISO 8601",
    "data_interval_end": "the end of that interval, ISO 8601",
    "run_date": "the day of the schedule's tick or of the launch, YYYY-MM-DD",
    "run_id": "the run's identity in Dagster",
    "experiment_id": "the identity of the MLflow experiment",
    "environment": "the deployment's name, from DAGBOOK_ENVIRONMENT; `dev` by default",
    "attempt": "which try this is, counting from 1",
}

# Lazy, so that `{{ "{{" }}` is one unknown name and not a puzzle.
_BRACES = re.compile(r"\{\{(.*?)\}\}", re.DOTALL)

Loc = tuple[str | int, ...]


def names_in(value: Any, loc: Loc = ()) -> Iterator[tuple[Loc, str]]:
    """Every name in braces within a value, with the place of the text it stands in."""
    if isinstance(value, str):
        for found in _BRACES.finditer(value):
            yield loc, found.group(1).strip()
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from names_in(item, (*loc, str(key)))
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from names_in(item, (*loc, index))


def unknown_name(name: str) -> str:
    """Say that a name in braces does not exist, and which one was probably meant."""
    return (
        f"`{{{{ {name} }}}}` is no name that a run knows. {did_you_mean(name, RUN_TIME_NAMES)}. "
        "Only exact names are filled in: expressions belong in the notebook"
    )


def fill_in(value: Any, lookup: Callable[[str], Any]) -> Any:
    """Replace every name in braces within a value by what ``lookup`` gives for it.

    Text that is one name and nothing else becomes the value itself, so that ``{{ attempt }}``
    stays a number.

    Raises:
        DagbookError: a name that does not exist.
    """
    if isinstance(value, Mapping):
        return {key: fill_in(item, lookup) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fill_in(item, lookup) for item in value]
    if not isinstance(value, str):
        return value
    whole = _BRACES.fullmatch(value.strip())
    if whole is not None and "{{" not in whole.group(1):
        return _known(whole.group(1).strip(), lookup)
    return _BRACES.sub(lambda found: str(_known(found.group(1).strip(), lookup)), value)


def _known(name: str, lookup: Callable[[str], Any]) -> Any:
    if name not in RUN_TIME_NAMES:
        raise DagbookError(unknown_name(name))
    return lookup(name)
