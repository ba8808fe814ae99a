"""Brings a file that a notebook gave MLflow to MLflow."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dagbook.recorder.calls import Call

if TYPE_CHECKING:
    from mlflow import MlflowClient

#: Texts up to this length are looked through for names of ours, in bytes.
MOST_TRANSLATED = 4 * 1024 * 1024

# From this length on a file takes its time, and how much it is given.
_LARGE_BYTES, _LARGE_SECONDS, _LEAST_BYTES_PER_SECOND = 8 * 1024**2, 60.0, 2 * 1024**2
_TIMEOUT = "MLFLOW_HTTP_REQUEST_TIMEOUT"


def send_file(
    client: MlflowClient,
    call: Call,
    owner: str,
    folder: Path,
    translate: Callable[[str], str],
    uploading: Callable[[float], None],
) -> None:
    """Send one file.

    Args:
        client: MLflow's.
        call: which file, of a run or a model, and where it belongs there.
        owner: what the server calls that run or model.
        folder: of the spool.
        translate: makes a text one that the server understands: a model's description names its
            run.
        uploading: told that a large file is sent now, and how many seconds that may take.
    """
    below = call["path"].rpartition("/")[0]
    # Beside the file, so that it can be linked.
    with (
        _patience(call["bytes"], uploading),
        tempfile.TemporaryDirectory(dir=folder) as scratch,
    ):
        path = _translated(folder / call["file"], Path(scratch), translate)
        if call["kind"] == "run":
            client.log_artifact(owner, str(path), below or None)
            return
        # Of a model whole folders only: so the file lies in one that is its own.
        whole = Path(scratch) / "model"
        (whole / below).mkdir(parents=True)
        _link(path, whole / call["path"])
        client.log_model_artifacts(owner, str(whole))


@contextmanager
def _patience(length: int, uploading: Callable[[float], None]) -> Iterator[None]:
    """Wait longer for the answer about a large file, which the server has to store first."""
    if length < _LARGE_BYTES:
        yield
        return
    seconds = _LARGE_SECONDS + length / _LEAST_BYTES_PER_SECOND
    before = os.environ.get(_TIMEOUT)
    os.environ[_TIMEOUT] = str(max(int(seconds), int(before or 0)))
    uploading(seconds)
    try:
        yield
    finally:
        if before is None:
            del os.environ[_TIMEOUT]
        else:
            os.environ[_TIMEOUT] = before


def _translated(path: Path, folder: Path, translate: Callable[[str], str]) -> Path:
    if path.stat().st_size > MOST_TRANSLATED:
        return path
    try:
        text = path.read_bytes().decode()
    except UnicodeDecodeError:
        return path
    told = translate(text)
    if told == text:
        return path
    (folder / path.name).write_bytes(told.encode())
    return folder / path.name


def _link(path: Path, to: Path) -> None:
    try:
        to.hardlink_to(path)
    except OSError:
        shutil.copyfile(path, to)
