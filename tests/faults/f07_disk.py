"""F7: the disk is full, or nobody may write to it, before the run or in the middle of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from disks import (
    AS_NOBODY,
    failing_disk,
    fill,
    give_to_nobody,
    repair,
    small_disk,
)
from f06_noise import BY_PAPERMILL
from harness import Attempt, Fault, Means, Outcome, Trial, Variant, held_or, run_python
from notebooks import read_cells, text_of, write_notebook

GOOD = "the last good version"
#: A cell that takes all the space there is, as a model that is saved does.
TAKE_ALL = """
import os
with open(os.path.join({folder!r}, 'filler'), 'wb') as file:
    try:
        while True:
            os.write(file.fileno(), b'0' * 65536)
    except OSError:
        pass
"""
GIVE_BACK = "import os\nos.remove(os.path.join({folder!r}, 'filler'))"
#: Longer than the journal waits before it tries again.
WAIT = "import time\ntime.sleep(1.5)\nprint('waited')"
MORE = "print('more' * 5000)"


class Told:
    """What `dagbook run --json` said."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.stderr = done.stderr
        self.code = done.returncode
        self.result: dict[str, Any] = json.loads(done.stdout)

    @property
    def status(self) -> str:
        """How the run ended."""
        return str(self.result["status"])

    def problem(self, status: str, *words: str) -> str:
        """Why this is not what had to be said, in one line without a traceback."""
        reason = self.result["reason"]
        if self.status != status:
            return f"{self.status}: {reason}"
        if "Traceback" in self.stderr:
            return f"a traceback: {self.stderr.strip()[-200:]}"
        if "\n" in reason:
            return "the reason has several lines"
        missing = [word for word in words if word not in reason]
        return f"{reason!r} does not say {missing}" if missing else ""


def run(
    notebook: Path,
    output: Path,
    *options: str,
    as_nobody: bool = False,
    before: tuple[str, ...] = (),
    **environment: str,
) -> Told:
    """Run `dagbook run` in a process of its own, perhaps as somebody else."""
    command = [
        *before, *(AS_NOBODY if as_nobody else ()),
        sys.executable, "-m", "dagbook", "run", str(notebook), "--output", str(output), "--json",
        *options,
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd="/", capture_output=True, text=True, timeout=240,
        env={**os.environ, "HOME": "/nonexistent", **environment},
    )  # fmt: skip
    try:
        return Told(done)
    except ValueError:
        raise AssertionError(f"no JSON, but {(done.stdout + done.stderr)[-300:]!r}") from None


def last_good(output: Path) -> None:
    """Put an executed notebook where the run will put its own."""
    write_notebook(output, f"print({GOOD!r})")


def is_good(output: Path) -> str:
    """Nothing, when that is still there as it was."""
    [cell] = read_cells(output)
    return "" if GOOD in cell.source else "the last good version is gone"


def nothing_torn(folder: Path) -> str:
    """Nothing, when every notebook there is one."""
    for path in folder.rglob("*.ipynb"):
        read_cells(path)
    left = [p.name for p in folder.rglob("*.tmp")]
    return f"left {left}" if left else ""


def refused(trial: Trial, told: Told, *words: str) -> Outcome:
    """Judge a run that had to be refused before its first cell."""
    return held_or(
        told.problem("refused", *words),
        "a cell ran" if (trial.folder / "ran").exists() else "",
    )


def notebook_that_tells(trial: Trial) -> Path:
    """A notebook whose cell leaves a mark when it runs."""
    mark = trial.folder / "ran"
    return write_notebook(trial.folder / "n.ipynb", f"open({str(mark)!r}, 'w').close()")


def full_before(trial: Trial) -> Outcome:
    """No room at all when the run starts."""
    with small_disk(trial.folder / "disk", "size=1m") as disk:
        last_good(disk / "out.ipynb")
        fill(disk)
        told = run(notebook_that_tells(trial), disk / "out.ipynb")
        problem = is_good(disk / "out.ipynb") or nothing_torn(disk)
        return held_or(problem, *_problems(refused(trial, told, str(disk), "free")))


