"""What to ask for each parameter of a notebook: its type, its choices, its default, its help."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dagbook_magics.form.shape import UNSET, Choice, Kind, Shape

_KINDS = {
    "int": Kind.INTEGER,
    "float": Kind.NUMBER,
    "str": Kind.TEXT,
    "bool": Kind.BOOLEAN,
    "date": Kind.TEXT,
    "datetime": Kind.TEXT,
}


def parameter_shapes(parameters: Sequence[Mapping[str, Any]]) -> Iterator[Shape]:
    """A shape for each parameter, in the order of its cell.

    Args:
        parameters: as the bridge tells them.
    """
    for parameter in parameters:
        choices = tuple(Choice(value, str(value)) for value in parameter["choices"] or ())
        kind = Kind.CHOICE if choices else _KINDS.get(parameter["type"], Kind.ANY)
        written = parameter["default_text"]
        default = parameter["default"] if parameter["default_known"] else written
        yield Shape(
            kind,
            key=parameter["name"],
            label=parameter["name"],
            help=parameter["help"],
            required=parameter["required"],
            default=UNSET if written is None else default,
            choices=choices,
        )
