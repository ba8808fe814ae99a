"""Replace a file in one step: a reader sees the old text or the new one, never half of it."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from dagbook.private_mode import make_private_folder, private_mode

#: What lies under such a name is unfinished. Left by a process that was killed, it is removed by
#: whoever looks there next; see `dagbook.execution.run_folder`.
TEMPORARY_SUFFIX = ".tmp"
TEMPORARY_PATTERN = f".dagbook-*{TEMPORARY_SUFFIX}"


def temporary_name() -> str:
    """A name nobody else has, for what is not finished yet."""
    return TEMPORARY_PATTERN.replace("*", secrets.token_hex(8))


def write_atomically(
    path: Path, content: str | bytes | Iterable[bytes], *, private: bool = False
) -> None:
    """Write a file so that a crash, a full disk or a reader at the wrong moment cannot tear it.

    The bytes are written beside the file, flushed to disk and renamed into place. A file that
    exists keeps its mode and, where we may set it, its owner; a symbolic link keeps pointing, its
    target is replaced. Folders on the way are made. Content that comes in pieces is never in
    memory as a whole.

    Args:
        path: the file.
        content: all of it.
        private: whether it is a run's: what is new is then its user's alone, see
            `dagbook.private_mode`.

    Raises:
        OSError: the file cannot be written; it is then as it was before.
    """
    if isinstance(content, str):
        content = content.encode("utf-8")
    replacement = Replacement(path, private=private)
    try:
        replacement.write([content] if isinstance(content, bytes) else content)
        replacement.put_in_place()
    except BaseException:
        replacement.abandon()
        raise


class Replacement:
    """A file that is written beside another, whose place it takes at the end; see above."""

    def __init__(self, path: Path, *, private: bool = False) -> None:
        """Begin it; see above.

        Raises:
            OSError: it cannot be made there.
        """
        self._target = Path(os.path.realpath(path))
        mode = 0o666
        if private:
            make_private_folder(self._target.parent)
            mode = private_mode(self._target.parent)
        else:
            self._target.parent.mkdir(parents=True, exist_ok=True)
        self._temporary = self._target.parent / temporary_name()
        descriptor = os.open(self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        self._file = os.fdopen(descriptor, "wb")
        # Says that somebody is still at it; not every file system has locks.
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def write(self, pieces: Iterable[bytes]) -> None:
        """Write more of it.

        Raises:
            OSError: it cannot be written. `abandon` it.
        """
        for piece in pieces:
            self._file.write(piece)

    def start_writing_out(self) -> None:
        """Have the system bring to the disk what there is so far, unwaited for."""
        with suppress(OSError):
            self._file.flush()
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def put_in_place(self) -> None:
        """Flush it to disk and have it take the other's place.

        Raises:
            OSError: it cannot. `abandon` it; the other is as it was.
        """
        target = self._target
        with self._file as file:
            if target.exists():
                _keep_mode_and_owner(file.fileno(), target.stat())
            file.flush()
            os.fsync(file.fileno())
        self._temporary.replace(target)
        _flush_folder(target.parent)

    def abandon(self) -> None:
        """Remove it; the other is as it was. Safe to call twice, and after an error."""
        # Where even that fails, the first error is the one to tell.
        with suppress(OSError):
            self._file.close()
        with suppress(OSError):
            self._temporary.unlink()


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
