"""Finds and reads a project's platform file, and says where each thing wrong in it stands."""

from __future__ import annotations

import functools
import hashlib
import os
import stat
import time
from pathlib import Path

from dagbook.defs_yaml import shown_path
from dagbook.errors import DagbookError
from dagbook.findings import Finding
from dagbook.policy.file_keys import PLATFORM
from dagbook.policy.file_kinds import WRONG, Problem, Reading
from dagbook.policy.platform import BUILT_IN_PLATFORM, Platform
from dagbook.policy.platform_values import build_platform, check_together
from dagbook.policy.presence import NEAR_NAMES, PLATFORM_FILE_NAME, has_platform_file
from dagbook.safe_yaml.parsing import parse
from dagbook.safe_yaml.reading import Refused, decoded
from dagbook.safe_yaml.rules import ScreeningRules

__all__ = [
    "PLATFORM_FILE_NAME",
    "find_platform",
    "has_platform_file",
    "platform_from_text",
    "platform_problems",
    "read_platform",
]

#: Also how deep it may nest, how many values its aliases may make, and so on.
_LIMITS = ScreeningRules()
#: Longer than two changes can lie apart and bear the same time, in nanoseconds.
_TICK_NS = 100_000_000


def find_platform(project_root: Path) -> Platform:
    """The policy in force in a project: what its platform file says, or the defaults without one.

    The file is read again when it has changed.

    Raises:
        DagbookError: there is a file and it cannot be used; the text is its first problem.
    """
    path = project_root / PLATFORM_FILE_NAME
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        near = next((n for n in NEAR_NAMES if os.path.lexists(project_root / n)), None)
        if near is None:
            return BUILT_IN_PLATFORM
        raise DagbookError(
            f"{project_root / near} is not read: the platform file is called {PLATFORM_FILE_NAME}"
        ) from None
    except OSError as error:
        raise DagbookError(f"cannot read {path}: {os.strerror(error.errno or 0)}") from None
    # The time of change too: whoever edits a file can set the time it was modified.
    state = (found.st_mtime_ns, found.st_ctime_ns, found.st_size, found.st_ino)
    if time.time_ns() - found.st_ctime_ns < _TICK_NS:
        # The clock of a file system is coarse: another change would leave the same times.
        return read_platform(path)
    return _read_once(path, state)


@functools.lru_cache(maxsize=16)
def _read_once(path: Path, _state: tuple[int, ...]) -> Platform:
    return read_platform(path)


def read_platform(path: Path) -> Platform:
    """Read one platform file.

    Raises:
        DagbookError: it cannot be used; the text is its first problem and how many more there are.
    """
    platform, problems = _read(path)
    return _sound(platform, problems)


def platform_problems(path: Path) -> list[Finding]:
    """Everything wrong with a platform file, in the order of its lines."""
    return _read(path)[1]


def platform_from_text(data: bytes, path: Path, *, label: str, in_package: bool) -> Platform:
    """The platform of a text that was read already.

    Args:
        data: the file's bytes.
        path: where they come from.
        label: what messages call the file.
        in_package: whether it is a company package's.

    Raises:
        DagbookError: it cannot be used; the text is its first problem and how many more there are.
    """
    return _sound(*_interpret(data, path, label, in_package))


def _sound(platform: Platform | None, problems: list[Finding]) -> Platform:
    if platform is None:
        left = len(problems) - 1
        more = f" ({left} more: `dagbook platform show`)" if left else ""
        raise DagbookError(f"{problems[0]}{more}")
    return platform


def _read(path: Path) -> tuple[Platform | None, list[Finding]]:
    label = shown_path(path)
    try:
        data = _bytes_of(path)
    except Refused as refused:
        return None, [Finding(label, refused.line, refused.column, "", refused.text)]
    return _interpret(data, path, label, in_package=False)


def _bytes_of(path: Path) -> bytes:
    # A link would let whoever can write where it leads say what is allowed here.
    try:
        kind = path.lstat().st_mode
        if stat.S_ISLNK(kind):
            raise Refused(1, 1, "is a link: put the file itself there")
        if not stat.S_ISREG(kind):
            raise Refused(1, 1, "is not a file")
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        handle = os.open(path, flags)
    except OSError as error:
        raise Refused(1, 1, f"cannot be read: {os.strerror(error.errno or 0)}") from None
    with os.fdopen(handle, "rb") as file:
        # And again of what was opened, which may be something else by now.
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            raise Refused(1, 1, "is not a file")
        return file.read(_LIMITS.max_bytes + 1)


def _interpret(
    data: bytes, path: Path, label: str, in_package: bool
) -> tuple[Platform | None, list[Finding]]:
    reading = Reading(in_package=in_package)
    platform = None
    try:
        platform = _platform(data, path, reading)
    except Refused as refused:
        # Nothing after it can be trusted, so it stands alone.
        reading.problems = [Problem(refused.line, refused.column, "", refused.text)]
    found = sorted(reading.problems, key=lambda p: (p.line, p.column))
    return (
        None if found else platform,
        [Finding(label, p.line, p.column, p.key, p.text) for p in found],
    )


def _platform(data: bytes, path: Path, reading: Reading) -> Platform | None:
    if len(data) > _LIMITS.max_bytes:
        raise Refused(1, 1, f"is larger than {_LIMITS.max_bytes:,} bytes: no platform file is")
    documents, duplicates = parse(decoded(data), _LIMITS, read_again=False)
    reading.problems += [Problem(d.line, d.column, "", d.text) for d in duplicates]
    if len(documents) > 1:
        second = documents[1]
        raise Refused(
            second.line, second.column, "a second document: one file holds one, without `---`"
        )
    tree = {}
    if documents and documents[0].value is not None:
        tree = PLATFORM.read(documents[0], (), reading)
        if tree is WRONG:
            return None
        check_together(tree, reading)
    if reading.problems:
        return None
    version = hashlib.sha256(data).hexdigest()[:12]
    return build_platform(tree, reading, version=version, file=path)
