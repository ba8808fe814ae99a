"""Reading a notebook's file: what is no notebook is refused in one line, small faults mended."""

from __future__ import annotations

import errno
import json
import os
import re
import stat
from pathlib import Path
from typing import Any, NamedTuple

from dagbook.errors import DagbookError, did_you_mean

# Beyond this a notebook holds data, not text, and every tool that opens it suffers.
MAX_NOTEBOOK_BYTES = 100 * 1024 * 1024
TEXT_SUFFIXES = (".py", ".md", ".R", ".r", ".jl", ".sh", ".Rmd")

# What these hold decides how a notebook runs: two of them is a question, not a slip.
_STRUCTURE = frozenset({"cells", "cell_type", "source", "metadata", "nbformat", "kernelspec"})

# A header that jupytext could not read: it makes a cell of it, and says nothing.
_LOST_HEADER = re.compile(r"---\n(?:.*\n)*?jupyter[ \t]*:")

Document = dict[str, Any]


class NotebookFile(NamedTuple):
    """A file as it was read.

    Attributes:
        document: as its JSON has it, or as jupytext makes it.
        sha256: of the file's bytes.
        notes: what was passed over in reading, in words.
        real_path: where the file that was opened lies, links followed.
    """

    document: Document
    sha256: str
    notes: list[str]
    real_path: Path


def read_file(path: Path, within: Path | None = None) -> NotebookFile:
    """Read a notebook's file.

    Args:
        within: a folder that the file must lie in, wherever a link may lead.

    Raises:
        DagbookError: anything that is not a readable notebook. The text never holds any
            of the file's content.
    """
    label = shown(path)
    content, real_path = _read_bytes(path, label, within)
    suffix = path.suffix
    if suffix != ".ipynb" and suffix not in TEXT_SUFFIXES:
        raise DagbookError(
            f"{label}: a notebook's name ends in .ipynb, or in "
            f"{', '.join(TEXT_SUFFIXES[:-1])} or {TEXT_SUFFIXES[-1]} for jupytext."
        )
    text = _decoded(content, label)
    if not text.strip():
        raise DagbookError(f"{label}: is empty; save the notebook again from Jupyter.")
    notes: list[str] = []
    if suffix == ".ipynb":
        document = _from_json(text, label, notes)
    else:
        document = _through_jupytext(text, suffix, label)
    import hashlib  # not for those who only want a refusal, or a notebook already in memory

    return NotebookFile(document, hashlib.sha256(content).hexdigest(), notes, real_path)


def shown(path: Path) -> str:
    """A path as errors name it: in one line, and printable, whatever its name is made of."""
    text = str(path)
    return text if text.isprintable() else repr(text)


def _read_bytes(path: Path, label: str, within: Path | None) -> tuple[bytes, Path]:
    try:
        # Looked at before it is opened: opening a FIFO waits for ever, opening a device acts.
        _refuse_irregular(label, path.stat())
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor, not a path)
            _refuse_irregular(label, os.fstat(descriptor))
            # Of what was opened, not of the name: that may have become a link since.
            real_path = Path(os.readlink(f"/proc/self/fd/{descriptor}"))  # noqa: PTH115 (no file's name)
            if within is not None:
                _refuse_outside(label, real_path, within)
            content = file.read(MAX_NOTEBOOK_BYTES + 1)
    except (OSError, ValueError) as error:
        raise DagbookError(_why_not_read(path, label, error)) from None
    if len(content) > MAX_NOTEBOOK_BYTES:
        raise DagbookError(_too_large(label))
    return content, real_path


def _refuse_outside(label: str, real_path: Path, within: Path) -> None:
    folder = os.path.realpath(within)
    if not str(real_path).startswith(folder.rstrip(os.sep) + os.sep):
        raise DagbookError(
            f"{label}: leads to a file outside the project {within}; put the notebook itself there."
        )


def _decoded(content: bytes, label: str) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise DagbookError(f"{label}: is in UTF-16; save the notebook again as UTF-8.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DagbookError(
            f"{label}: is not a text file in UTF-8 (byte {error.start + 1} is none); "
            "save the notebook again as UTF-8."
        ) from None


def _refuse_irregular(label: str, status: os.stat_result) -> None:
    mode = status.st_mode
    if stat.S_ISDIR(mode):
        raise DagbookError(f"{label}: is a folder; name a notebook in it.")
    if not stat.S_ISREG(mode):
        kind = (
            "a named pipe"
            if stat.S_ISFIFO(mode)
            else "a socket"
            if stat.S_ISSOCK(mode)
            else "a device"
        )
        raise DagbookError(f"{label}: is {kind}, not a file; name a notebook.")
    if status.st_size > MAX_NOTEBOOK_BYTES:
        raise DagbookError(_too_large(label))


def _too_large(label: str) -> str:
    return (
        f"{label}: is larger than {MAX_NOTEBOOK_BYTES // 1024**2} MB, which is data and not a "
        "notebook; clear its outputs and save it again."
    )


