"""What people and accidents give us instead of a notebook, and what must be said of each."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from notebooks import PYTHON

#: Stands in every input: whatever is said of one, this must not be in it.
SECRET = "hunter2"
#: The first cell leaves this file: a kernel was started.
RAN = "ran"
_FIRST = f"open({RAN!r}, 'w').close()  # {SECRET}"


@dataclass(frozen=True)
class BadInput:
    """One input.

    Attributes:
        write: makes it in a folder; returns the path to hand over.
        says: stands in the refusal; or, when it is mended, in a note of the result.
        mended: it is harmless: it runs all the same.
        in_project: a component can name it, beside other files of a project.
    """

    name: str
    write: Callable[[Path], Path]
    says: str
    mended: bool = False
    in_project: bool = True

    @property
    def is_for_papermill(self) -> bool:
        """Whether papermill reads such files at all: it does not know jupytext's."""
        return "script" not in self.name and "Markdown" not in self.name


def cell(source: Any = _FIRST, **more: Any) -> dict[str, Any]:
    """A code cell; by default the one that leaves `RAN`."""
    return {
        "cell_type": "code", "source": source, "metadata": {}, "outputs": [],
        "execution_count": None, **more,
    }  # fmt: skip


def document(*cells: Any, **more: Any) -> dict[str, Any]:
    """A notebook with a first cell that leaves `RAN`, unless `more` says otherwise."""
    numbered = [cell(id="first"), *cells]
    return {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": PYTHON},
        "cells": numbered,
        **more,
    }


def _bytes(content: bytes, name: str = "n.ipynb") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return write


def _json(value: Any) -> Callable[[Path], Path]:
    return _bytes(json.dumps(value, indent=1).encode())


def _nested(depth: int) -> Any:
    value: Any = SECRET
    for _ in range(depth):
        value = [value]
    return value


def _large(folder: Path) -> Path:
    """A valid notebook with a source of 100 MB."""
    path = folder / "n.ipynb"
    head, tail = json.dumps(document(cell("HERE", id="big"))).split("HERE")
    with path.open("w") as file:
        file.write(head)
        for _ in range(100):
            file.write("# " + SECRET[0] * (1024 * 1024))
        file.write(tail)
    return path


def _folder(folder: Path) -> Path:
    (folder / "n.ipynb").mkdir()
    return folder / "n.ipynb"


def _fifo(folder: Path) -> Path:
    os.mkfifo(folder / "n.ipynb")
    return folder / "n.ipynb"


def _socket(folder: Path) -> Path:
    # Bound by a short name: a socket's path may have 107 bytes.
    with socket.socket(socket.AF_UNIX) as listening:
        handle = os.open(folder, os.O_RDONLY)
        try:
            listening.bind(f"/proc/self/fd/{handle}/n.ipynb")
        finally:
            os.close(handle)
    return folder / "n.ipynb"


def _link(target: str, name: str = "n.ipynb") -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).symlink_to(target)
        return folder / name

    return write


def _dots(folder: Path) -> Path:
    return folder / ".." / ".." / "etc" / "nothing.ipynb"


def _raw(text: str) -> Callable[[Path], Path]:
    return _bytes(text.encode())


_SOUND = json.dumps(document(), indent=1)
_OLD = {
    "nbformat": 3,
    "nbformat_minor": 0,
    "metadata": {"name": "old"},
    "worksheets": [
        {
            "cells": [
                {
                    "cell_type": "code", "language": "python", "input": [_FIRST], "outputs": [],
                    "metadata": {},
                }
            ]
        }
    ],
}  # fmt: skip
_OLDER = {
    "nbformat": 2,
    "worksheets": [{"cells": [{"cell_type": "code", "input": _FIRST, "outputs": []}]}],
}
_PARAMETERS = {"metadata": {"tags": ["parameters"]}}
_HEADER = (
    "# ---\n# jupyter:\n#   kernelspec:\n#     name: {0}\n#     display_name: {0}\n# ---\n\n# %%\n"
)

