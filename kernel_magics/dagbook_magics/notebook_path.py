"""Which file the reader's notebook is: front ends say so in different ways, and some not at all."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dagbook.errors import DagbookError, did_you_mean
from dagbook.notebook_file import TEXT_SUFFIXES

#: Jupyter names the notebook for its kernel when that starts; it does not say when it is renamed.
JUPYTER_VARIABLE = "JPY_SESSION_NAME"
#: VS Code puts it among the notebook's own variables.
VSCODE_NAME = "__vsc_ipynb_file__"

_OTHERWISE = "say which with `--notebook PATH`"


def find_notebook(names: Mapping[str, Any], given: str | None = None) -> Path:
    """The file of the notebook that runs in this kernel.

    Args:
        names: the notebook's own variables.
        given: what the reader said themselves, relative to the kernel's folder.

    Raises:
        DagbookError: nobody says which, or there is no such file; the text says what to do.
    """
    if given:
        path = Path(given).expanduser().absolute()
        if path.is_file() and path.suffix in (".ipynb", *TEXT_SUFFIXES):
            return path
        wrong = "is no notebook" if path.exists() else "does not exist"
        folder = path if path.is_dir() else path.parent
        near = sorted(each.name for each in folder.glob("*.ipynb"))
        known = did_you_mean(path.name, near) if near else "Its folder holds no notebook"
        raise DagbookError(f"{given} {wrong}. {known}")
    named = names.get(VSCODE_NAME)
    if isinstance(named, str) and named.endswith(".ipynb"):
        return _saved(Path(named))
    session = os.environ.get(JUPYTER_VARIABLE)
    if session and "." in Path(session).name:
        return _saved(Path(session))
    raise DagbookError(f"this front end does not tell which file the notebook is: {_OTHERWISE}")


def _saved(path: Path) -> Path:
    path = path.absolute()
    if path.is_file():
        return path
    if not path.parent.is_dir():
        raise DagbookError(
            f"{path.parent} is not there any more: the notebook was moved. Restart the kernel, or "
            f"{_OTHERWISE}"
        )
    there = sorted(each.name for each in path.parent.glob("*.ipynb"))
    if not there:
        raise DagbookError(f"{path.name} was never saved: save the notebook (Ctrl+S), then again")
    raise DagbookError(
        f"{path.name} is not there any more: the notebook was renamed or never saved. Restart the "
        f"kernel, or {_OTHERWISE}; in its folder: {', '.join(there[:5])}"
    )
