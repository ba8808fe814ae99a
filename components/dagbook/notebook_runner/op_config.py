"""The form a run is launched with: the notebook's parameters, typed, in Dagster's launchpad."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg

from dagbook.credential_parameters import credential_reason
from dagbook.errors import DagbookError
from dagbook.preflight.credential_patterns import names_credential

if TYPE_CHECKING:
    from dagbook.notebook import Parameter

_TYPES: dict[str, Any] = {
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "list": dg.Array(dg.Any),
    "dict": dg.Permissive({}),  # type: ignore[no-untyped-call]
    "date": str,
    "datetime": str,
}
#: What the launchpad expects in place of a value that is called a credential: what to do instead.
_NO_CREDENTIAL = "name_a_connection_under_resources_instead"
_HINTS = {"date": "YYYY-MM-DD", "datetime": "YYYY-MM-DDTHH:MM:SS"}


def build_config_schema(
    op_name: str, parameters: tuple[Parameter, ...], given: Mapping[str, Any]
) -> dict[str, dg.Field]:
    """Make the op's config from the parameters cell, for the launchpad and for backfills.

    Every value is optional: what is left out comes from the YAML, then from the notebook. A
    name that is not here is passed on, because the notebook may have been edited since this was
    made; the runner refuses it if the notebook does not know it either.

    Args:
        op_name: makes the names of choices unique.
        parameters: as the notebook declares them.
        given: the values the YAML gives, shown in the descriptions.
    """
    fields = {
        parameter.name: dg.Field(
            _field_type(op_name, parameter),
            is_required=False,
            description=_describe(parameter, given),
        )
        for parameter in parameters
    }
    return {
        "parameters": dg.Field(
            dg.Permissive(fields),  # type: ignore[no-untyped-call]
            is_required=False,
            description="Values for this run only, by parameter.",
        )
    }


def overrides(op_config: Any) -> dict[str, Any]:
    """The parameters a launch gave in its op config.

    Raises:
        DagbookError: one looks like a credential.
    """
    if not isinstance(op_config, Mapping):
        return {}
    given = dict(op_config.get("parameters") or {})
    for name, value in given.items():
        if (reason := credential_reason(name, value)) is not None:
            raise DagbookError(
                f"the launch's parameter `{name}` {reason}. Dagster has kept it in the config of "
                "this run: change that credential"
            )
    return given


def _field_type(op_name: str, parameter: Parameter) -> Any:
    choices = parameter.choices
    if parameter.type in ("str", "any") and not choices and names_credential(parameter.name):
        # Whatever is typed here Dagster would keep with the run: it is to refuse it before.
        # Of a scalar its refusal would show the value; of a shape it shows what is expected.
        return dg.Shape({_NO_CREDENTIAL: dg.Field(str)})  # type: ignore[no-untyped-call]
    if choices and all(isinstance(choice, str) for choice in choices):
        values = [dg.EnumValue(choice) for choice in choices]
        kind: Any = dg.Enum(f"{op_name}__{parameter.name}", values)
    else:
        kind = _TYPES.get(parameter.type, dg.Any)
    return dg.Noneable(kind) if parameter.nullable and kind is not dg.Any else kind


def _describe(parameter: Parameter, given: Mapping[str, Any]) -> str:
    parts = [f"{parameter.help.rstrip('.')}."] if parameter.help else []
    if parameter.type in _HINTS:
        parts.append(f"As {_HINTS[parameter.type]}.")
    if parameter.choices:
        parts.append(f"One of {', '.join(map(repr, parameter.choices))}.")
    if parameter.name in given:
        parts.append(f"The YAML gives {given[parameter.name]!r}.")
    elif parameter.required:
        parts.append("Required.")
    elif credential_reason(parameter.name, parameter.default) is not None:
        parts.append("Default in the notebook: a credential, which is not shown.")
    elif parameter.default_text is not None:
        parts.append(f"Default in the notebook: {parameter.default_text}.")
    return " ".join(parts)
