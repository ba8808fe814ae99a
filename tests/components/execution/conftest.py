"""What the tests of the runner share: small notebooks, written where a test wants them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest

from dagbook.execution.allowance import Allowance
from dagbook.execution.outputs import OutputLimits
from dagbook.policy.connections import KernelRules
from dagbook.policy.request import Decision
from dagbook.policy.sizes import find_size

MakeNotebook = Callable[..., Path]

KERNELS = {
    "python": {"name": "python3", "display_name": "Python 3", "language": "python"},
    "bash": {"name": "bash", "display_name": "Bash", "language": "bash"},
    "R": {"name": "ir", "display_name": "R", "language": "R"},
}


@pytest.fixture
def make_notebook(tmp_path: Path) -> MakeNotebook:
    """Write a notebook of cells given as source, or as (source, tag, …)."""

    def make(
        *cells: str | tuple[str, ...], name: str = "notebook.ipynb", language: str = "python"
    ) -> Path:
        notebook = nbformat.v4.new_notebook()
        notebook.metadata.kernelspec = KERNELS[language]
        for number, cell in enumerate(cells):
            source, *tags = (cell,) if isinstance(cell, str) else cell
            made = nbformat.v4.new_code_cell(source, id=f"c{number}")
            if tags:
                made.metadata["tags"] = tags
            notebook.cells.append(made)
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(notebook, path)
        return path

    return make


def ruled(**kernels) -> Allowance:
    """What a platform file allows that says this about kernels, and nothing else."""
    size = find_size("small")
    decision = Decision("of a test", None, size, None)
    return Allowance(decision, size, (size,), None, OutputLimits(), KernelRules(**kernels))


def text_of(outputs: list[dict]) -> str:
    """All text a cell's outputs show."""
    return "".join(
        o.get("text", "") or "".join(o.get("data", {}).get("text/plain", "")) for o in outputs
    )


def code_cells(path: Path) -> list:
    """The code cells of an executed notebook, after checking that it is a valid one."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]
