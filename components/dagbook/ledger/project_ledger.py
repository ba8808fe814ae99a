"""Finds the ledger of a project without starting Dagster, where that can be."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from dagbook.errors import DagbookError
from dagbook.ledger.database import Ledger
from dagbook.ledger.instance_database import ledger_of_home
from dagbook.project import STATE_FOLDER

HOME_VARIABLE = "DAGSTER_HOME"
#: The project's own home, in its state folder, and what says that it is complete.
HOME_NAME = "dagster_home"
READY_FILE_NAME = ".made-by-dagbook"

#: Settings of a Dagster home that say where it keeps its runs.
_STORAGE_KEYS = ("storage", "run_storage")


def ledger_of_project(project_root: Path) -> Ledger | None:
    """The ledger of a project's instance; None where only Dagster understands its settings.

    Raises:
        DagbookError: the home's settings cannot be read.
    """
    home = find_home(project_root)
    return None if says_where(home) else ledger_of_home(home)


def find_home(project_root: Path) -> Path:
    """The Dagster home whose ledger counts.

    The project's own once it was started here; before that what ``DAGSTER_HOME`` names, as where
    a project is deployed. So a variable takes nobody away from the ledger of the others.
    """
    own = project_root / STATE_FOLDER / HOME_NAME
    named = os.environ.get(HOME_VARIABLE)
    if (own / READY_FILE_NAME).exists() or not named or not Path(named).is_dir():
        return own
    return Path(named)


def says_where(home: Path) -> bool:
    """Whether the settings of a home name a storage; they are Dagster's to understand."""
    file = home / "dagster.yaml"
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DagbookError(f"cannot read {file}: {error.strerror}") from None
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    try:
        settings: Any = YAML(typ="safe", pure=True).load(data)
    except YAMLError as error:
        line = str(error).split("\n")[0]
        raise DagbookError(f"{file} is not valid YAML: {line}") from None
    return isinstance(settings, dict) and any(key in settings for key in _STORAGE_KEYS)
