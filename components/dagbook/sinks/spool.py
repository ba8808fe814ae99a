"""What is to be recorded of runs, on disk until it has been: one folder for each try of a run.

``.dagbook/spool/mlflow/<name>/`` holds:

======================  ==========================================================================
``head.json``           what the run is, and where it is recorded; written before anything else
``points.jsonl``        measurements, appended as they are reported
``end.json``            how the run ended, written by the process that ran it
``result.json``         the same, written by whoever recovered a run that vanished
``state.json``          what has been sent, written by whoever sends
``calls.jsonl``         what the notebook told MLflow itself, see `dagbook.recorder.calls`
``owner``, ``sender``   locks: who runs it, who sends
======================  ==========================================================================

Folders that could not be delivered for good lie in ``aside/`` with the reason in their state. No
login is ever written: see `mlflow.without_login`.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from shutil import rmtree
from typing import Any

from dagbook.execution.result import MetricPoint, RunStatus
from dagbook.private_mode import make_private_folder
from dagbook.sinks.private_files import is_locked, lock, read_json, write_json

#: Below the state folder of a project.
SPOOL_FOLDER = Path("spool") / "mlflow"
ASIDE_FOLDER = "aside"
#: What waits longer than that is set aside, in seconds: its server is not coming back.
MOST_WAITING_SECONDS = 30 * 86400.0
#: How many folders are kept aside, the newest.
MOST_ASIDE = 200

_HEAD, _POINTS, _END, _RESULT, _STATE = (
    "head.json",
    "points.jsonl",
    "end.json",
    "result.json",
    "state.json",
)
_READ_BYTES = 256 * 1024
_STILLBORN_SECONDS = 60.0


@dataclass(frozen=True)
class Head:
    """What a run is to MLflow from its start.

    Attributes:
        tracking_uri: where it is recorded, without a login; None for the project's own store.
        started_at: Unix time in seconds.
        output_folder: where the journal of a run that vanished is found.
        login: the connection that logs in there, by its name; None where none does. Who delivers
            later fetches it anew.
    """

    experiment: str
    run_name: str
    tags: dict[str, str]
    notebook: str
    tracking_uri: str | None
    started_at: float
    output_folder: str
    login: str | None = None


@dataclass(frozen=True)
class End:
    """How a run ended, and what it leaves. Texts are as MLflow gets them."""

    status: RunStatus
    ended_at: float
    parameters: dict[str, str] = field(default_factory=dict)
    measurements: dict[str, float] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)


class Spool:
    """One folder of it, for whoever reads and sends."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def state_folder(self) -> Path:
        """The project's folder of state."""
        return self.folder.parents[len(SPOOL_FOLDER.parts)]

    @property
    def result_file(self) -> Path:
        """Where a recovery puts the result of a run that vanished."""
        return self.folder / _RESULT

    @property
    def head(self) -> Head | None:
        """What the run is; None when it vanished before that was written."""
        values = read_json(self.folder / _HEAD)
        return Head(**values) if values else None

    @property
    def state(self) -> dict[str, Any]:
        """What has been sent, and what went wrong."""
        return read_json(self.folder / _STATE) or {}

    def save(self, state: Mapping[str, Any]) -> None:
        """Replace the state."""
        write_json(self.folder / _STATE, state)

    @property
    def end(self) -> End | None:
        """How the run ended, where the process that ran it has said so."""
        values = read_json(self.folder / _END)
        return End(**{**values, "status": RunStatus(values["status"])}) if values else None

    @property
    def result(self) -> dict[str, Any] | None:
        """The result of a run that vanished, once it is recovered."""
        return read_json(self.folder / _RESULT)

    def points(self, offset: int) -> tuple[list[MetricPoint], int]:
        """Some of the points after `offset`, and the offset after them.

        An offset that did not move means that there are no more.
        """
        try:
            with (self.folder / _POINTS).open("rb") as file:
                file.seek(offset)
                data = file.read(_READ_BYTES)
        except FileNotFoundError:
            return [], offset
        lines = data[: data.rfind(b"\n") + 1]
        found = [_point(line) for line in lines.splitlines()]
        return [point for point in found if point is not None], offset + len(lines)

    @property
    def is_owned(self) -> bool:
        """Whether the process that runs it lives."""
        return is_locked(self.folder / "owner")

    def take_for_sending(self) -> int | None:
        """The descriptor that makes this process the sender; None while another one is."""
        return lock(self.folder / "sender")

    @property
    def is_stillborn(self) -> bool:
        """Whether the process that made the folder vanished before it said what it is for."""
        try:
            age = time.time() - self.folder.stat().st_mtime
        except FileNotFoundError:
            return False
        return age > _STILLBORN_SECONDS and self.head is None and not self.is_owned

    def remove(self) -> None:
        """Remove what has been delivered."""
        rmtree(self.folder, ignore_errors=True)

    def set_aside(self, state: Mapping[str, Any]) -> None:
        """Keep what cannot be delivered where nobody tries again."""
        self.save(state)
        aside = self.folder.parent / ASIDE_FOLDER
        aside.mkdir(mode=0o700, exist_ok=True)
        try:
            self.folder.rename(aside / self.folder.name)
        except OSError:
            rmtree(aside / self.folder.name, ignore_errors=True)
            self.folder.rename(aside / self.folder.name)
        kept = sorted(aside.iterdir(), key=lambda folder: folder.stat().st_mtime)
        for old in kept[:-MOST_ASIDE]:
            rmtree(old, ignore_errors=True)


