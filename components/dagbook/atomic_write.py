"""Replace a file in one step: a reader sees the old text or the new one, never half of it."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

#: What lies under such a name is unfinished. Left by a process that was killed, it is removed by
#: whoever looks there next; see `dagbook.execution.run_folder`.
TEMPORARY_SUFFIX = ".tmp"
TEMPORARY_PATTERN = f".dagbook-*{TEMPORARY_SUFFIX}"


def temporary_name() -> str:
    """A name nobody else has, for what is not finished yet."""
    return TEMPORARY_PATTERN.replace("*", secrets.token_hex(8))


def write_atomically(path: Path, content: str | bytes | Iterable[bytes]) -> None:
    """Write a file so that a crash, a full disk or a reader at the wrong moment cannot tear it.

    The bytes are written beside the file, flushed to disk and renamed into place. A file that
    exists keeps its mode and, where we may set it, its owner; a symbolic link keeps pointing, its
    target is replaced. Folders on the way are made. Content that comes in pieces is never in
    memory as a whole.

    Raises:
        OSError: the file cannot be written; it is then as it was before.
    """
    if isinstance(content, str):
        content = content.encode("utf-8")
    pieces = [content] if isinstance(content, bytes) else content
    target = Path(os.path.realpath(path))
    target.parent.mkdir(parents=True, exist_ok=True)
    before = target.stat() if target.exists() else None
    temporary = target.parent / temporary_name()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            # Says that somebody is still at it; not every file system has locks.
            with suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for piece in pieces:
                file.write(piece)
            if before is not None:
                _keep_mode_and_owner(file.fileno(), before)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        # Where even that fails, the first error is the one to tell.
        with suppress(OSError):
            temporary.unlink()
        raise
    _flush_folder(target.parent)


def _keep_mode_and_owner(descriptor: int, before: os.stat_result) -> None:
    if (before.st_uid, before.st_gid) != (os.geteuid(), os.getegid()):
        try:
            os.fchown(descriptor, before.st_uid, before.st_gid)
        except PermissionError:
            pass
    # After the owner: a change of owner clears the set-id bits.
    os.fchmod(descriptor, stat.S_IMODE(before.st_mode))


def _flush_folder(folder: Path) -> None:
    # Without this the rename itself may be lost when the machine stops.
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(descriptor)
    except OSError:
        pass
    finally:
        os.close(descriptor)
