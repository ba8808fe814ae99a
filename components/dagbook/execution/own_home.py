"""A home of a run's own: empty, private, and gone with the run.

Programs look for credentials below `HOME`: ``~/.aws``, ``~/.netrc``, ``~/.ssh``,
``~/.config/gcloud``. In a home of its own a notebook finds none by accident. It may still open
such a file by its whole path where its user may read it: only a user of its own, `run_as`, keeps
it from that.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath

from dagbook.errors import DagbookError
from dagbook.execution.kernel_user import KernelUser

#: They have defaults below `HOME`, which is where they belong then. The runtime folder has the
#: sockets of the session in it: its keyring's and its agents'.
FOLLOW_HOME = (
    "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR",
    "IPYTHONDIR", "JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "MPLCONFIGDIR",
)  # fmt: skip


def make_home(
    home: Path,
    environment: Mapping[str, str],
    shared_caches: tuple[str, ...],
    user: KernelUser | None = None,
) -> dict[str, str]:
    """Make a run's home, and return the kernel's environment with it in.

    Args:
        home: where it is made: in a folder that nobody else can enter yet.
        environment: the kernel's, with the home that is the user's.
        shared_caches: paths below that home that are there all the same, as links.
        user: whom the kernel belongs to; None for ourselves. It is to be given to them yet.

    Raises:
        DagbookError: a shared cache is no path below the home.
        OSError: it cannot be made.
    """
    real = Path(user.home if user is not None else environment.get("HOME") or "/")
    home.mkdir(mode=0o700)
    for shared in sorted(shared_caches, key=lambda path: path.count("/")):
        _link(home, real, shared, may_make=user is None)
    changed = {name: value for name, value in environment.items() if name not in FOLLOW_HOME}
    changed["HOME"] = str(home)
    # Packages that were installed with `pip install --user` are no credentials.
    packages = real / ".local"
    if user is None and "PYTHONUSERBASE" not in changed and (packages / "lib").is_dir():
        changed["PYTHONUSERBASE"] = str(packages)
    return changed


def _link(home: Path, real: Path, shared: str, *, may_make: bool) -> None:
    path = PurePosixPath(shared)
    if path.is_absolute() or ".." in path.parts or not path.parts:
        raise DagbookError(
            f"kernel_process.shared_caches: {shared!r} is no path below the home folder. Write it as "
            "in .cache/huggingface."
        )
    target = real / path
    if may_make and not os.path.lexists(target):
        # Made by the first run that fills it, for those that follow.
        with suppress(OSError):
            target.mkdir(mode=0o700, parents=True)
    if not target.exists():
        return
    link = home / path
    if os.path.lexists(link):
        return  # in a folder that is shared as a whole
    folder = home
    for part in path.parts[:-1]:
        folder = folder / part
        folder.mkdir(mode=0o700, exist_ok=True)
    link.symlink_to(target)
