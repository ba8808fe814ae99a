"""Which variables a ``.env`` file sets. Only names are read of it; no value leaves this module."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

_LARGEST = 64 * 1024
_NAME = re.compile(r"^[ \t]*(?:export[ \t]+)?([A-Za-z_]\w*)[ \t]*=", re.MULTILINE)


def dotenv_names(folder: Path, file: str | None) -> frozenset[str] | None:
    """The names that ``load_dotenv()`` finds for a notebook.

    Args:
        folder: the notebook's own; without a file's name the search goes upward from it.
        file: the file that is named in the call.

    Returns:
        The names; None where there is no such file, or it is none that can be read.
    """
    if file is not None:
        return _names_in(folder / file)
    for above in (folder, *folder.parents):
        if os.path.lexists(above / ".env"):
            return _names_in(above / ".env")
    return None


def _names_in(path: Path) -> frozenset[str] | None:
    try:
        # A pipe must not keep anybody waiting.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as opened:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                return None
            text = opened.read(_LARGEST).decode("utf-8", "replace")
    except (OSError, ValueError):
        return None
    return frozenset(_NAME.findall(text))
