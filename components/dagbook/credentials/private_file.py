"""Reads a file that holds a credential, where it is one and nobody else can read it."""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Mapping
from pathlib import Path

from dagbook.credentials.provider import Lookup
from dagbook.errors import DagbookError

#: No credential is longer, in bytes.
LARGEST = 1024 * 1024

_READ_BY_OTHERS = stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH


def find_path(text: str, lookup: Lookup) -> Path:
    """The file that a text of the platform file names.

    Raises:
        DagbookError: it is relative, and nobody knows to what.
    """
    path = Path(text)
    if text.startswith("~/"):
        path = Path(lookup.environment.get("HOME") or "~").expanduser() / text[2:]
    if path.is_absolute():
        return path
    folder = lookup.settings.get("folder")
    if folder is not None:
        below = find_path(folder, Lookup("", environment=lookup.environment, folder=lookup.folder))
        return below / path
    if lookup.folder is None:
        raise DagbookError(f"`{text}` leads nowhere without a platform file: write the whole path")
    return lookup.folder / path


def read_private(path: Path, options: Mapping[str, str] | None = None) -> bytes:
    """The content of a file that is the runner's, root's or a named user's alone.

    Links are followed: that is how Kubernetes mounts a secret.

    Args:
        path: the file.
        options: ``shared: yes`` lets others read it, ``owner`` names one more user it may belong
            to.

    Raises:
        DagbookError: there is no such file, it cannot be read, or others can.
    """
    options = options or {}
    # What is no file, such as a pipe, must not keep anybody waiting.
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
    except FileNotFoundError:
        raise DagbookError(f"there is no file {path}: mend the path, or put it there") from None
    except PermissionError:
        raise DagbookError(f"{path} may not be read by the user {_user(os.geteuid())}") from None
    except (OSError, ValueError) as error:
        why = os.strerror(error.errno or 0) if isinstance(error, OSError) else "no path"
        raise DagbookError(f"{path} cannot be read: {why}") from None
    try:
        # Of what was opened, whatever stands at the path by now.
        _refuse_unsafe(path, os.fstat(descriptor), options)
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            content = file.read(LARGEST + 1)
    finally:
        os.close(descriptor)
    if len(content) > LARGEST:
        raise DagbookError(f"{path} is larger than {LARGEST:,} bytes: no credential is")
    return content


def read_private_text(path: Path, options: Mapping[str, str] | None = None) -> str:
    """The same as text; a UTF-8 signature at its beginning is left out.

    Raises:
        DagbookError: it cannot be read, or is no UTF-8.
    """
    try:
        return read_private(path, options).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DagbookError(f"{path} is no text in UTF-8") from None


def _refuse_unsafe(path: Path, found: os.stat_result, options: Mapping[str, str]) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise DagbookError(f"{path} is not a file")
    mode = stat.S_IMODE(found.st_mode)
    owners = {0, os.geteuid()} | _named_owner(options.get("owner"))
    if found.st_uid not in owners:
        raise DagbookError(
            f"{path} belongs to the user {_user(found.st_uid)}, who can change it: give it to "
            f"{_user(os.geteuid())}, or name the user as `owner` of the connection"
        )
    if options.get("shared") == "yes":
        if mode & stat.S_IWOTH:
            raise DagbookError(
                f"{path} can be changed by everybody (mode {mode:04o}): `chmod o-w` it"
            )
    elif mode & _READ_BY_OTHERS:
        raise DagbookError(
            f"{path} can be read by others than its owner (mode {mode:04o}): `chmod 600` it, or "
            "give the connection `shared: yes`"
        )


def _named_owner(name: str | None) -> set[int]:
    if name is None:
        return set()
    if name.isdecimal():
        return {int(name)}
    try:
        return {pwd.getpwnam(name).pw_uid}
    except KeyError:
        raise DagbookError(f"this machine has no user `{name}`: mend `owner`") from None


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
