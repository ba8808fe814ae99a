"""Everything about credentials that would go wrong with a notebook at night."""

from __future__ import annotations

from pathlib import Path

from dagbook.notebook import Notebook
from dagbook.preflight.environment_reads import environment_findings
from dagbook.preflight.finding import NightFinding
from dagbook.preflight.given_environment import GivenEnvironment
from dagbook.preflight.literal_credentials import literal_findings
from dagbook.preflight.parsed_cells import parsed_cells


def credential_findings(
    notebook: Notebook, given: GivenEnvironment, *, project_root: Path | None = None
) -> list[NightFinding]:
    """Find what a notebook reads and will not get, and the credentials that stand in its text.

    Args:
        notebook: read statically; nothing of it runs.
        given: what a scheduled run has in its environment, and what connections could add.
        project_root: importable beside the notebook's own folder.

    Returns:
        The findings, in the order of the notebook.
    """
    cells = parsed_cells(notebook)
    found = [
        *environment_findings(notebook, given, cells=cells, project_root=project_root),
        *literal_findings(notebook, given, cells=cells),
    ]
    return sorted(found, key=lambda finding: (finding.cell, finding.line))
