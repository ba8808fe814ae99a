"""Replace a file in one step: a reader sees the old text or the new one, never half of it."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path


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
    temporary = target.parent / f".dagbook-{secrets.token_hex(8)}.tmp"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            for piece in pieces:
                file.write(piece)
            if before is not None:
                _keep_mode_and_owner(file.fileno(), before)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
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
