"""Which Python a project runs in: where its components, and Dagster, are installed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dagbook.errors import DagbookError

#: In a project's `.env`; `dg` reads it as well.
EXECUTABLE_VARIABLE = "DG_PROJECT_PYTHON_EXECUTABLE"


@dataclass(frozen=True)
class Interpreter:
    """A Python, and why it is the one."""

    path: Path
    origin: str
    """Where it was found, in a few words: ``.venv``"""


def own_python() -> Interpreter:
    """The Python that this process runs in."""
    return Interpreter(Path(sys.executable), "this process")


def find_python(root: Path, environment: Mapping[str, str] | None = None) -> Interpreter:
    """The Python of a project: what its `.env` says, its `.venv`, conda's, or this one.

    Nothing is started to find it out.

    Args:
        root: the project.
        environment: instead of this process's.

    Raises:
        DagbookError: the `.env` names a Python that is not there.
    """
    named = _named_in(root / ".env")
    if named is not None:
        line, text = named
        path = Path(os.path.normpath(root / Path(text).expanduser()))
        if not os.access(path, os.X_OK) or path.is_dir():
            raise DagbookError(
                f"{root / '.env'}:{line}: {EXECUTABLE_VARIABLE} names {text}, which is no program "
                "that can be started: mend or remove the line"
            )
        return Interpreter(path, f"{EXECUTABLE_VARIABLE} in .env")
    own = root / ".venv" / "bin" / "python"
    if os.access(own, os.X_OK):
        return Interpreter(own, ".venv")
    prefix = (os.environ if environment is None else environment).get("CONDA_PREFIX")
    if prefix:
        conda = Path(prefix) / "bin" / "python"
        if os.access(conda, os.X_OK) and _has_dagster(Path(prefix)):
            return Interpreter(conda, "CONDA_PREFIX")
    return own_python()


def _named_in(path: Path) -> tuple[int, str] | None:
    """The line and the value of our variable in a file of variables; the last one counts."""
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return None
    found = None
    for number, line in enumerate(text.splitlines(), 1):
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if equals and name.strip() == EXECUTABLE_VARIABLE and (value := _value(value)):
            found = number, value
    return found


def _value(text: str) -> str:
    text = text.strip()
    if text[:1] in ("'", '"'):
        end = text.find(text[0], 1)
        return text[1:end] if end > 0 else text[1:]
    return text.partition(" #")[0].strip()


def _has_dagster(prefix: Path) -> bool:
    return any((prefix / "lib").glob("python3*/site-packages/dagster/__init__.py"))
