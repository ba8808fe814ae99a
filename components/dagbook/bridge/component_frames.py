"""Tells code of components, a company's or the project's, from everybody else's."""

from __future__ import annotations

import os
from pathlib import Path

import dagbook

_OURS = str(Path(str(dagbook.__file__)).parent) + os.sep
_STANDARD_LIBRARY = str(Path(os.__file__).parent) + os.sep
#: Installed, and between a component and us.
_BETWEEN = ("dagster", "pydantic", "ruamel", "yaml", "sqlalchemy")


def is_component_code(file: str) -> bool:
    """Whether a file is none of ours, of Python, of Dagster and of what those use."""
    if file.startswith(("<", _OURS)):
        return False
    _, installed, name = file.rpartition("/site-packages/")
    if installed:
        return not name.startswith(_BETWEEN)
    return not file.startswith(_STANDARD_LIBRARY)
