"""The shape of a notebook's document: checked precisely, harmless faults mended and noted."""

from __future__ import annotations

import re
from typing import Any, TypeGuard

from dagbook.errors import DagbookError

Document = dict[str, Any]

_ID = re.compile(r"[A-Za-z0-9_\-]{1,64}")
# A language's name is repeated in messages, so nothing else may pass for one.
_WORD = re.compile(r"[A-Za-z][\w+#.\- ]{0,39}")
_LANGUAGES = {"r": "R", "ipython": "python", "ipython3": "python", "python3": "python"}
#: Beyond this, readers of nested data give up; a chart's description has some twenty.
MAX_DEPTH = 100
_CELL_KEYS = frozenset(
    {"id", "cell_type", "metadata", "source", "attachments", "outputs", "execution_count"}
)
_NOTEBOOK_KEYS = frozenset({"cells", "metadata", "nbformat", "nbformat_minor"})
_BY_KERNEL = {"ir": "R", "bash": "bash", "julia": "julia"}


def checked_document(document: Document, where: str) -> tuple[Document, list[str]]:
    """Copy a format 4 document as every reader of ours expects it, with notes of repairs.

    Sources and outputs are joined to text; every cell has its metadata and an id of its own;
    a code cell has its outputs; the kernel's language is stated; what no notebook has is left
    out. The document given is not changed.

    Raises:
        DagbookError: a shape that cannot be a notebook, with the cell counted from 1.
    """
    notes: list[str] = []
    cells = document.get("cells")
    if not isinstance(cells, list):
        raise DagbookError(f"{where}: is JSON but no notebook: it has no list of `cells`.")
    checked = [_checked_cell(number, cell, where, notes) for number, cell in enumerate(cells, 1)]
    minor = document.get("nbformat_minor")
    minor = minor if isinstance(minor, int) and not isinstance(minor, bool) else 0
    _give_ids(checked, notes, expected=minor >= 5)
    for number, cell in enumerate(checked, 1):
        if _is_deep([cell["metadata"], cell.get("attachments")]):
            raise DagbookError(f"{where}, cell {number}: its metadata is nested too deep.")
    if _is_deep([document.get("metadata")]):
        raise DagbookError(f"{where}: its metadata is nested too deep to be a notebook's.")
    if not document.keys() <= _NOTEBOOK_KEYS:
        notes.append("the notebook had keys that no notebook has, which are left out")
    return {
        "cells": checked,
        "metadata": _checked_metadata(document, where, notes),
        "nbformat": 4,
        "nbformat_minor": max(minor, 5),  # the first with cell ids
    }, notes


def _checked_cell(number: int, cell: Any, label: str, notes: list[str]) -> Document:
    where = f"{label}, cell {number}"
    if not isinstance(cell, dict):
        raise DagbookError(f"{where}: is no cell, which is a JSON object.")
    kind = cell.get("cell_type")
    if kind not in ("code", "markdown", "raw"):
        raise DagbookError(f"{where}: its type must be code, markdown or raw.")
    source = cell.get("source")
    if _is_lines(source):
        source = "".join(source)
    if not isinstance(source, str):
        raise DagbookError(f"{where}: its source must be text.")
    source = _checked_text(number, source, kind, where, notes)
    metadata = cell.get("metadata")
    if metadata is None:
        notes.append(f"cell {number}: had no metadata")
        metadata = {}
    if not isinstance(metadata, dict):
        raise DagbookError(f"{where}: its metadata must be a JSON object.")
    if not cell.keys() <= _CELL_KEYS:
        notes.append(f"cell {number}: had keys that no cell has, which are left out")
    known = {key: value for key, value in cell.items() if key in _CELL_KEYS}
    checked = {**known, "source": source, "metadata": {**metadata}}
    if "tags" in metadata:
        if not _is_lines(metadata["tags"]):
            raise DagbookError(f"{where}: its `tags` must be a list of words.")
        checked["metadata"]["tags"] = list(dict.fromkeys(metadata["tags"]))
    if kind == "code":
        checked["outputs"] = _checked_outputs(number, cell, notes)
        checked.setdefault("execution_count", None)
        checked.pop("attachments", None)
    else:
        checked.pop("outputs", None)
        checked.pop("execution_count", None)
    return checked


def _checked_text(number: int, source: str, kind: str, where: str, notes: list[str]) -> str:
    """Refuse code that no kernel can be sent or read; in a text cell the odd sign is replaced."""
    try:
        source.encode()
    except UnicodeEncodeError as error:
        if kind == "code":
            line = source.count("\n", 0, error.start) + 1
            raise DagbookError(
                f"{where}: holds half a character (a lone surrogate) in line {line}; delete it."
            ) from None
        notes.append(f"cell {number}: held half a character (a lone surrogate), which is replaced")
        source = source.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if kind == "code" and "\0" in source:
        line = source.count("\n", 0, source.index("\0")) + 1
        raise DagbookError(f"{where}: holds a NUL character in line {line}; delete it.")
    return source