def no_files_before(trial: Trial) -> Outcome:
    """Room, but for no further file."""
    with small_disk(trial.folder / "disk", "size=8m,nr_inodes=6") as disk:
        last_good(disk / "out.ipynb")
        for number in range(9):
            try:
                (disk / f"file{number}").touch()
            except OSError:
                break
        told = run(notebook_that_tells(trial), disk / "out.ipynb")
        return held_or(
            is_good(disk / "out.ipynb"),
            *_problems(refused(trial, told, str(disk), "No space left on device")),
        )


def read_only_before(trial: Trial) -> Outcome:
    """A disk mounted for reading."""
    with small_disk(trial.folder / "disk", "size=1m,ro") as disk:
        told = run(notebook_that_tells(trial), disk / "out.ipynb")
        return refused(trial, told, str(disk), "Read-only file system")


def unwritable_before(trial: Trial) -> Outcome:
    """A folder somebody else owns, with or without a notebook in it."""
    folder = trial.folder / "theirs"
    last_good(folder / "out.ipynb")
    trial.folder.chmod(0o777)
    name, why = [("out.ipynb", "is not writable"), ("new.ipynb", "Permission denied")][
        trial.number % 2
    ]
    told = run(notebook_that_tells(trial), folder / name, as_nobody=True)
    return held_or(
        is_good(folder / "out.ipynb"), *_problems(refused(trial, told, str(folder), why))
    )


def full_for_a_while(trial: Trial) -> Outcome:
    """Full at the journal, with room again before the end."""
    with small_disk(trial.folder / "disk", "size=4m") as disk:
        cells = (
            "print('before')", TAKE_ALL.format(folder=str(disk)), *[MORE] * 8, WAIT,
            GIVE_BACK.format(folder=str(disk)), "print('after')",
        )  # fmt: skip
        output = disk / "out.ipynb"
        last_good(output)
        told = run(write_notebook(trial.folder / "n.ipynb", *cells), output)
        stored = [text_of(cell) for cell in read_cells(output)]
        notes = " ".join(told.result["notes"])
        return held_or(
            told.problem("succeeded"),
            "" if "No space left on device" in notes else f"it does not say so: {notes!r}",
            "" if stored[2:10] == ["more" * 5000 + "\n"] * 8 else "outputs are missing",
            "" if stored[-1] == "after\n" else "the last cell shows nothing",
            nothing_torn(disk),
        )


def full_to_the_end(trial: Trial) -> Outcome:
    """Full from the middle to the end: told, nothing torn; recovered when there is room."""
    with small_disk(trial.folder / "disk", "size=4m") as disk:
        output = disk / "out.ipynb"
        last_good(output)
        cells = ("print('before')", TAKE_ALL.format(folder=str(disk)), *[MORE] * 8)
        told = run(write_notebook(trial.folder / "n.ipynb", *cells), output)
        problems = [
            told.problem("failed", str(output), "No space left on device"),
            "" if told.result["cells"][9]["status"] == "completed" else "cells are not told of",
            is_good(output),
            nothing_torn(disk),
        ]
        (disk / "filler").unlink()
        return held_or(*problems, look_again(trial, disk, output))


def failing_to_the_end(trial: Trial) -> Outcome:
    """A disk that has an error and turns read-only in the middle."""
    with failing_disk(trial.folder / "disk", 16_000_000) as (disk, errors):
        output = disk / "out.ipynb"
        last_good(output)
        # What the system has in memory only when a disk fails is lost: the last seconds.
        subprocess.run(["sync", "--file-system", disk], check=True)
        break_it = f"import time\ntime.sleep(9)\nopen({str(errors)!r}, 'w').write('1')"
        cells = ("print('before')", break_it, "print('after')")
        told = run(write_notebook(trial.folder / "n.ipynb", *cells), output)
        problems = [
            told.problem("failed", str(output), "Read-only file system"),
            is_good(output),
            nothing_torn(disk),
        ]
        repair(disk)
        return held_or(*problems, is_good(output), look_again(trial, disk, output))


