"""docs/in-the-notebook.md is run cell by cell, and shows what the page says it shows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

pytestmark = pytest.mark.early

PAGE = (Path(__file__).parents[2] / "docs" / "in-the-notebook.md").read_text(encoding="utf-8")
CELLS = re.findall(r"```python\n(.*?)\n```(?:\n```text\n(.*?)\n```)?", PAGE, re.DOTALL)
#: What the walk is about: the same cells as on the page, saved.
CHURN = [source for source, _ in CELLS if source.startswith("%%dagster ")][:3]


def shown(outputs: list[dict[str, Any]], folder: Path) -> str:
    """What stands below a cell, with what is different each time as the page writes it."""
    texts = []
    for output in outputs:
        if output["output_type"] == "error":
            texts.append("\n".join(output["traceback"]))
        elif output["output_type"] == "stream":
            texts.append(output["text"])
        else:
            texts.append(output["data"]["text/plain"])
    text = "\n".join(texts)
    for pattern, instead in (
        (rf"{re.escape(str(folder))}/runs/", ""),
        (re.escape(str(folder)), "FOLDER"),
        (r"\d{8}T\d{6}Z", "TIME"),
        (r"[A-Z][a-z]{2} \d{1,2} [A-Z][a-z]{2} \d\d:\d\d", "DAY"),
        (r"today \d\d:\d\d", "today TIME"),
        (r"\d+(?:\.\d)? (s|MB)\b", r"N \1"),
        (r"\b[0-9a-f]{8}\b", "RUN"),
    ):
        text = re.sub(pattern, instead, text)
    return text


def test_every_word_is_on_the_page() -> None:
    from dagbook_magics.line_magic import COMMANDS

    assert {word for word in COMMANDS if f"%dagster {word}" in PAGE} == set(COMMANDS)


def test_the_page_shows_what_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    saved = [nbformat.v4.new_code_cell(source) for source in CHURN]
    metadata = {"kernelspec": kernelspec}
    nbformat.write(nbformat.v4.new_notebook(cells=saved, metadata=metadata), folder / "churn.ipynb")
    monkeypatch.setenv("JPY_SESSION_NAME", str(folder / "churn.ipynb"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    sources = [source for source, _ in CELLS]
    document = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in sources], metadata=metadata
    )
    resources = {"metadata": {"path": str(folder)}}
    NotebookClient(document, timeout=240, allow_errors=True, resources=resources).execute()
    seen = [shown(cell["outputs"], folder) for cell in document.cells]
    for source, (_, said), found in zip(sources, CELLS, seen, strict=True):
        if said or not source.startswith("%dagster form"):
            assert (source, found) == (source, said)
    assert "VBox" in seen[sources.index("%dagster form")]
