"""Opens the ledger of a project from outside Dagster: for the terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from dagbook.errors import DagbookError
from dagbook.services.instance import load_instance

if TYPE_CHECKING:
    from dagbook.ledger.database import Ledger


def open_ledger(project_root: Path) -> Ledger:
    """The ledger of a project's instance. Dagster is started only where its settings need it.

    Raises:
        DagbookError: the home's settings cannot be read, or its storage cannot be opened.
    """
    try:
        from dagbook.ledger.instance_database import ledger_of_instance
        from dagbook.ledger.project_ledger import find_home, ledger_of_project
    except ModuleNotFoundError as error:
        raise DagbookError(
            f"the ledger needs {error.name}, which is not installed: pip install 'dagbook[runner]'"
        ) from None
    found = ledger_of_project(project_root)
    if found is not None:
        return found
    with load_instance(find_home(project_root)) as instance:
        return ledger_of_instance(instance)