REFUSED = (
    BadInput("truncated", _bytes(_SOUND[:-40].encode()), "is cut off there"),
    BadInput("empty", _bytes(b""), "is empty"),
    BadInput("blank", _bytes(b" \n\t\n"), "is empty"),
    BadInput("binary", _bytes(b"\x89PNG\r\n\x1a\n" + SECRET.encode()), "is not a text file"),
    BadInput("a list", _json([SECRET]), "no object at its top"),
    BadInput("a text", _json(SECRET), "no object at its top"),
    BadInput("a number", _json(4), "no object at its top"),
    BadInput("another JSON file", _json({SECRET: 1}), "`nbformat` is missing"),
    BadInput("cells that are no list", _json(document(cells={SECRET: 1})), "no list of `cells`"),
    BadInput("a cell that is text", _json(document(SECRET)), "cell 2: is no cell"),
    BadInput("metadata that is a list", _json(document(metadata=[SECRET])), "its metadata must"),
    BadInput("metadata of a cell that is text", _json(document(cell(metadata=SECRET))), "cell 2: its metadata must"),
    BadInput("a damaged notebook of format 3", _json({**_OLD, "worksheets": [SECRET]}), "old notebook format 3 and is damaged"),
    BadInput("format 5", _json(document(nbformat=5)), "has notebook format 5"),
    BadInput("format 99", _json(document(nbformat=99)), "has notebook format 99"),
    BadInput("a format that is text", _json(document(nbformat=SECRET)), "no version number"),
    BadInput("an unknown kernel", _json(document(metadata={"kernelspec": {"name": "pyton3", "display_name": "x", "language": "python"}})), "`python3`"),
    BadInput("two parameters cells", _json(document(cell("a = 1", **_PARAMETERS), cell("a = 1", **_PARAMETERS))), "cells 2 and 3 both have the role `parameters`"),
    BadInput("an unknown type of cell", _json(document(cell(cell_type="sql"))), "cell 2: its type must be"),
    BadInput("a source that is a number", _json(document(cell(7))), "cell 2: its source must be text"),
    BadInput("a source that is null", _json(document(cell(None))), "cell 2: its source must be text"),
    BadInput("a source of mixed lines", _json(document(cell(["a = 1\n", 2]))), "cell 2: its source must be text"),
    BadInput("half a character in code", _json(document(cell("x = '\ud800'"))), "cell 2: holds half a character"),
    BadInput("a NUL in code", _json(document(cell("x = '\0'"))), "cell 2: holds a NUL"),
    BadInput("NUL bytes", _bytes(_SOUND.replace(" ", "\0", 3).encode()), "line 2"),
    BadInput("UTF-16", _bytes(_SOUND.encode("utf-16")), "is in UTF-16"),
    BadInput("Latin-1", _bytes(_SOUND.replace(SECRET, "é").encode("latin-1")), "is not a text file in UTF-8"),
    BadInput("a source of 100 MB", _large, "is larger than 100 MB"),
    BadInput("brackets without end", _bytes(b"[" * 1_000_000), "nested too deep"),
    BadInput("metadata nested too deep", _json(document(cell("1", id="b", metadata={"x": _nested(900)}))), "cell 2: its metadata is nested too deep"),
    BadInput("a number of 5,000 digits", _raw(_SOUND.replace('"nbformat": 4', '"nbformat": ' + "4" * 5_000)), "a number too long"),
    BadInput("two lists of cells", _raw(_SOUND.replace('"nbformat": 4', '"cells": [], "nbformat": 4')), "has `cells` twice"),
    BadInput("two sources in a cell", _raw(_SOUND.replace('"cell_type": "code"', '"source": "1", "cell_type": "code"')), "has `source` twice"),
    BadInput("a merge conflict", _raw(_SOUND.replace('"cells"', '\n<<<<<<< HEAD\n"cells"')), "an unresolved merge conflict"),
    BadInput("a Git LFS pointer", _raw(f"version https://git-lfs.github.com/spec/v1\noid {SECRET}\n"), "git lfs pull"),
    BadInput("a folder", _folder, "is a folder"),
    BadInput("a named pipe", _fifo, "is a named pipe"),
    BadInput("a socket", _socket, "is a socket"),
    BadInput("a link to a device", _link("/dev/zero"), "is a device"),
    BadInput("a device by its own name", lambda _: Path("/dev/zero"), "is a device", in_project=False),
    BadInput("standard input", lambda _: Path("/dev/stdin"), "/dev/stdin: ", in_project=False),
    BadInput("a link to a text of somebody else", _link("/etc/passwd"), "n.ipynb: "),
    BadInput("a link that leads back to itself", _link("n.ipynb"), "leads back to itself"),
    BadInput("a broken link", _link("nowhere.ipynb"), "a link to a file that does not exist"),
    BadInput("a missing file", lambda folder: folder / "n.ipynb", "does not exist"),
    BadInput("a missing file outside", _dots, "does not exist", in_project=False),
    BadInput("another kind of file", _bytes(SECRET.encode(), "n.txt"), "a notebook's name ends in", in_project=False),
    BadInput("a name with a line break", _bytes(b"", "n\n.ipynb"), "is empty", in_project=False),
    BadInput("a name that is not UTF-8", lambda folder: _bytes(b"", os.fsdecode(b"\xff.ipynb"))(folder), "is empty", in_project=False),
    BadInput("an empty script", _bytes(b"", "n.py"), "is empty"),
    BadInput("a binary script", _bytes(b"\xff\xfe\x00" + SECRET.encode(), "n.py"), "n.py: is "),
    BadInput("a script with a NUL", _bytes(f"# %%\nx = '\0'  # {SECRET}\n".encode(), "n.py"), "cell 1: holds a NUL"),
    BadInput("a script for an unknown kernel", _bytes((_HEADER.format("pyton3") + _FIRST).encode(), "n.py"), "`python3`"),
    BadInput("a script with a broken header", _bytes(f"# ---\n# jupyter: [{SECRET}\n# ---\n{_FIRST}\n".encode(), "n.py"), "its header is no valid YAML"),
    BadInput("a Markdown text with a broken header", _bytes(f"---\njupyter: [{SECRET}\n---\n".encode(), "n.md"), "check its header"),
)  # fmt: skip

