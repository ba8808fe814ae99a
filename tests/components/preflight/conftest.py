"""What the tests of findings share: notebooks of cells, read as from a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pytest

from dagbook.notebook import Notebook, read_notebook
from dagbook.preflight.finding import NightFinding
from dagbook.preflight.registry import findings
from dagbook.preflight.situation import Situation

MakeNotebook = Callable[..., Notebook]


@pytest.fixture
def notebook_of(tmp_path: Path) -> MakeNotebook:
    """Read a notebook of cells given as source, or as (source, tag, …)."""

    def make(*cells: str | tuple[str, ...], language: str = "python") -> Notebook:
        made = nbformat.v4.new_notebook()
        names = {"python": "python3", "R": "ir", "bash": "bash"}
        made.metadata.kernelspec = {
            "name": names[language],
            "display_name": language,
            "language": language,
        }
        for number, cell in enumerate(cells):
            source, *tags = (cell,) if isinstance(cell, str) else cell
            if "markdown" in tags:
                made.cells.append(nbformat.v4.new_markdown_cell(source, id=f"c{number}"))
                continue
            code = nbformat.v4.new_code_cell(source, id=f"c{number}")
            code.metadata["tags"] = tags
            made.cells.append(code)
        path = tmp_path / "notebook.ipynb"
        nbformat.write(made, path)
        return read_notebook(path)

    return make


Found = Callable[..., list[NightFinding]]


@pytest.fixture
def found(notebook_of: MakeNotebook, tmp_path: Path) -> Found:
    """What is found in a notebook of cells; `rule` keeps to one rule, the rest is its situation."""

    def find(
        *cells: str | tuple[str, ...],
        rule: str = "",
        language: str = "python",
        **situation: Any,
    ) -> list[NightFinding]:
        notebook = notebook_of(*cells, language=language)
        situation = {"folder": tmp_path, "project_root": tmp_path, **situation}
        every = findings(notebook, Situation(**situation))
        return [finding for finding in every if not rule or finding.rule == rule]

    return find
