"""Names in braces: which may stand where, per component type and field."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from dagbook.errors import did_you_mean
from dagbook.safe_yaml.rules import Loc, ScreeningRules, shown

#: What our component fills in when a run starts; the component says what each one is.
RUN_TIME_NAMES = frozenset(
    {
        "partition_key",
        "data_interval_start",
        "data_interval_end",
        "run_date",
        "run_id",
        "experiment_id",
        "environment",
        "attempt",
    }
)

#: What Dagster offers to every component and is no more than a path.
EVERYWHERE = frozenset({"project_root", "context.project_root"})

_PARTITION = (
    "partition_key",
    "partition_key_range.start",
    "partition_key_range.end",
    "partition_time_window.start",
    "partition_time_window.end",
)
_Fields = Mapping[tuple[str, ...], tuple[str, ...]]
_DBT: _Fields = {("translation",): ("node.*",), ("cli_args",): _PARTITION}
_FIVETRAN: _Fields = {("translation",): ("props.*",)}

#: By component type and the field of its attributes: the names its package fills in there.
#: ``x.*`` is for plain data, every dotted name below it; what stands for a living object, whose
#: other attributes may hold a credential or open a connection, is listed name by name.
WELL_KNOWN: Mapping[str, _Fields] = {
    "dagster_dbt.DbtProjectComponent": _DBT,
    "dagster_dbt.DbtCloudComponent": _DBT,
    "dagster_sling.SlingReplicationCollectionComponent": {
        ("replications", "*", "translation"): ("stream_definition.*",),
    },
    "dagster_dlt.DltLoadCollectionComponent": {
        ("loads", "*", "translation"): (
            "resource.name",
            "resource.is_transformer",
            "resource.section",
            "resource.source_name",
            "pipeline.pipeline_name",
            "pipeline.dataset_name",
        ),
    },
    "dagster_fivetran.FivetranAccountComponent": _FIVETRAN,
    # Its name until dagster-fivetran 0.27.
    "dagster_fivetran.FivetranWorkspaceComponent": _FIVETRAN,
}

_MOST_DOTS = 8
_OPENING = re.compile(r"\{\{|\{%|\{#")
_NAME = re.compile(r"\{\{[ \t\n]*([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)[ \t\n]*\}\}")


def openings(text: str) -> int:
    """How many templates begin in a text."""
    return sum(1 for _ in _OPENING.finditer(text)) if "{" in text else 0


def first_problem(text: str, allowed: frozenset[str]) -> tuple[int, str] | None:
    """What is wrong with the braces in a text: where in it, counted from 0, and why."""
    at = 0
    while (opening := _OPENING.search(text, at)) is not None:
        start = opening.start()
        if opening.group() == "{%":
            return (
                start,
                f"`{_from(text, start, '%}')}` is not allowed: no logic in a component file",
            )
        if opening.group() == "{#":
            template = _from(text, start, "#}")
            return start, f"`{template}` is not allowed: comments begin with `#`, outside of values"
        name = _NAME.match(text, start)
        if name is None:
            template = _from(text, start, "}}")
            return start, (
                f"`{template}` is not allowed: in braces a plain name may stand, such as "
                "`{{ context.project_root }}`, no calls, filters or operators"
            )
        problem = _name_problem(name.group(1), allowed)
        if problem is not None:
            return start, problem
        at = name.end()
    return None


def names_allowed(
    type_name: Any, attributes: Any, loc: Loc, rules: ScreeningRules
) -> frozenset[str]:
    """The names that may stand in braces at a place of a document."""
    own = rules.names | {f"env.{name}" for name in rules.environment}
    if loc[:1] == ("post_processing",):
        return own
    if loc[:1] != ("attributes",):
        return frozenset()
    field = loc[1:]
    if _runs_notebook(attributes) and _is_filled_in(field):
        return RUN_TIME_NAMES
    found = EVERYWHERE | own
    for place, names in WELL_KNOWN.get(type_name, {}).items():
        if _lies_in(field, place):
            found |= set(names)
    return found


def _runs_notebook(attributes: Any) -> bool:
    # By its attribute, not its type: a company's component that extends ours runs it as well.
    return isinstance(attributes, Mapping) and isinstance(attributes.get("notebook"), str)


def _is_filled_in(field: Loc) -> bool:
    return field[:1] == ("parameters",) or field == ("experiment", "name")


def _lies_in(field: Loc, place: tuple[str, ...]) -> bool:
    return len(field) >= len(place) and all(
        isinstance(part, int) if wanted == "*" else part == wanted
        for part, wanted in zip(field, place, strict=False)
    )


def _name_problem(name: str, allowed: frozenset[str]) -> str | None:
    if any(part.startswith("_") for part in name.split(".")):
        return f"`{{{{ {shown(name)} }}}}` is not allowed: no part of a name may begin with `_`"
    if name in allowed:
        return None
    if name.count(".") <= _MOST_DOTS and any(
        rule.endswith(".*") and name.startswith(rule[:-1]) for rule in allowed
    ):
        return None
    template = f"`{{{{ {shown(name)} }}}}`"
    if not allowed:
        return f"{template} is not allowed: no name in braces may stand here"
    meant = did_you_mean(shown(name), allowed)
    if allowed == RUN_TIME_NAMES:
        return (
            f"{template} is no name that a run knows. {meant}. "
            "Only exact names are filled in: expressions belong in the notebook"
        )
    if name.startswith("env."):
        released = sorted(n.removeprefix("env.") for n in allowed if n.startswith("env."))
        listed = ", ".join(released) or "none"
        return f"{template} is not allowed: component files may read these variables: {listed}"
    return f"{template} is no name that may stand here. {meant}"


def _from(text: str, start: int, closing: str) -> str:
    end = text.find(closing, start)
    return shown(text[start : end + 2 if end >= 0 else None])


def texts_in(value: Any, loc: Loc) -> Iterator[tuple[Loc, Any, bool]]:
    """Every text of a parsed value: where it stands, the value, and whether it is a key."""
    if isinstance(value.value, str):
        yield loc, value, False
    for index, item in enumerate(value.items):
        yield from texts_in(item, (*loc, index))
    for key, item in value.entries:
        if isinstance(key.value, str):
            yield loc, key, True
        yield from texts_in(item, (*loc, key.value))
