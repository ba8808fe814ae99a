"""The notebooks that are measured, made on the spot, and what each must have put out."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Subject:
    """One notebook.

    Attributes:
        volume: the least number of characters its outputs must hold.
        lines: how many lines it prints one by one, each in a message of its own. A kernel drops
            what a client does not take in time, so others may lose some: the page says so.
        parameters: names and values given to it; its first cell has their defaults.
    """

    name: str
    title: str
    cells: tuple[str, ...]
    volume: int = 0
    lines: int = 0
    parameters: tuple[tuple[str, str], ...] = ()

    def write(self, folder: Path) -> tuple[Path, Path]:
        """Write it as a notebook and as a plain script; returns both paths."""
        notebook, script = folder / "subject.ipynb", folder / "subject.py"
        notebook.write_text(json.dumps(self.document()), encoding="utf-8")
        script.write_text("\n\n".join(self.cells) + "\n", encoding="utf-8")
        return notebook, script

    def document(self) -> dict[str, Any]:
        """The notebook, without outputs."""
        return {
            "cells": [
                {
                    "cell_type": "code",
                    "execution_count": None,
                    "id": f"cell-{number}",
                    "metadata": {"tags": ["parameters"]} if self.parameters and not number else {},
                    "outputs": [],
                    "source": source,
                }
                for number, source in enumerate(self.cells)
            ],
            "metadata": {
                "kernelspec": {
                    "display_name": "Python 3",
                    "language": "python",
                    "name": "python3",
                },
                "language_info": {"name": "python"},
            },
            "nbformat": 4,
            "nbformat_minor": 5,
        }

    def missing(self, executed: Path) -> str | None:
        """What the executed notebook lacks, in words; None when all outputs are there."""
        if not executed.is_file():
            return "no executed notebook"
        document = json.loads(executed.read_text(encoding="utf-8"))
        sources = ["".join(c["source"]) for c in document["cells"] if c["cell_type"] == "code"]
        if not set(self.cells) <= set(sources):
            return "not all cells are in it"
        found = sum(output_volume(cell) for cell in document["cells"])
        return None if found >= self.volume else f"{found:,} characters of {self.volume:,}"

    def kept(self, executed: Path) -> float:
        """Which part of the outputs the executed notebook has."""
        document = json.loads(executed.read_text(encoding="utf-8"))
        found = sum(output_volume(cell) for cell in document["cells"])
        return min(1.0, found / self.volume) if self.volume else 1.0


def output_volume(cell: dict[str, Any]) -> int:
    """How many characters of output a cell holds."""
    volume = 0
    for output in cell.get("outputs", []):
        volume += len("".join(output.get("text", "")))
        for content in output.get("data", {}).values():
            volume += len(content if isinstance(content, str) else "".join(content))
    return volume


def small_cells(number: int) -> Subject:
    """Cells that do next to nothing and print a word."""
    cells = tuple(f"x = {n}\nprint('cell', x)" for n in range(number))
    return Subject(f"cells{number}", f"{number} small cells", cells, volume=number * 6)


def loud_cells(name: str, title: str, source: str) -> Subject:
    """Fifty cells that each put out half a megabyte (480,000 characters or more)."""
    cells = tuple(f"n = {n}\n{source}" for n in range(50))
    return Subject(name, title, cells, volume=50 * 480_000)


FLUSHED_LINES = 30_000
FLUSHED = Subject(
    "flushed",
    f"{FLUSHED_LINES:,} lines, each flushed",
    (f"for line in range({FLUSHED_LINES}):\n    print(f'{{line:5d}}', flush=True)",),
    volume=FLUSHED_LINES * 6,
    lines=FLUSHED_LINES,
)

PANDAS_SKLEARN = Subject(
    "pandas",
    "pandas + scikit-learn",
    (
        "import pandas as pd\n"
        "from sklearn.datasets import load_breast_cancer\n"
        "from sklearn.linear_model import LogisticRegression\n"
        "from sklearn.model_selection import cross_val_score\n"
        "from sklearn.pipeline import make_pipeline\n"
        "from sklearn.preprocessing import StandardScaler",
        "data = load_breast_cancer(as_frame=True)\ntable = data.frame",
        "print(table.groupby('target').mean().T.head(10).to_string())",
        "model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))",
        "scores = cross_val_score(model, data.data, data.target, cv=5)",
        "print(f'accuracy {scores.mean():.3f}')",
    ),
    volume=500,
)

SUBJECTS = {
    subject.name: subject
    for subject in (
        Subject("empty", "an empty notebook (one cell, `pass`)", ("pass",)),
        Subject(
            "parameters",
            "an empty notebook that is given a parameter",
            ("days = 7",),
            parameters=(("days", "30"),),
        ),
        PANDAS_SKLEARN,
        small_cells(200),
        loud_cells(
            "text",
            "50 cells × 0.5 MB of text: 5,000 lines in one print",
            "print('\\n'.join(f'{n:3d} {line:5d} ' + 'x' * 89 for line in range(5000)))",
        ),
        loud_cells(
            "lines",
            "50 cells × 0.5 MB of lines: 5,000 prints",
            "for line in range(5000):\n    print(f'{n:3d} {line:5d}', 'x' * 89)",
        ),
        loud_cells(
            "long-line",
            "50 cells × 0.5 MB in one line",
            "print(f'{n:3d}', 'x' * 500_000)",
        ),
        loud_cells(
            "pictures",
            "50 cells × one 0.5 MB picture",
            "from IPython.display import Image, display\n"
            "display(Image(bytes([n]) * 360_000, format='png', embed=True))",
        ),
        loud_cells(
            "tables",
            "50 cells × one 0.5 MB HTML table",
            "from IPython.display import HTML, display\n"
            "row = f'<tr><td>{n}</td>' + '<td>0.123456</td>' * 10 + '</tr>'\n"
            "display(HTML('<table>' + row * (480_000 // len(row) + 1) + '</table>'))",
        ),
        FLUSHED,
        small_cells(100),
        small_cells(400),
    )
}
