"""Files that the notebook gives MLflow: kept on disk as they come in, however large they are."""

from __future__ import annotations

import codecs
import os
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock
from typing import IO, TYPE_CHECKING

from dagbook.recorder.answers import Refusal
from dagbook.recorder.calls import ARTIFACTS_FOLDER

if TYPE_CHECKING:
    from dagbook.masking import Masker

#: How much a run may leave for MLflow, in bytes.
MOST_BYTES = 20 * 1024**3
#: How much of the disk is left alone, in bytes.
LEFT_BYTES = 256 * 1024**2

_CHUNK = 1024 * 1024


class Uploads:
    """The files of one run."""

    def __init__(self, folder: Path, masker: Callable[[], Masker | None]) -> None:
        self._folder = folder
        self._masker = masker
        self._number = 0
        self._bytes = 0
        self._lock = Lock()

    def count(self, files: Iterable[tuple[str, int]]) -> None:
        """Know what was there before this process, each file with its length."""
        for file, length in files:
            self._number = max(self._number, int(file.split("/")[1]))
            self._bytes += length
        folder = self._folder / ARTIFACTS_FOLDER
        if folder.is_dir():
            # Also of what was never acknowledged.
            numbers = [int(path.name) for path in folder.iterdir()]
            self._number = max(self._number, *numbers, 0)

    def take(self, name: str, body: IO[bytes], length: int) -> tuple[str, int]:
        """Keep a file; it is on disk once this returns.

        Args:
            name: its own, without folders.
            body: where it comes from.
            length: how many bytes that will be.

        Returns:
            Where it lies, below the run's folder, and its length.

        Raises:
            Refusal: it is too large, or did not come whole.
            OSError: it cannot be written.
        """
        with self._lock:
            self._make_room(length)
            self._number += 1
            self._bytes += length
            below = f"{ARTIFACTS_FOLDER}/{self._number}"
        folder = self._folder / below
        folder.mkdir(mode=0o700, parents=True)
        folder.parent.chmod(0o700)
        path = folder / name
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                self._copy(body, length, file)
                file.flush()
                os.fsync(file.fileno())
                written = file.tell()
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            with self._lock:
                self._bytes -= length
            raise
        return f"{below}/{name}", written

    def _make_room(self, length: int) -> None:
        if self._bytes + length > MOST_BYTES:
            raise Refusal(
                "RESOURCE_EXHAUSTED",
                f"a run may give MLflow {MOST_BYTES / 1024**3:g} GiB of files, and with this one "
                "it would be more: keep large files in a storage of their own, and log where they "
                "are",
            )
        if shutil.disk_usage(self._folder).free - length < LEFT_BYTES:
            raise Refusal("RESOURCE_EXHAUSTED", "the disk is full: MLflow's files wait there")

    def _copy(self, body: IO[bytes], length: int, file: IO[bytes]) -> None:
        first = _read(body, min(length, _CHUNK))
        left = length - len(first)
        masker = self._masker()
        if masker is None or not _is_text(first, whole=left == 0):
            file.write(first)
            while left:
                chunk = _read(body, min(left, _CHUNK))
                file.write(chunk)
                left -= len(chunk)
            return
        # Whatever is no UTF-8 after all comes out as it went in.
        decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        mask = masker.stream()
        chunk = first
        while True:
            shown = mask.feed(decoder.decode(chunk, final=not left))
            file.write(shown.encode("utf-8", "surrogateescape"))
            if not left:
                break
            chunk = _read(body, min(left, _CHUNK))
            left -= len(chunk)
        file.write(mask.end().encode("utf-8", "surrogateescape"))


def _read(body: IO[bytes], length: int) -> bytes:
    data = body.read(length)
    if len(data) < length:
        raise Refusal("BAD_REQUEST", "the file did not come whole")
    return data


def _is_text(data: bytes, *, whole: bool) -> bool:
    if b"\0" in data:
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data, final=whole)
    except UnicodeDecodeError:
        return False
    return True
