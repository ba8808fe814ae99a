"""The socket of a project's code server: made in private, found again, removed."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

import psutil

from dagbook.project import Project
from dagbook.services.instance import instance_home
from dagbook.services.processes import find_family
from dagbook.services.record import read_record

SOCKET_NAME = "code.sock"
_FOLDER_PREFIX = "dagbook-code-"
_OPTION = "--socket"


def make_socket() -> str:
    """A fresh path for a socket, in a folder only its owner can enter.

    A socket and not a port: whoever can talk to a code server can run code. Not in the project,
    because a socket's path may have 107 bytes at most.
    """
    return f"{tempfile.mkdtemp(prefix=_FOLDER_PREFIX)}/{SOCKET_NAME}"


def known_sockets(project: Project) -> set[str]:
    """The sockets of the project's code servers, from the record and from what runs."""
    record = read_record(project)
    sockets = {record.socket} if record else set()
    for process in find_family(instance_home(project)):
        with contextlib.suppress(psutil.Error, ValueError, IndexError):
            arguments = process.cmdline()
            sockets.add(arguments[arguments.index(_OPTION) + 1])
    # The code server's child has one of its own, which Dagster makes and removes.
    return {socket for socket in sockets if Path(socket).name == SOCKET_NAME}


def remove_socket(socket: str) -> None:
    """Remove a socket and its folder.

    A record may come with somebody's project and name any file: only what we make is removed.
    """
    path = Path(socket)
    if path.name == SOCKET_NAME and path.parent.name.startswith(_FOLDER_PREFIX):
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
            path.parent.rmdir()
