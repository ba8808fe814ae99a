"""What a run leaves is its user's alone, except in a folder that somebody shares on purpose.

Files are 0600 and folders 0700, whatever the umask. A folder that is there keeps its mode. One
with the set-group-id bit, or with a default access list, was made for a group: what is made in it
is the group's too, as far as the umask or the list goes.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

ALONE, TOGETHER = 0o600, 0o660


def make_private_folder(path: Path) -> None:
    """Make a folder and those above it that are missing.

    Raises:
        OSError: it cannot be made, or something else is there.
    """
    try:
        path.mkdir(mode=_with_search(private_mode(path.parent)))
    except FileNotFoundError:
        if path.parent == path:
            raise
        make_private_folder(path.parent)
        path.mkdir(mode=_with_search(private_mode(path.parent)), exist_ok=True)
    except FileExistsError:
        if not path.is_dir():
            raise


def private_mode(folder: Path) -> int:
    """The mode of a new file in a folder, from which the umask still takes."""
    return TOGETHER if _is_shared(folder) else ALONE


def write_private(path: Path, data: bytes) -> None:
    """Write a new file.

    Raises:
        OSError: it cannot be written, or is there already.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, private_mode(path.parent)), "wb") as file:
        file.write(data)


def _with_search(mode: int) -> int:
    # Who may read a folder may look into it.
    return mode | (mode & 0o444) >> 2


def _is_shared(folder: Path) -> bool:
    try:
        if folder.stat().st_mode & stat.S_ISGID:
            return True
        os.getxattr(folder, "system.posix_acl_default")
    except (OSError, AttributeError):  # there is none, or no such thing here
        return False
    return True
