"""The private folders of a run outside its project: its sockets, its home, its secret files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from dagbook.errors import DagbookError

if TYPE_CHECKING:
    from dagbook.execution.kernel_user import KernelUser
    from dagbook.policy.connections import KernelRules

# A Unix socket's path may have about 107 bytes; the name we add takes some of them.
SOCKET_FOLDER_LIMIT = 90
SCRATCH_PREFIX = "dagbook-"
#: What belongs to another user lies in such a folder of the private one.
INSIDE = "k"


class PrivateFolder:
    """A folder of one run that only its kernel's user can look into, and root.

    What belongs to another user than ours lies one floor below: in a folder like ``/tmp`` they
    could put another thing in the place of what is theirs. And it is theirs only once everything
    is in it, so that nothing of theirs is ever written through.

    Attributes:
        whole: what is removed at the end.
        inside: where its things lie: the same, or a folder in it.
    """

    def __init__(self, whole: Path, user: KernelUser | None) -> None:
        """Of a fresh folder `whole`, which is ours and 0700.

        Raises:
            OSError: it cannot be made.
        """
        self.whole = whole
        self.user = user
        self.inside = whole
        if user is not None:
            self.inside = whole / INSIDE
            self.inside.mkdir(mode=0o700)

    def open(self, *more: Path) -> None:
        """Let the kernel's user in: to what lies inside now, and to `more` in `whole`.

        Raises:
            OSError: it cannot be given.
        """
        if self.user is None:
            return
        for path in (self.inside, *more):
            for above, folders, files in os.walk(path, topdown=False):
                for name in (*folders, *files):
                    give(Path(above, name), self.user)
            give(path, self.user)
        self.whole.chmod(0o711)


def give(path: Path | int, user: KernelUser | None) -> None:
    """Give a file, a folder or an open file to the kernel's user; never what a link leads to.

    Raises:
        OSError: it cannot be given.
    """
    if user is None:
        return
    if isinstance(path, int):
        os.fchown(path, user.uid, user.gid)
    else:
        os.chown(path, user.uid, user.gid, follow_symlinks=False)


def socket_folder(user: KernelUser | None) -> PrivateFolder:
    """Make the private folder of one kernel, with a path short enough for its sockets.

    Raises:
        DagbookError: it cannot be made.
    """
    try:
        folder = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX))
        if len(os.fsencode(folder)) > SOCKET_FOLDER_LIMIT:
            folder.rmdir()
            folder = Path(tempfile.mkdtemp(prefix=SCRATCH_PREFIX, dir="/tmp"))
        return PrivateFolder(folder, user)
    except OSError as error:
        raise no_temporary_folder(error) from None


def of_its_own(
    environment: Mapping[str, str], private: PrivateFolder, rules: KernelRules | None
) -> Mapping[str, str]:
    """The environment of a kernel with a home or a user of its own, and all that is made for it.

    Raises:
        DagbookError: a rule cannot be kept.
        OSError: something cannot be made.
    """
    made = []
    if private.user is not None:
        from dagbook.execution.kernel_user import of_user

        environment = of_user(environment, private.user)
    if rules is not None and rules.own_home:
        from dagbook.execution.own_home import make_home

        made.append(private.whole / "home")
        environment = make_home(made[0], environment, rules.shared_caches, private.user)
    private.open(*made)
    return environment


def no_temporary_folder(error: OSError) -> DagbookError:
    """The refusal of a run for which no private folder can be made."""
    where = error.filename or "the folder for temporary files"
    return DagbookError(
        f"{where}: the kernel's sockets cannot be made there ({error.strerror}). Free some space "
        "there, or name another folder in the environment variable TMPDIR."
    )
