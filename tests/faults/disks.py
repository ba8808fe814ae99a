"""Disks of a trial's own: small ones, broken ones, and other people's folders."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: An account that owns nothing.
NOBODY = 65534
#: May read everything, as tests need to start Python wherever it lies, but write nothing.
AS_NOBODY = (
    "setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups",
    "--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search",
)  # fmt: skip


@contextmanager
def small_disk(folder: Path, options: str) -> Iterator[Path]:
    """A file system in memory at `folder`, with the options of tmpfs: ``size=1m``."""
    with _mounted(folder, "-t", "tmpfs", "-o", options, "tmpfs"):
        yield folder


@contextmanager
def failing_disk(folder: Path, size: int) -> Iterator[tuple[Path, Path]]:
    """A disk that turns read-only at its first error; also the file that makes it have one."""
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(size)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", image], check=True, capture_output=True)
    with _mounted(folder, "-o", "loop,errors=remount-ro,commit=1", str(image)):
        yield folder, _errors_of(folder)


def repair(folder: Path) -> None:
    """Mount a disk that has turned read-only anew.

    A copy of it: the disk itself stays as it is for as long as any other process of the machine
    has a mount namespace that was made meanwhile.
    """
    failed, image = folder.with_suffix(".img"), folder.with_suffix(".repaired.img")
    subprocess.run(["umount", "--lazy", folder], check=True)
    os.sync()
    shutil.copyfile(failed, image)
    subprocess.run(["e2fsck", "-p", image], capture_output=True)
    subprocess.run(["mount", "-o", "loop,errors=remount-ro,commit=1", image, folder], check=True)


def fill(folder: Path, *, leave: int = 0) -> Path:
    """Leave only so many bytes free; the file returned takes the rest."""
    filler = folder / "filler"
    with filler.open("wb") as file:
        try:
            while True:
                os.write(file.fileno(), b"\0" * 65_536)
        except OSError:
            pass
        file.truncate(max(0, file.seek(0, os.SEEK_END) - leave))
    return filler


@contextmanager
def _mounted(folder: Path, *arguments: str) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", *arguments, folder], check=True)
    try:
        yield
    finally:
        # Also where a process of a failed trial still has a file open there.
        subprocess.run(["umount", "--lazy", folder], check=False)


def _errors_of(folder: Path) -> Path:
    found = subprocess.run(
        ["findmnt", "--noheadings", "--output", "SOURCE", folder],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return Path("/sys/fs/ext4") / Path(found.stdout.strip()).name / "trigger_fs_error"


def give_to_nobody(*paths: Path) -> None:
    """Make them another account's."""
    for path in paths:
        shutil.chown(path, NOBODY, NOBODY)
