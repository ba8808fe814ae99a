"""Hands a run's credentials to its kernel, and takes them back: environment and private files."""

from __future__ import annotations

import os
import secrets
import tempfile
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from dagbook.credentials.delivery import TRACKING_PREFIX, Delivery, SecretFile
from dagbook.errors import DagbookError
from dagbook.execution.aws_profile import contents_of
from dagbook.execution.guardian import remove_folders
from dagbook.execution.kernel_user import KernelUser
from dagbook.execution.private_folder import SCRATCH_PREFIX, PrivateFolder, give

#: A file system in memory, where there is one: what is removed there was never on a disk.
MEMORY_FOLDER = Path("/dev/shm")


class Handover:
    """One run's credentials, on their way to its kernel.

    Attributes:
        environment: for the kernel's process alone; the runner's own never has it.
    """

    def __init__(self, delivery: Delivery, user: KernelUser | None = None) -> None:
        """Make the folder of the files, which is still empty then.

        Raises:
            DagbookError: a name cannot be used, or there is nowhere to make the folder.
        """
        self._delivery = delivery
        self._user = user
        self._lock = threading.Lock()
        self._is_removed = False
        self._folder: PrivateFolder | None = None
        self._paths: dict[str, str] = {}
        self.environment = {
            name: value
            for name, value in delivery.environment.items()
            # Whoever logs in to the tracking server is the runner.
            if not name.startswith(TRACKING_PREFIX)
        }
        _check(self.environment, delivery.files)
        if delivery.files:
            self._folder = _make_folder(user)
            for file in delivery.files:
                self._paths[file.variable] = f"{file.variable}/{file.name}"
                self.environment[file.variable] = str(
                    self._folder.inside / self._paths[file.variable]
                )

    @property
    def folder(self) -> Path | None:
        """What is to be removed, whatever ends the run; None where there is no file."""
        return None if self._folder is None else self._folder.whole

    def write(self) -> None:
        """Write the files; the folder's path is known to whoever clears up by then.

        Raises:
            DagbookError: they cannot be written.
        """
        try:
            self._write(self._delivery.files)
            if self._folder is not None:
                self._folder.open()
        except OSError as error:
            self.remove()
            raise DagbookError(
                f"{self.folder}: the files of the run's credentials cannot be written there "
                f"({error.strerror}). Free some space there."
            ) from None

    def renew(self, delivery: Delivery) -> None:
        """Put fresh files in the place of the old ones, each in one step.

        A variable whose file the kernel was not given at its start cannot reach it any more.

        Raises:
            OSError: they cannot be written; the old ones are as they were.
        """
        with self._lock:
            if not self._is_removed:
                self._write([file for file in delivery.files if file.variable in self._paths])

    def remove(self) -> None:
        """Remove the files and their folder. Safe to call twice."""
        with self._lock:
            self._is_removed = True
            if self._folder is not None:
                remove_folders([str(self._folder.whole)])

    def _write(self, files: Iterable[SecretFile]) -> None:
        for file in files:
            assert self._folder is not None
            target = self._folder.inside / self._paths[file.variable]
            with _opened(self._folder.inside, target.parent.name, self._user) as folder:
                for name, content in contents_of(file, target):
                    _replace(folder, name, content, self._user)


@contextmanager
def _opened(above: Path, name: str, user: KernelUser | None) -> Iterator[int]:
    """A folder by its descriptor: what its owner does with names meanwhile changes nothing."""
    with suppress(FileExistsError):
        (above / name).mkdir(mode=0o700)
        give(above / name, user)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(above / name, flags)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _replace(folder: int, name: str, content: bytes, user: KernelUser | None) -> None:
    temporary = f".{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            give(file.fileno(), user)
        os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary, dir_fd=folder)
        raise


def _make_folder(user: KernelUser | None) -> PrivateFolder:
    for above in (MEMORY_FOLDER, Path(tempfile.gettempdir())):
        if not above.is_dir():
            continue
        try:
            return PrivateFolder(Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir=above)), user)
        except OSError as error:
            told = error
    raise DagbookError(
        f"{tempfile.gettempdir()}: the folder of the run's credentials cannot be made there "
        f"({told.strerror}). Free some space there, or name another folder in the environment "
        "variable TMPDIR."
    )


def _check(environment: Mapping[str, str], files: Iterable[SecretFile]) -> None:
    for name, value in environment.items():
        if not name or "=" in name or "\0" in name or "\0" in value:
            raise DagbookError(
                f"{name.split('=')[0].replace(chr(0), '') or 'a variable without a name'}: cannot "
                "be an environment variable of the kernel (a zero byte, or no name). Deliver it as "
                "a file."
            )
    seen = set(environment)
    for file in files:
        is_name = file.name not in ("", ".", "..") and not {"/", "\0"} & set(file.name)
        if not is_name or not file.variable.isidentifier():
            raise DagbookError(
                f"{file.variable}: {file.name!r} cannot be the name of a file in the run's folder. "
                "Give a plain name."
            )
        if file.variable in seen:
            raise DagbookError(f"{file.variable}: is given to the kernel twice")
        seen.add(file.variable)