def closed_to_the_end(trial: Trial) -> Outcome:
    """A folder that is no longer ours to write to in the middle."""
    folder = trial.folder / "ours"
    output = folder / "out.ipynb"
    last_good(output)
    trial.folder.chmod(0o777)
    give_to_nobody(folder, output)
    close = f"import os\nos.chmod({str(folder)!r}, 0o500)"
    source = write_notebook(trial.folder / "n.ipynb", "print('before')", close, "print('after')")
    told = run(source, output, as_nobody=True)
    problems = [
        told.problem("failed", str(output), "Permission denied"),
        is_good(output),
        nothing_torn(folder),
    ]
    folder.chmod(0o700)
    return held_or(*problems, look_again(trial, folder, output, shows="after\n", as_nobody=True))


def look_again(
    trial: Trial, folder: Path, output: Path, *, shows: str = "before\n", as_nobody: bool = False
) -> str:
    """Have the next run look there, and see whether it finished what was left."""
    told = run(
        write_notebook(trial.folder / "next.ipynb", "1"), folder / "next.ipynb", as_nobody=as_nobody
    )
    if problem := told.problem("succeeded"):
        return f"the next run: {problem}"
    texts = [text_of(cell) for cell in read_cells(output)]
    if shows not in texts:
        return "what the journal had is not recovered"
    left = [path.name for path in folder.iterdir() if path.name.endswith(".running")]
    return f"left {left}" if left else ""


def no_room_for_the_page(trial: Trial) -> Outcome:
    """Room for the notebook, but not for the page beside it."""
    with small_disk(trial.folder / "disk", "size=4m") as disk:
        output = disk / "out.ipynb"
        cells = ("print('before')", TAKE_ALL.format(folder=str(disk)), _SHRINK % str(disk))
        told = run(write_notebook(trial.folder / "n.ipynb", *cells), output, "--html")
        notes = " ".join(told.result["notes"])
        return held_or(
            told.problem("succeeded"),
            "" if "no HTML page" in notes and "No space left" in notes else f"notes: {notes!r}",
            "" if text_of(read_cells(output)[0]) == "before\n" else "outputs are missing",
            "half a page is there" if output.with_suffix(".html").exists() else "",
            nothing_torn(disk),
        )


_SHRINK = "import os\nwith open(os.path.join(%r, 'filler'), 'r+b') as f:\n    f.truncate(f.seek(0, 2) - 100_000)"


def folder_removed(trial: Trial) -> Outcome:
    """Somebody tidies up while the run is under way."""
    folder = trial.folder / "runs"
    remove = f"import shutil\nprint('before')\nshutil.rmtree({str(folder)!r})"
    output = folder / "out.ipynb"
    told = run(write_notebook(trial.folder / "n.ipynb", remove, WAIT, "print('after')"), output)
    return held_or(
        told.problem("succeeded"),
        "" if [text_of(c) for c in read_cells(output)][::2] == ["before\n", "after\n"] else "lost",
        nothing_torn(folder),
    )


def full_temporary_folder(trial: Trial) -> Outcome:
    """TMPDIR is full or not for us: another temporary folder does."""
    with small_disk(trial.folder / "tmp", "size=64k") as temporary:
        fill(temporary)
        output = trial.folder / "out.ipynb"
        told = run(
            write_notebook(trial.folder / "n.ipynb", "print('ran')"), output, TMPDIR=str(temporary)
        )
        return held_or(told.problem("succeeded"), nothing_torn(trial.folder))


def no_temporary_folder(trial: Trial) -> Outcome:
    """No temporary folder can be written to at all."""
    hidden = write_notebook(trial.folder / "n.ipynb", "print('ran')")
    script = (
        'mount -t tmpfs -o mode=0777 tmpfs /mnt; cp "$0" /mnt/n.ipynb;'
        " for folder in /tmp /var/tmp /usr/tmp; do"
        ' if [ -d "$folder" ]; then mount -t tmpfs -o ro tmpfs "$folder"; fi; done; cd /; exec "$@"'
    )
    told = run(
        Path("/mnt/n.ipynb"), Path("/mnt/out.ipynb"), as_nobody=True,
        before=("unshare", "--mount", "sh", "-c", script, str(hidden)), TMPDIR="/nonexistent",
    )  # fmt: skip
    return held_or(told.problem("refused", "temporary", "TMPDIR"))


