"""Keeps credentials out of parameters, which stand in YAML, databases and every executed notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dagbook.errors import DagbookError

if TYPE_CHECKING:
    from dagbook.notebook import Notebook


def credential_reason(name: str, value: Any) -> str | None:
    """Why a value cannot be a parameter's, and what to do; None when it can.

    No part of the value is in the text.
    """
    if value is None or isinstance(value, bool | float):
        return None
    # Most runs are given nothing, and pay nothing for this.
    from dagbook.preflight.credential_patterns import refused_value

    try:
        reason = refused_value(name, value)
    except RecursionError:
        return None  # contains itself, for which it is refused
    if reason is None:
        return None
    return f"{reason}, and parameters are kept with every run: {_right_way(name)}"


def refuse_credentials(given: Mapping[str, Any], where: str) -> None:
    """Refuse values that look like credentials, before they are stored anywhere.

    Raises:
        DagbookError: one does; the text names the parameter.
    """
    for name, value in given.items():
        if (reason := credential_reason(name, value)) is not None:
            raise DagbookError(f"{where}: parameter `{name}` {reason}.")


def refuse_credential_defaults(notebook: Notebook) -> None:
    """Refuse a parameters cell in which a credential stands as a default.

    Raises:
        DagbookError: one does; the text names the cell and the parameter.
    """
    cell = notebook.parameters_cell
    if cell is None:
        return
    for parameter in notebook.parameters:
        if parameter.default_known and (
            reason := credential_reason(parameter.name, parameter.default)
        ):
            raise DagbookError(
                f"{notebook.label}, cell {cell.number}: the default of `{parameter.name}` {reason}."
            )


def _right_way(name: str) -> str:
    variable = name.upper() if name.isascii() and name.isidentifier() else "NAME"
    return (
        "name a connection under `resources` in its component, and read it in the notebook with "
        f'`os.environ["{variable}"]`'
    )
