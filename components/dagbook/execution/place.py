"""Where an execution writes: a name nobody else has, held from its start to its end."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dagbook.errors import DagbookError
from dagbook.execution.journal import Journal, is_abandoned
from dagbook.execution.recovery import recover
from dagbook.execution.result import RunStatus

RUNNING_SUFFIX = ".running"


@dataclass(frozen=True)
class Place:
    """The journal of a run, and where its notebook will lie once it has ended."""

    journal: Journal
    output: Path | None
    folder: Path
    stem: str

    @property
    def pattern(self) -> str:
        """That path with ``{state}`` for how the run ends, for whoever must finish it."""
        return str(self.output or self.folder / f"{self.stem}-{{state}}.ipynb")

    def notebook(self, status: RunStatus) -> Path:
        """The path of the executed notebook of a run that ended so."""
        return Path(self.pattern.replace("{state}", str(status)))


def take_place(output: Path | None, folder: Path, started_at: float) -> Place:
    """Reserve where the executed notebook goes, finishing first what a dead run left there.

    Raises:
        DagbookError: another run is writing this very file, or the folder cannot be
            written: told now rather than after the work.
    """
    folder = folder if output is None else output.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        recover_runs(folder)
        if output is not None:
            return _take_named(output)
        return _take_timed(folder, started_at)
    except OSError as error:
        raise DagbookError(
            f"{folder}: executed notebooks cannot be written there ({error.strerror}). "
            "Mend that, or choose another place."
        ) from None


def _take_named(output: Path) -> Place:
    if output.exists() and not os.access(output, os.W_OK):
        raise DagbookError(f"{output}: is not writable. Mend that, or choose another name.")
    try:
        journal = Journal(output.with_name(f".{output.stem}{RUNNING_SUFFIX}"))
    except (FileExistsError, BlockingIOError):
        raise DagbookError(
            f"{output}: another run is writing it now. Wait for it, or choose another name."
        ) from None
    return Place(journal, output, output.parent, output.stem)


def _take_timed(folder: Path, started_at: float) -> Place:
    moment = datetime.fromtimestamp(started_at, UTC).strftime("%Y%m%dT%H%M%SZ")
    for number in range(1, 10_000):
        stem = moment if number == 1 else f"{moment}.{number}"
        try:
            journal = Journal(folder / f".{stem}{RUNNING_SUFFIX}")
        except (FileExistsError, BlockingIOError):
            continue
        # Only now, with the name held: a run of the same second may have just ended.
        if any(folder.glob(f"{stem}-*.ipynb")):
            journal.discard()
            continue
        return Place(journal, None, folder, stem)
    raise DagbookError(f"{folder}: 10,000 runs started there in the same second")


def recover_runs(folder: Path) -> list[Path]:
    """Finish what runs that vanished left in `folder`; returns the notebooks written."""
    written = []
    for left in folder.glob(f".*{RUNNING_SUFFIX}"):
        if left.is_dir() and is_abandoned(left):
            path = recover(left)
            if path is not None:
                written.append(path)
    return written