def _is_deep(value: Any) -> bool:
    """Whether lists and objects stand in each other deeper than any notebook's do."""
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [
            inner
            for outer in level
            for inner in (outer.values() if isinstance(outer, dict) else outer)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True


def _checked_outputs(number: int, cell: Document, notes: list[str]) -> list[Document]:
    outputs = cell.get("outputs")
    if outputs is None:
        notes.append(f"cell {number}: had no list of outputs")
        return []
    if not isinstance(outputs, list) or not all(
        isinstance(output, dict) and isinstance(output.get("output_type"), str)
        for output in outputs
    ):
        notes.append(f"cell {number}: had malformed outputs, which are left out")
        return []
    if _is_deep(outputs):
        notes.append(f"cell {number}: had outputs nested too deep, which are left out")
        return []
    return [_joined_output(output) for output in outputs]


def _joined_output(output: Document) -> Document:
    joined = dict(output)
    if _is_lines(joined.get("text")):
        joined["text"] = "".join(joined["text"])
    data = joined.get("data")
    if isinstance(data, dict):
        joined["data"] = {
            mime: "".join(value) if _is_lines(value) and not _is_json(mime) else value
            for mime, value in data.items()
        }
    return joined


def _is_lines(value: Any) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(line, str) for line in value)


def _is_json(mime: str) -> bool:
    return mime == "application/json" or mime.endswith("+json")


def _give_ids(cells: list[Document], notes: list[str], *, expected: bool) -> None:
    """Give each cell without a usable id one made of its place, the same on every reading."""
    taken: set[str] = set()
    lacking: list[tuple[int, str]] = []
    for number, cell in enumerate(cells, 1):
        cell_id = cell.get("id")
        if cell_id is None:
            lacking.append((number, "had no id"))
        elif not isinstance(cell_id, str) or not _ID.fullmatch(cell_id):
            lacking.append((number, "had an id that is none"))
        elif cell_id in taken:
            lacking.append((number, "had the id of an earlier cell"))
        else:
            taken.add(cell_id)
    for number, fault in lacking:
        new = f"cell-{number}"
        while new in taken:
            new += "x"
        taken.add(new)
        cells[number - 1]["id"] = new
        if expected or fault != "had no id":
            notes.append(f"cell {number}: {fault}; it is called {new} here")


def _checked_metadata(document: Document, where: str, notes: list[str]) -> Document:
    metadata = document.get("metadata")
    if metadata is None:
        notes.append("the notebook had no metadata")
        metadata = {}
    if not isinstance(metadata, dict):
        raise DagbookError(f"{where}: its metadata must be a JSON object.")
    for key in ("kernelspec", "language_info"):
        if not isinstance(metadata.get(key, {}), dict):
            raise DagbookError(f"{where}: its `{key}` must be a JSON object.")
    kernelspec = metadata.get("kernelspec", {})
    if not isinstance(kernelspec.get("name", ""), str):
        raise DagbookError(f"{where}: its kernel's name must be text.")
    language, known = _language(metadata)
    if not known:
        notes.append(f"the notebook did not say its language; it is taken as {language}")
    checked = {key: value for key, value in metadata.items() if key != "kernelspec"}
    if kernelspec.get("name"):
        said = kernelspec.get("language")
        checked["kernelspec"] = {
            "display_name": kernelspec["name"],
            **kernelspec,
            "language": said if _is_word(said) else language,
        }
    # papermill asks here first, and nbformat does not allow it without a name.
    language_info = metadata.get("language_info")
    if "kernelspec" not in checked or language_info is not None:
        info = language_info or {}
        name = info.get("name")
        checked["language_info"] = {**info, "name": name if _is_word(name) else language}
    return checked


def _language(metadata: Document) -> tuple[str, bool]:
    """The language the kernel speaks, and whether the document says so."""
    jupytext = metadata.get("jupytext")
    jupytext = jupytext if isinstance(jupytext, dict) else {}
    for said in (
        metadata.get("kernelspec", {}).get("language"),
        metadata.get("language_info", {}).get("name"),
        jupytext.get("main_language"),
        jupytext.get("default_lexer"),
    ):
        if _is_word(said):
            word = str(said).strip().lower()
            return _LANGUAGES.get(word, word), True
    kernel = str(metadata.get("kernelspec", {}).get("name", ""))
    stem = re.split(r"[^a-z]", kernel.lower(), maxsplit=1)[0]
    return _BY_KERNEL.get(stem, "python"), False


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and _WORD.fullmatch(value.strip()) is not None


def document_language(document: Document) -> str:
    """The language of a checked document: ``python``, ``R``, ``bash``, …"""
    return _language(document["metadata"])[0]


def document_kernel(document: Document) -> str | None:
    """The name of the kernel a checked document asks for, if it names one."""
    name = document["metadata"].get("kernelspec", {}).get("name")
    return str(name) if name else None