class OwnSpool(Spool):
    """The folder of a run of this very process, which fills it."""

    def __init__(self, folder: Path, head: Head) -> None:
        """Make the folder and say what the run is.

        Raises:
            OSError: it cannot be written.
        """
        super().__init__(_new_folder(folder))
        self._owner = lock(self.folder / "owner", wait=True)
        self._is_torn = False
        write_json(self.folder / _HEAD, asdict(head))

    @property
    def owner(self) -> int | None:
        """The descriptor that says somebody runs it, for a process that fills it as well."""
        return self._owner

    def add(self, points: Iterable[MetricPoint]) -> None:
        """Append measurements.

        Raises:
            OSError: they cannot be written.
        """
        lines = "".join(
            json.dumps([p.name, repr(p.value), p.step, p.timestamp]) + "\n" for p in points
        )
        if self._is_torn:
            lines = "\n" + lines
        self._is_torn = True
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(self.folder / _POINTS, flags, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(lines.encode())
        self._is_torn = False

    def close(self, end: End) -> None:
        """Say how the run ended; from now on the folder is anybody's to deliver.

        Raises:
            OSError: it cannot be written.
        """
        try:
            if self.folder.exists():  # else somebody set it aside already
                write_json(self.folder / _END, {**asdict(end), "status": str(end.status)})
        finally:
            if self._owner is not None:
                os.close(self._owner)
                self._owner = None


def is_uploading(state: Mapping[str, Any]) -> bool:
    """Whether a large file is on its way, by what the sender has noted."""
    return bool(state.get("uploading_until", 0) > time.time())


def spools_in(state_folder: Path) -> Iterator[Spool]:
    """What waits in a project, the oldest first."""
    parent = state_folder / SPOOL_FOLDER
    found: list[tuple[float, Path]] = []
    for folder in parent.iterdir() if parent.is_dir() else ():
        try:
            if folder.name != ASIDE_FOLDER:
                found.append((folder.stat().st_mtime, folder))
        except FileNotFoundError:
            continue  # delivered this very moment
    for _, folder in sorted(found):
        yield Spool(folder)


def spools_aside(state_folder: Path) -> list[Spool]:
    """What could not be delivered."""
    aside = state_folder / SPOOL_FOLDER / ASIDE_FOLDER
    return [Spool(folder) for folder in sorted(aside.iterdir())] if aside.is_dir() else []


def _new_folder(folder: Path) -> Path:
    make_private_folder(folder.parent)
    for number in range(1, 1000):
        candidate = folder if number == 1 else folder.with_name(f"{folder.name}.{number}")
        try:
            candidate.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return candidate
    raise FileExistsError(f"{folder} exists a thousand times")


def _point(line: bytes) -> MetricPoint | None:
    try:
        name, value, step, timestamp = json.loads(line)
        return MetricPoint(name, float(value), step, timestamp)
    except (ValueError, TypeError):
        return None  # cut short by a full disk
