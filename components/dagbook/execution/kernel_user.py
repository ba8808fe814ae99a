"""Whom a kernel belongs to, where it is not to be the runner's own user."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dagbook.errors import DagbookError


@dataclass(frozen=True)
class KernelUser:
    """A user of this machine, with the groups that are theirs and no others."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str
    shell: str

    @property
    def words(self) -> str:
        """As a guardian is told it: ``UID:GID`` and more groups."""
        return ":".join(map(str, (self.uid, self.gid, *self.groups)))


#: Folders of the runner's own user, of no use to another one.
_OF_THE_RUNNER = (
    "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR",
    "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "MPLCONFIGDIR", "PYTHONUSERBASE",
    "PYTHONPYCACHEPREFIX", "R_LIBS_USER",
)  # fmt: skip
_EVERYBODY_MAY_WRITE = 0o003


def of_user(environment: Mapping[str, str], user: KernelUser) -> dict[str, str]:
    """An environment as it is for a kernel of that user, with nothing of our own user's in it."""
    changed = {name: value for name, value in environment.items() if name not in _OF_THE_RUNNER}
    for name in ("TMPDIR", "TMP", "TEMP"):
        if name in changed and not _is_open(changed[name]):
            del changed[name]
    return changed | {
        "HOME": user.home,
        "USER": user.name,
        "LOGNAME": user.name,
        "SHELL": user.shell or "/bin/sh",
    }


def _is_open(folder: str) -> bool:
    try:
        mode = Path(folder).stat().st_mode
    except OSError:
        return False
    return mode & _EVERYBODY_MAY_WRITE == _EVERYBODY_MAY_WRITE


def refuse_open_way(folder: Path, user: KernelUser) -> None:
    """Refuse to write in a place where the kernel's user could put a link in our way.

    Raises:
        DagbookError: a folder on the way there is theirs to change.
    """
    for named in dict.fromkeys((Path(os.path.abspath(folder)), folder.resolve())):  # noqa: PTH100
        for above in (named, *named.parents):
            try:
                found = above.lstat()
            except OSError:
                continue  # still to be made, by us
            if _may_change(found, user):
                raise DagbookError(
                    f"{folder}: executed notebooks are written there by root, and user "
                    f"{user.name!r}, whom the notebook runs as, may change {above}. Have root own "
                    "it, or choose another place."
                )


def _may_change(found: os.stat_result, user: KernelUser) -> bool:
    if found.st_uid == user.uid:
        return True
    if not stat.S_ISDIR(found.st_mode) or found.st_mode & stat.S_ISVTX:
        return False
    is_of_group = found.st_gid in (user.gid, *user.groups)
    return bool(found.st_mode & (stat.S_IWGRP if is_of_group else stat.S_IWOTH))


def find_kernel_user(name: str) -> KernelUser | None:
    """The user a kernel is to belong to; None when we are that user ourselves.

    Raises:
        DagbookError: there is no such user, it is root, or we may not start anything as another.
    """
    import pwd

    try:
        found = pwd.getpwnam(name)
    except KeyError:
        raise DagbookError(
            f"kernel_process.run_as: this machine has no user {name!r}. Make it, or name another one "
            "in the platform file."
        ) from None
    if found.pw_uid == os.geteuid() and found.pw_uid != 0:
        return None
    if found.pw_uid == 0:
        raise DagbookError(
            f"kernel_process.run_as: {name!r} is root, from whom nothing is kept. Name an ordinary user "
            "in the platform file."
        )
    if os.geteuid() != 0:
        raise DagbookError(
            f"kernel_process.run_as: only root can run a notebook as {name!r}, and the runner is user "
            f"{os.geteuid()}. Run Dagster as root or as {name!r}, or take `run_as` out of the "
            "platform file."
        )
    groups = os.getgrouplist(name, found.pw_gid)
    return KernelUser(
        found.pw_name, found.pw_uid, found.pw_gid, tuple(sorted({*groups} - {found.pw_gid})),
        found.pw_dir, found.pw_shell,
    )  # fmt: skip