MENDED = (
    BadInput("format 3", _json(_OLD), "had the old notebook format 3", mended=True),
    BadInput("format 2", _json(_OLDER), "had the old notebook format 2", mended=True),
    BadInput("no kernelspec", _json(document(metadata={})), "it is taken as python", mended=True),
    BadInput("no metadata", _json({k: v for k, v in document().items() if k != "metadata"}), "had no metadata", mended=True),
    BadInput("no ids", _json(document(cells=[cell()])), "cell 1: had no id", mended=True),
    BadInput("an id twice", _json(document(cell("1", id="first"))), "cell 2: had the id of an earlier cell", mended=True),
    BadInput("an id that is none", _json(document(cell("1", id=SECRET + " !"))), "cell 2: had an id that is none", mended=True),
    BadInput("outputs that are none", _json(document(cell("1", id="b", outputs=[{"x": SECRET}]))), "cell 2: had malformed outputs", mended=True),
    BadInput("outputs that are no list", _json(document(cell("1", id="b", outputs=SECRET))), "cell 2: had malformed outputs", mended=True),
    BadInput("outputs nested too deep", _json(document(cell("1", id="b", outputs=[{"output_type": "display_data", "metadata": {}, "data": {"application/json": _nested(900)}}]))), "cell 2: had outputs nested too deep", mended=True),
    BadInput("NaN in an output", _raw(json.dumps(document(cell("1", id="b", outputs=[{"output_type": "display_data", "metadata": {}, "data": {"application/json": [float("nan")]}}])))), "NaN", mended=True),
    BadInput("NaN in metadata", _raw(json.dumps(document(metadata={"kernelspec": PYTHON, "x": float("inf")}))), "NaN", mended=True),
    BadInput("a name twice in an output", _raw(json.dumps(document(cell("1", id="b", metadata={"x": 1}))).replace('"x": 1', '"x": 1, "x": 2')), "twice", mended=True),
    BadInput("keys that no notebook has", _json(document(cell("1", id="b", extra=SECRET), more=SECRET)), "left out", mended=True),
    BadInput("half a character in text", _json(document({"cell_type": "markdown", "id": "b", "metadata": {}, "source": "\ud800"})), "half a character", mended=True),
    BadInput("a byte order mark", _bytes(b"\xef\xbb\xbf" + _SOUND.encode()), "", mended=True),
    BadInput("lines that end as on Windows", _raw(json.dumps(document(cell("# dagster: metrics\r\nauc = 0.5\r\n", id="b")), indent=1).replace("\n", "\r\n")), "", mended=True),
    BadInput("a script for no kernel", _bytes(_FIRST.encode(), "n.py"), "", mended=True),
    BadInput("a script with lines as on Windows", _bytes(f"# %%\r\n{_FIRST}\r\n\r\n# %%\r\n# dagster: metrics\r\nauc = 0.5\r\n".encode(), "n.py"), "", mended=True),
)  # fmt: skip
