"""The folder a running execution keeps its things in: one owner, told apart from one who is gone.

It is made under another name, locked, and then renamed to its own: whoever finds it there finds
it locked, or its owner has ended. It disappears by a rename as well, so nobody sees half of it.
A lock ends with the process that holds it, whatever ended that.
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import time
import weakref
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from shutil import rmtree

from dagbook.atomic_write import TEMPORARY_PATTERN, temporary_name

RUNNING_SUFFIX = ".running"
UNREADABLE_SUFFIX = ".unreadable"
LOCK_NAME = "lock"
#: Younger than this, a temporary file or folder may be somebody's who is just locking it.
SWEEP_SECONDS = 60.0


class RunFolder:
    """A folder that this process owns; `release` leaves it to be found, `remove` ends it."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock
        _owned.add(self)

    @classmethod
    def take(cls, path: Path) -> RunFolder:
        """Make the folder and own it.

        Raises:
            FileExistsError: another execution has it, or left it behind.
            OSError: it cannot be made.
        """
        fresh = path.parent / temporary_name()
        fresh.mkdir(mode=0o700)
        lock = -1
        try:
            lock = _open_lock(fresh)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            fresh.rename(path)  # an empty folder there, which says nothing, is replaced
        except BaseException as error:
            if lock >= 0:
                os.close(lock)
            rmtree(fresh, ignore_errors=True)
            if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                raise FileExistsError(error.errno, os.strerror(errno.EEXIST), str(path)) from None
            raise
        return cls(path, lock)

    @classmethod
    def adopt(cls, path: Path) -> RunFolder | None:
        """Own a folder whose owner is gone; None when it is not, or the folder has vanished."""
        lock = -1
        try:
            lock = _open_lock(path)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if lock >= 0:
                os.close(lock)
            return None
        folder = cls(path, lock)
        # Its owner may have removed it after we had opened the file in it.
        if folder.is_in_place:
            return folder
        folder.release()
        return None

    @property
    def is_in_place(self) -> bool:
        """Whether the folder is still where it was made: somebody may have removed it."""
        try:
            return os.path.samestat(os.fstat(self._lock), (self.path / LOCK_NAME).stat())
        except OSError:
            return False

    def release(self) -> None:
        """Let go of the folder, but leave it. Safe to call twice."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def remove(self) -> None:
        """Make the folder disappear in one step. Safe to call twice."""
        # In its place there may be another run's by now, where somebody had removed ours.
        if self.is_in_place:
            gone = self.path.parent / temporary_name()
            with suppress(OSError):
                self.path.rename(gone)
                rmtree(gone, ignore_errors=True)
        self.release()

    def set_aside(self) -> None:
        """Keep the folder, but under a name at which nobody looks again."""
        aside = self.path.with_suffix(f".{secrets.token_hex(4)}{UNREADABLE_SUFFIX}")
        with suppress(OSError):
            self.path.rename(aside)
        self.release()


def sweep(paths: Iterable[Path]) -> None:
    """Remove those of `paths` that processes had not finished when they were killed."""
    for left in paths:
        if not left.match(TEMPORARY_PATTERN):
            continue
        with suppress(OSError):
            # Also in the future: the clock may have been set back.
            if abs(time.time() - left.lstat().st_mtime) < SWEEP_SECONDS or _is_locked(left):
                continue
            if left.is_dir():
                rmtree(left, ignore_errors=True)
            else:
                left.unlink()


def _open_lock(folder: Path) -> int:
    flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(folder / LOCK_NAME, flags, 0o600)


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(
            path / LOCK_NAME if path.is_dir() else path,
            os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK,
        )
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


_owned: weakref.WeakSet[RunFolder] = weakref.WeakSet()


def _let_go_in_child() -> None:
    # A lock lives as long as any copy of its descriptor: a process forked off by whoever runs us
    # must not keep a dead run's folder.
    for folder in list(_owned):
        folder.release()


os.register_at_fork(after_in_child=_let_go_in_child)