FILLED_LATER = """
import os, sys, tempfile
from pathlib import Path
from disks import fill
from dagbook.errors import DagbookError
from dagbook.execution import run_notebook
fill(Path(tempfile.gettempdir()))
try:
    run_notebook(sys.argv[1], output=Path(sys.argv[2]))
except DagbookError as error:
    print(error)
print(sorted(path.name for path in Path(tempfile.gettempdir()).iterdir()))
"""


def temporary_folder_full_later(trial: Trial) -> Outcome:
    """The temporary folder of a process that runs for long fills up."""
    with small_disk(trial.folder / "tmp", "size=64k") as temporary:
        source = write_notebook(trial.folder / "n.ipynb", "print('ran')")
        done = subprocess.run(
            [sys.executable, "-c", FILLED_LATER, str(source), str(trial.folder / "out.ipynb")],
            cwd=Path(__file__).parent, capture_output=True, text=True, timeout=120,
            env={**os.environ, "TMPDIR": str(temporary)},
        )  # fmt: skip
        said, _, left = done.stdout.strip().rpartition("\n")
        return held_or(
            "" if "No space left on device" in said and "TMPDIR" in said else f"said {said!r}",
            "" if left == "['filler']" else f"left {left}",
            done.stderr.strip()[-200:],
        )


def by_papermill(trial: Trial) -> Outcome:
    """Full from the middle to the end, by papermill."""
    with small_disk(trial.folder / "disk", "size=4m") as disk:
        output = disk / "out.ipynb"
        last_good(output)
        cells = ("print('before')", TAKE_ALL.format(folder=str(disk)), *[MORE] * 8)
        source = write_notebook(trial.folder / "n.ipynb", *cells)
        done = run_python(BY_PAPERMILL, source, output, cwd=trial.folder)
        said = "No space left on device" in done.stderr
        try:
            kept = is_good(output)
        except Exception as error:
            kept = f"what is left is no notebook ({type(error).__name__})"
        return held_or("" if said else "it does not say so", kept)


def by_papermill_before(trial: Trial) -> Outcome:
    """No room at all when the run starts, by papermill."""
    with small_disk(trial.folder / "disk", "size=1m") as disk:
        output = disk / "out.ipynb"
        last_good(output)
        fill(disk)
        run_python(BY_PAPERMILL, notebook_that_tells(trial), output, cwd=trial.folder)
        try:
            kept = is_good(output)
        except Exception as error:
            kept = f"what is left is no notebook ({type(error).__name__})"
        return held_or("a cell ran" if (trial.folder / "ran").exists() else "", kept)


def _problems(outcome: Outcome) -> list[str]:
    return [outcome.note] if not outcome.held else []


def _variant(
    name: str,
    trials: int,
    attempt: Attempt,
    papermill: Attempt | None = None,
    *,
    sample: int = 1,
    needs: tuple[str, ...] = ("mount",),
) -> Variant:
    return Variant(
        name, trials, attempt, papermill, sample=sample, means=(Means.BEST,), needs=needs
    )


FAULT = Fault(
    "F7",
    "the disk is full or unwritable",
    "told before the start where it can be; otherwise a clear failure, the last good version "
    "intact, never invalid JSON; what was kept is recovered when there is room again",
    (
        _variant("full before", 10, full_before, by_papermill_before),
        _variant("no files left before", 8, no_files_before, sample=0),
        _variant("mounted read-only before", 8, read_only_before, sample=0),
        _variant("somebody else's folder before", 8, unwritable_before, needs=("other-uid",)),
        _variant("full for a while", 10, full_for_a_while, sample=0),
        _variant("full to the end", 10, full_to_the_end, by_papermill),
        _variant("turns read-only", 8, failing_to_the_end, sample=0),
        _variant("closed to us", 8, closed_to_the_end, needs=("other-uid",), sample=0),
        _variant("no room for the page", 8, no_room_for_the_page, sample=0),
        _variant("folder removed", 8, folder_removed, needs=(), sample=0),
        _variant("temporary folder full", 5, full_temporary_folder, sample=0),
        _variant("temporary folder full later", 5, temporary_folder_full_later),
        _variant(
            "no temporary folder", 4, no_temporary_folder, needs=("mount", "other-uid"), sample=0
        ),
    ),
)
