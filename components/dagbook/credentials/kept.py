"""A researcher's own credentials, kept on their machine: for their kernels and trials alone.

They lie in ``~/.config/dagbook/credentials/``, a file for each project, which its owner alone can
read. A project is known by its path, so that a copy of it, or another that takes its name, is given
nothing. No run that Dagster launches looks there.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import secrets
import stat
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dagbook.credentials.delivery import SHORTEST_SECRET
from dagbook.errors import DagbookError
from dagbook.policy.owned_variables import variable_problem

#: No file of these is larger, in bytes.
_LARGEST = 1024 * 1024
_OF_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Kept = dict[str, dict[str, str]]


def keep(
    project_root: Path,
    connection: str,
    values: Mapping[str, str],
    *,
    public: Collection[str] = (),
) -> Path:
    """Keep a researcher's own values of a connection for their kernels and trials.

    What was kept of its other variables stays. Nobody else can read the file at any moment, and a
    crash leaves the old one or the new one.

    Args:
        project_root: the project they are for.
        connection: its name in the platform file.
        values: by environment variable; for one that names a file, the file's content.
        public: the variables that are no secret, and so may be short.

    Returns:
        The file they are kept in.

    Raises:
        DagbookError: a value cannot be kept, or the folder is not safe. No value is told.
    """
    if not connection.strip() or not connection.isprintable():
        raise DagbookError("a connection is kept by its name in the platform file: give one")
    if not values:
        raise DagbookError(f"connection `{connection}`: there is no value to keep")
    for variable, value in values.items():
        _check(connection, variable, value, is_public=variable in public)
    with _folder(project_root, make=True) as folder:
        assert folder is not None
        fcntl.flock(folder, fcntl.LOCK_EX)
        found = _read(folder, project_root)
        found.setdefault(connection, {}).update(values)
        _write(folder, project_root, found)
    return _path(project_root)


def forget(project_root: Path, connection: str, variable: str | None = None) -> bool:
    """Forget what was kept of a connection, or of one variable of it.

    Returns:
        Whether there was anything.

    Raises:
        DagbookError: the folder or the file is not safe, or cannot be changed.
    """
    with _folder(project_root, make=False) as folder:
        if folder is None:
            return False
        fcntl.flock(folder, fcntl.LOCK_EX)
        found = _read(folder, project_root)
        if variable is None:
            was_there = found.pop(connection, None) is not None
        else:
            was_there = found.get(connection, {}).pop(variable, None) is not None
            if not found.get(connection, True):
                del found[connection]
        if was_there:
            _write(folder, project_root, found)
        return was_there


def kept(project_root: Path) -> dict[str, tuple[str, ...]]:
    """What is kept for a project: by connection, the names of its variables. No value is told.

    Raises:
        DagbookError: the folder or the file is not safe.
    """
    return {name: tuple(values) for name, values in kept_values(project_root).items()}


def kept_values(project_root: Path) -> Kept:
    """What is kept for a project: by connection and variable, the values.

    Raises:
        DagbookError: others can read or change the file, or it is a link or no file at all; then
            nothing of it is used.
    """
    with _folder(project_root, make=False) as folder:
        return {} if folder is None else _read(folder, project_root)


def _check(connection: str, variable: str, value: object, *, is_public: bool) -> None:
    where = f"connection `{connection}`"
    if not _VARIABLE.fullmatch(variable):
        raise DagbookError(f"{where}: {variable[:60]!r} cannot be the name of a variable")
    if (problem := variable_problem(variable)) is not None:
        raise DagbookError(f"{where}: {problem}")
    if not isinstance(value, str) or "\0" in value:
        raise DagbookError(f"{where}: the value of `{variable}` is no text, and cannot be kept")
    if not value:
        raise DagbookError(f"{where}: the value of `{variable}` is empty: give one, or forget it")
    if len(value.strip()) < SHORTEST_SECRET and not is_public:
        raise DagbookError(
            f"{where}: the value of `{variable}` is shorter than {SHORTEST_SECRET} characters, "
            "which cannot be masked: take a longer one"
        )


def _path(project_root: Path) -> Path:
    return _config_folder() / "credentials" / _file_name(project_root)


def _config_folder() -> Path:
    base = os.environ.get("XDG_CONFIG_HOME") or ""
    # The standard has relative ones ignored.
    above = Path(base) if Path(base).is_absolute() else Path("~/.config").expanduser()
    return above / "dagbook"


def _file_name(project_root: Path) -> str:
    real = os.path.realpath(project_root)
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(real).name).strip("-")[:40] or "project"
    return f"{name}-{hashlib.sha256(os.fsencode(real)).hexdigest()[:16]}.json"


@contextmanager
def _folder(project_root: Path, *, make: bool) -> Iterator[int | None]:
    """The folder of what is kept, opened, so that what was looked at is what is used.

    None where there is none and none is to be made.
    """
    above = _config_folder()
    path = above / "credentials"
    root = Path(os.path.realpath(project_root))
    if Path(os.path.realpath(path)).is_relative_to(root):
        raise DagbookError(
            f"{path} lies in the project {root}, where others would get it: set XDG_CONFIG_HOME "
            "to a folder outside of it"
        )
    try:
        if make:
            above.parent.mkdir(parents=True, exist_ok=True)
            for folder in (above, path):
                with suppress(FileExistsError):
                    folder.mkdir(mode=0o700)
        outer = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            _refuse_unsafe(above, os.fstat(outer), forbidden=stat.S_IWGRP | stat.S_IWOTH)
            inner = os.open(
                "credentials",
                os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC,
                dir_fd=outer,
            )
        finally:
            os.close(outer)
    except FileNotFoundError:
        if make:
            raise DagbookError(f"{path} cannot be made") from None
        yield None
        return
    except OSError as error:
        raise _unusable(path, error) from None
    try:
        _refuse_unsafe(path, os.fstat(inner), forbidden=_OF_OTHERS)
        yield inner
    finally:
        os.close(inner)


def _read(folder: int, project_root: Path) -> Kept:
    path = _path(project_root)
    # What is no file, such as a pipe, must not keep anybody waiting.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(path.name, flags, dir_fd=folder)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise _unusable(path, error) from None
    try:
        # Of what was opened, whatever stands at the path by now.
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise DagbookError(f"{path} is not a file: remove it, and keep it again")
        _refuse_unsafe(path, found, forbidden=_OF_OTHERS)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise _unusable(path, error) from None
    finally:
        os.close(descriptor)
    return _checked(path, project_root, content)


def _checked(path: Path, project_root: Path, content: bytes) -> Kept:
    try:
        found: Any = json.loads(content) if len(content) <= _LARGEST else None
        connections = found["connections"]
        is_sound = found["project"] == os.path.realpath(project_root) and all(
            isinstance(value, str) for values in connections.values() for value in values.values()
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        is_sound = False
    if not is_sound:
        raise DagbookError(f"{path} was not written by dagbook: remove it, and keep it again")
    return {str(name): dict(values) for name, values in connections.items()}


def _write(folder: int, project_root: Path, found: Kept) -> None:
    path = _path(project_root)
    document = {"project": os.path.realpath(project_root), "connections": found}
    content = json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")
    if len(content) > _LARGEST:
        raise DagbookError(f"{path} would be larger than {_LARGEST:,} bytes: keep less")
    temporary = f".{path.name}.{secrets.token_hex(8)}"
    try:
        # Whoever was killed while they wrote left one; we hold the lock, so nobody is at it.
        for name in os.listdir(folder):
            if name.startswith(f".{path.name}."):
                os.unlink(name, dir_fd=folder)
        if not found:
            with suppress(FileNotFoundError):
                os.unlink(path.name, dir_fd=folder)
            return
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(temporary, flags, 0o600, dir_fd=folder)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path.name, src_dir_fd=folder, dst_dir_fd=folder)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary, dir_fd=folder)
            raise
        os.fsync(folder)
    except OSError as error:
        raise _unusable(path, error) from None


def _refuse_unsafe(path: Path, found: os.stat_result, *, forbidden: int) -> None:
    mode = stat.S_IMODE(found.st_mode)
    wanted = "700" if stat.S_ISDIR(found.st_mode) else "600"
    if found.st_uid != os.geteuid():
        raise DagbookError(f"{path} belongs to another user, and is not used: remove it")
    if mode & forbidden:
        raise DagbookError(
            f"{path} is open to others (mode {mode:04o}), and is not used: `chmod {wanted}` it, "
            "and change what is in it if somebody may have read it"
        )


def _unusable(path: Path, error: OSError) -> DagbookError:
    import errno

    if error.errno == errno.ELOOP:
        return DagbookError(f"{path} is a link, and is not used: remove it")
    if error.errno == errno.ENOTDIR:
        return DagbookError(f"{path} is a link or no folder, and is not used: remove it")
    return DagbookError(f"{path} cannot be used: {error.strerror}")
