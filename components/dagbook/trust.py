"""Whose code may run here: the projects that this user made or said yes to.

A project that came from somewhere else brings Python along: its own modules, the interpreter in
its `.venv` or `.env`, classes that its Dagster settings name. Opening it must run none of that
before its user agreed. The answer is kept in the user's own folder, never in the project.
"""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagbook.atomic_write import write_atomically
from dagbook.errors import DagbookError

#: ``1`` trusts whatever is opened with this in the environment, as on a build machine; otherwise
#: the projects to trust, separated as in ``PATH``.
TRUST_VARIABLE = "DAGBOOK_TRUST"

_SCHEMA = "dagbook.trusted/1"

#: Set once in a process that must not import a project's modules.
_withheld = False


@dataclass(frozen=True)
class TrustedProject:
    """A project somebody trusts, and since when (ISO 8601)."""

    root: Path
    since: str


def trust_file() -> Path:
    """Where the answers are kept.

    Raises:
        DagbookError: this user has no folder of their own.
    """
    base = os.environ.get("XDG_CONFIG_HOME")
    try:
        folder = Path(base) if base and Path(base).is_absolute() else Path.home() / ".config"
    except RuntimeError:
        raise DagbookError(
            f"cannot tell which folder is yours: set HOME, or {TRUST_VARIABLE}=1"
        ) from None
    return folder / "dagbook" / "trusted.json"


def is_trusted(root: Path) -> bool:
    """Whether a project's code may run.

    Args:
        root: the project.

    Raises:
        DagbookError: what is known cannot be relied on, as somebody else can write it.
    """
    named = os.environ.get(TRUST_VARIABLE, "")
    if named == "1":
        return True
    real = os.path.realpath(root)
    if any(os.path.realpath(path) == real for path in named.split(os.pathsep) if path):
        return True
    known = _read().get(real)
    # Another folder in its place, such as a second clone, is another project.
    return known is not None and _identity(Path(real)) == (known.get("inode"), known.get("owner"))


def trust_project(root: Path) -> None:
    """Write down that a project's code may run.

    Raises:
        DagbookError: it cannot be written down.
    """
    real = Path(os.path.realpath(root))
    identity = _identity(real)
    if identity is None:
        raise DagbookError(f"{root} does not exist")
    since = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    with _changing() as known:
        known[str(real)] = {"inode": identity[0], "owner": identity[1], "since": since}


def distrust_project(root: Path) -> bool:
    """Take it back; says whether there was anything to take back.

    Raises:
        DagbookError: it cannot be written down.
    """
    with _changing() as known:
        return known.pop(os.path.realpath(root), None) is not None


def trusted_projects() -> list[TrustedProject]:
    """What is trusted, by path.

    Raises:
        DagbookError: what is known cannot be relied on.
    """
    return [
        TrustedProject(Path(path), str(entry.get("since", "")))
        for path, entry in sorted(_read().items())
    ]


def untrusted_text(root: Path) -> str:
    """The one sentence for whoever meets a project that nobody trusted yet."""
    return (
        f"{root} was not made here and its Python code has not been run: if you trust who wrote "
        f"it, say so with `dagbook trust {root}`"
    )


def withhold_code() -> None:
    """From now on no module of a project is imported in this process."""
    global _withheld
    _withheld = True


def is_code_withheld() -> bool:
    """Whether this process must not import a project's modules."""
    return _withheld


def _identity(root: Path) -> tuple[int, int] | None:
    try:
        found = root.stat()
    except OSError:
        return None
    # Not the device: its number differs from one start of the machine to the next.
    return found.st_ino, found.st_uid


def _read() -> dict[str, dict[str, Any]]:
    path = trust_file()
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno())
            data = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise DagbookError(f"cannot read {path}: {os.strerror(error.errno or 0)}") from None
    if found.st_uid not in (os.geteuid(), 0) or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise DagbookError(f"{path} can be written by others: `chmod 600 {path}`, then try again")
    if not data:
        return {}  # made, and not written yet
    try:
        projects = json.loads(data)["projects"]
        return {path: dict(entry) for path, entry in projects.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DagbookError(
            f"{path} is not what dagbook wrote: remove it, and trust your projects again"
        ) from None


@contextmanager
def _changing() -> Iterator[dict[str, dict[str, Any]]]:
    """What is known, to be changed by one process at a time."""
    path = trust_file()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = _read()
            before = json.dumps(known)
            yield known
            for gone in [root for root in known if not os.path.isdir(root)]:  # noqa: PTH112
                del known[gone]
            if json.dumps(known) == before:
                return
            if not path.exists():
                os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
            text = json.dumps({"schema": _SCHEMA, "projects": known}, indent=1)
            # The file keeps its mode.
            write_atomically(path, text + "\n")
        finally:
            os.close(lock)
    except OSError as error:
        raise DagbookError(f"cannot write {path}: {os.strerror(error.errno or 0)}") from None
