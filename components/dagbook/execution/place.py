"""Where an execution writes: a name nobody else has, held from its start to its end."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from dagbook.errors import DagbookError
from dagbook.execution.journal import Journal, read_journal
from dagbook.execution.recovery import recover_runs
from dagbook.execution.result import RunStatus
from dagbook.execution.run_folder import RUNNING_SUFFIX, RunFolder
from dagbook.execution.words import in_bytes
from dagbook.private_mode import make_private_folder

#: What a run needs beside its notebook: its journal's own lines, what it is told, its locks.
SPARE_BYTES = 256_000


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


def take_place(output: Path | None, folder: Path, started_at: float, *, needs: int = 0) -> Place:
    """Reserve where the executed notebook goes, finishing first what a dead run left there.

    Args:
        output: the notebook to write; None for ``<time>-<state>.ipynb`` in `folder`.
        folder: see above.
        started_at: Unix time.
        needs: bytes that will be written there at least.

    Raises:
        DagbookError: another run is writing this very file, or the folder cannot be
            written: told now rather than after the work.
    """
    folder = folder if output is None else output.parent
    try:
        make_private_folder(folder)
        recover_runs(folder)
        _check_space(folder, needs)
        if output is not None:
            return _take_named(output)
        return _take_timed(folder, started_at)
    except OSError as error:
        raise unwritable(folder, error) from None


def unwritable(folder: Path, error: OSError) -> DagbookError:
    """The refusal of a run whose notebook could not be stored in `folder`."""
    return DagbookError(
        f"{folder}: executed notebooks cannot be written there ({error.strerror}). "
        "Mend that, or choose another place."
    )


def _check_space(folder: Path, needs: int) -> None:
    """Refuse to work for a disk that cannot even hold the notebook without what comes out.

    Twice its size, for the journal is there until the notebook is. Room for what comes out is
    not asked for: nobody knows how much that will be.
    """
    disk = os.statvfs(folder)
    free = (disk.f_bfree if os.geteuid() == 0 else disk.f_bavail) * disk.f_frsize
    wanted = 2 * needs + SPARE_BYTES
    if disk.f_blocks and free < wanted:  # some file systems do not say
        raise DagbookError(
            f"{folder}: {in_bytes(free)} are free there, and a run of this notebook needs at "
            f"least {in_bytes(wanted)}. Free some space, or choose another place."
        )


def _take_named(output: Path) -> Place:
    if output.exists() and not os.access(output, os.W_OK):
        raise DagbookError(f"{output}: is not writable. Mend that, or choose another name.")
    # A link is written through: two names of one file are one place.
    target = Path(os.path.realpath(output))
    if target.parent != output.parent:
        recover_runs(target.parent)
    held = target.with_name(f".{target.stem}{RUNNING_SUFFIX}")
    try:
        journal = Journal(held)
    except FileExistsError:
        left = RunFolder.adopt(held)
        if left is None:
            raise DagbookError(
                f"{output}: another run is writing it now. Wait for it, or choose another name."
            ) from None
        left.release()
        raise DagbookError(
            f"{output}: a run that vanished left {held}, of which no notebook can be written "
            "there. Free some space or mend the folder, or choose another name."
        ) from None
    return Place(journal, output, output.parent, target.stem)


def _take_timed(folder: Path, started_at: float) -> Place:
    moment = datetime.fromtimestamp(started_at, UTC).strftime("%Y%m%dT%H%M%SZ")
    for number in range(1, 10_000):
        stem = moment if number == 1 else f"{moment}.{number}"
        try:
            journal = Journal(folder / f".{stem}{RUNNING_SUFFIX}")
        except FileExistsError:
            continue
        # Only now, with the name held: a run of the same second may have just ended.
        if any(folder.glob(f"{stem}-*.ipynb")):
            journal.discard()
            continue
        return Place(journal, None, folder, stem)
    raise DagbookError(f"{folder}: 10,000 runs started there in the same second")


def is_left_in(folder: Path, record: Path) -> bool:
    """Whether the journal of the run with this `record` still lies in `folder`."""
    for left in folder.glob(f".*{RUNNING_SUFFIX}"):
        try:
            if any(event == ["record", str(record)] for event in read_journal(left)):
                return True
        except OSError:
            continue  # another process recovers it right now
    return False