def _why_not_read(path: Path, label: str, error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) else None
    if number in (errno.ENOENT, errno.ENOTDIR):
        if path.is_symlink():
            return f"{label}: is a link to a file that does not exist."
        return f"{label}: does not exist.{_nearest_notebook(path)}"
    if number in (errno.EACCES, errno.EPERM):
        return f"{label}: may not be read by this user; check the file's permissions."
    if number == errno.ELOOP:
        return f"{label}: is a link that leads back to itself."
    if number is None:
        return f"{label}: cannot be a file's name."
    return f"{label}: cannot be read ({os.strerror(number)})."


def _nearest_notebook(path: Path) -> str:
    try:
        names = [name for name in os.listdir(path.parent) if name.endswith(".ipynb")]  # noqa: PTH208
    except OSError:
        return ""
    return f" {did_you_mean(path.name, names, limit=4)}" if names else ""


def _from_json(text: str, label: str, notes: list[str]) -> Document:
    def keep_once(pairs: list[tuple[str, Any]]) -> Document:
        made = dict(pairs)
        if len(made) != len(pairs):
            twice = {name for name, _ in pairs if sum(n == name for n, _ in pairs) > 1}
            if wrong := sorted(_STRUCTURE & twice):
                raise DagbookError(
                    f"{label}: has `{wrong[0]}` twice in one place, as after a bad merge; "
                    "keep one of them."
                )
            _note_once(notes, "a name stood twice in one place of the file; the last one counts")
        return made

    def keep_odd(number: str) -> float:
        _note_once(notes, "the file holds NaN or Infinity, which JSON has not; stored as text")
        return float(number)

    try:
        document = json.loads(text, object_pairs_hook=keep_once, parse_constant=keep_odd)
    except json.JSONDecodeError as error:
        raise DagbookError(f"{label}: {_json_fault(text, error)}") from None
    except RecursionError:
        raise DagbookError(f"{label}: is JSON nested too deep to be a notebook.") from None
    except ValueError:
        raise DagbookError(f"{label}: holds a number too long to be a notebook's.") from None
    if not isinstance(document, dict):
        raise DagbookError(f"{label}: is JSON but no notebook (no object at its top).")
    return document


def _note_once(notes: list[str], note: str) -> None:
    if note not in notes:
        notes.append(note)


def _json_fault(text: str, error: json.JSONDecodeError) -> str:
    if conflict := re.search(r"^<{7} ", text, re.MULTILINE):
        line = text.count("\n", 0, conflict.start()) + 1
        return f"line {line}: holds an unresolved merge conflict; resolve it and save again."
    if text.startswith("version https://git-lfs.github.com/"):
        return "is a Git LFS pointer, not the notebook; run `git lfs pull`."
    if error.pos >= len(text.rstrip()) or error.msg.startswith("Unterminated string"):
        return f"line {error.lineno}: is cut off there; save the notebook again from Jupyter."
    return f"line {error.lineno}, column {error.colno}: is not valid JSON ({error.msg})."


def _through_jupytext(text: str, suffix: str, label: str) -> Document:
    try:
        import jupytext
    except ImportError:
        raise DagbookError(
            f"{label}: reading a {suffix} notebook needs jupytext: `pip install jupytext`."
        ) from None
    try:
        # A plain dict of lists and text, as if it had come from a file.
        document: Document = json.loads(json.dumps(jupytext.reads(text, fmt=suffix)))
        _drop_passing_ids(document)
    except Exception as error:
        raise DagbookError(
            f"{label}: jupytext cannot read it as a notebook ({type(error).__name__}); "
            "check its header."
        ) from None
    first = next(iter(document["cells"]), {"cell_type": ""})
    if first["cell_type"] == "raw" and _LOST_HEADER.match(first["source"]):
        # Else it would run on another kernel than it asks for.
        raise DagbookError(f"{label}: its header is no valid YAML, so jupytext cannot read it.")
    return document


def _drop_passing_ids(document: Document) -> None:
    """Forget ids made up on this reading: a cell is to have the same one on each."""
    for cell in document["cells"]:
        cell.pop("id", None)
    document["nbformat_minor"] = 4  # the last format without ids


def upgrade(document: Document, where: str) -> Document:
    """Bring a notebook of format 1 to 3 to format 4, through nbformat.

    Raises:
        DagbookError: no notebook, of a format newer than 4, or damaged.
    """
    major = document.get("nbformat")
    if not isinstance(major, int) or isinstance(major, bool) or major < 1:
        raise DagbookError(
            f"{where}: is JSON but no notebook: `nbformat` is missing or no version number."
        )
    if major == 4:
        return document
    if major > 4:
        raise DagbookError(
            f"{where}: has notebook format {major}, newer than dagbook knows (4); "
            "save it as format 4."
        )
    import warnings

    import nbformat
    import nbformat.reader

    try:
        with warnings.catch_warnings():
            # nbformat warns of ids it has just made up itself; they are dropped below.
            warnings.simplefilter("ignore")
            old = nbformat.reader.reads(json.dumps({"metadata": {}, **document}))
            upgraded: Document = json.loads(json.dumps(nbformat.convert(old, 4)))
        _drop_passing_ids(upgraded)
    except Exception:
        raise DagbookError(
            f"{where}: has the old notebook format {major} and is damaged, so it cannot be "
            "upgraded; open it in Jupyter and save it again."
        ) from None
    return upgraded
