"""F8: what is handed over is no notebook, or a damaged one."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bad_inputs import MENDED, RAN, REFUSED, SECRET, BadInput, document
from harness import Fault, Means, Outcome, Trial, Variant, held_or, run_python
from notebooks import read_cells
from on_dagster import DagsterRun, make_project, run_as_asset

#: papermill waits for ever for a pipe, and reads a device until memory is full.
OTHERS_SECONDS = 30
OTHERS_BYTES = 3 * 1024**3
NOBODY = 65534

IN_PROJECT = tuple(bad for bad in REFUSED if bad.in_project)
#: Paths that a command line can be given.
ON_COMMAND_LINE = tuple(bad for bad in REFUSED if bad.name != "standard input")


def by_function(bad: BadInput, trial: Trial) -> Outcome:
    """Hand it to `run_notebook`."""
    from dagbook.errors import DagbookError
    from dagbook.execution import run_notebook

    path = bad.write(trial.folder)
    started = time.monotonic()
    try:
        result = run_notebook(path)
    except DagbookError as refusal:
        seconds = time.monotonic() - started
        return _judge_refusal(bad, str(refusal), path, trial.folder, seconds)
    if not bad.mended:
        return Outcome(False, f"it was run, and {result.status}")
    assert result.executed_notebook is not None
    read_cells(result.executed_notebook)  # a valid one
    notes = "\n".join(result.notes)
    return held_or(
        "" if result.succeeded else f"{result.status}: {result.reason}",
        "" if bad.says in notes else f"it is not said: {result.notes}",
        "" if SECRET not in notes else "it tells what is in the file",
        "" if (trial.folder / RAN).exists() else "the first cell did not run",
    )


def by_papermill(bad: BadInput, trial: Trial) -> Outcome:
    """Hand it to papermill, in a process of its own: it may not come back."""
    path = bad.write(trial.folder)
    try:
        done = subprocess.run(
            [sys.executable, "-c", PAPERMILL_RUN, path, trial.folder / "out.ipynb"],
            cwd=trial.folder, capture_output=True, text=True, errors="replace",
            timeout=OTHERS_SECONDS, stdin=subprocess.DEVNULL,
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (OTHERS_BYTES,) * 2),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return Outcome(False, f"it does not come back within {OTHERS_SECONDS} s")
    lines = done.stdout.strip().splitlines()
    if not lines:
        return Outcome(False, f"it ended with {done.returncode}")
    said, seconds = json.loads(lines[-1])
    ran = (trial.folder / RAN).exists()
    if said is None and bad.mended:
        return held_or("" if ran else "the first cell did not run")
    if said is None:
        return Outcome(False, "it was run" if ran else "it was taken")
    return _judge_refusal(bad, said, path, trial.folder, seconds, ours=False)


PAPERMILL_RUN = """
import json, sys, time
import papermill, nbclient, ipykernel
started, said = time.monotonic(), None
try:
    papermill.execute_notebook(sys.argv[1], sys.argv[2], progress_bar=False, log_output=False)
except BaseException as error:
    said = f"{type(error).__name__}: {error}"
print(json.dumps([said, time.monotonic() - started]))
"""


def by_command(trial: Trial) -> Outcome:
    """Hand one after the other to `dagbook run`."""
    bad = ON_COMMAND_LINE[trial.number % len(ON_COMMAND_LINE)]
    path = bad.write(trial.folder)
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "dagbook", "run", path],
        cwd=trial.folder, capture_output=True, text=True, errors="replace",
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    seconds = time.monotonic() - started
    outcome = _judge_refusal(bad, done.stderr.rstrip("\n"), path, trial.folder, seconds)
    return _of(
        bad,
        outcome,
        "" if done.returncode == 2 else f"exit status {done.returncode}",
        "" if not done.stdout else "it writes to its standard output",
        seconds=seconds,
    )


def by_validate(trial: Trial) -> Outcome:
    """Have `dagbook validate` look at the component that names one after the other."""
    bad = IN_PROJECT[trial.number % len(IN_PROJECT)]
    said, path = _validated(trial.folder / "project", bad.write)
    return _of(bad, _judge_refusal(bad, said, path, trial.folder / "project", None))


def by_step(trial: Trial) -> Outcome:
    """Run the asset of one after the other on Dagster; it goes bad once Dagster has loaded it."""
    bad = IN_PROJECT[trial.number % len(IN_PROJECT)]
    path = bad.write(trial.folder)
    sound = "# %%\n" if path.suffix != ".ipynb" else json.dumps(document())

    def write_sound(project: Path) -> Path:
        (project / path.name).write_text(sound)
        return project / path.name

    def go_bad(project: Path) -> None:
        (project / path.name).unlink()
        bad.write(project)

    run = run_as_asset(trial.folder, write_sound, go_bad)
    return _of(bad, *_problems_of_step(bad, run, path, trial.folder / "project"))


def out_of_the_project(trial: Trial) -> Outcome:
    """A link in the project to a sound notebook outside: by `validate`, and on Dagster."""
    target = _sound_outside(trial.folder)
    bad = BadInput(
        "", lambda folder: _linked(folder, target), "leads to a file outside the project"
    )
    said, path = _validated(trial.folder / "checked", bad.write)
    run = run_as_asset(trial.folder, bad.write)
    return held_or(
        _judge_refusal(bad, said, path, trial.folder / "checked", None).note,
        *_problems_of_step(bad, run, path, trial.folder / "project"),
    )


def above_the_project(trial: Trial) -> Outcome:
    """A path in the YAML that leads out of the project with `..`."""
    _sound_outside(trial.folder)
    bad = BadInput("", lambda _: Path("../n.ipynb"), "must lie inside the project")
    said, path = _validated(trial.folder / "checked", lambda _: "../n.ipynb")
    return _judge_refusal(bad, said, path, trial.folder / "checked", None)


def unreadable(trial: Trial) -> Outcome:
    """A file of somebody else that may not be read: asked for as another user."""
    # Not below the trial's folder, which that user may not enter either.
    with tempfile.TemporaryDirectory(prefix="fault-") as folder:
        Path(folder).chmod(0o755)
        path = Path(folder) / "n.ipynb"
        path.write_text(json.dumps({"nbformat": 4, "cells": [SECRET]}))
        path.chmod(0o600)
        done = run_python(AS_NOBODY, path, cwd=Path(folder))
    if done.returncode:
        return Outcome(False, done.stderr.strip()[-200:])
    said, seconds = json.loads(done.stdout)
    expected = f"{path}: may not be read by this user; check the file's permissions."
    return held_or("" if said == expected else f"it says: {said}", seconds=seconds)


# Root while it imports: as somebody else it might not find its own files.
AS_NOBODY = f"""
import json, os, sys, time
from dagbook.errors import DagbookError
from dagbook.execution import run_notebook
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
started = time.monotonic()
try:
    run_notebook(sys.argv[1])
except DagbookError as refusal:
    print(json.dumps([str(refusal), time.monotonic() - started]))
"""


def _sound_outside(folder: Path) -> Path:
    (folder / "n.ipynb").write_text(json.dumps(document()))
    return folder / "n.ipynb"


def _linked(folder: Path, target: Path) -> Path:
    (folder / "n.ipynb").symlink_to(target)
    return folder / "n.ipynb"


def _validated(root: Path, write: Callable[[Path], Path | str]) -> tuple[str, Path]:
    """What `dagbook validate` says of a project with this notebook, and the notebook's path."""
    from dagbook.validation import validate_paths

    written: list[Path] = []

    def remember(folder: Path) -> Path | str:
        notebook = write(folder)
        written.append(Path(notebook))
        return notebook

    project = make_project(root, remember)
    findings = [str(finding) for finding in validate_paths([project.root]).findings]
    return "\n".join(findings), written[0]


def _problems_of_step(bad: BadInput, run: DagsterRun, path: Path, root: Path) -> list[str]:
    said = run.said.strip().removeprefix("dagster._core.definitions.events.Failure: ")
    return [
        _judge_refusal(bad, said, path, root, None).note,
        "" if run.status == "FAILURE" else f"the run is {run.status}",
        "" if run.metadata.get("status") == "refused" else f"its metadata is {run.metadata}",
    ]


def _judge_refusal(
    bad: BadInput, said: str, path: Path, folder: Path, seconds: float | None, *, ours: bool = True
) -> Outcome:
    """Whether a refusal is one line with the file and the reason, before a kernel.

    Args:
        ours: ask for our words too.
    """
    names = (path.name, repr(path.name)[1:-1])
    return held_or(
        "" if not bad.mended else f"it was refused: {said[:100]}",
        "" if said else "nothing is said",
        "" if not list(folder.rglob(RAN)) else "a kernel was started",
        "" if SECRET not in said and "root:" not in said else "it tells what is in the file",
        "" if "\n" not in said else "it is not told in one line",
        "" if any(name in said for name in names) else "the file is not named",
        "" if not ours or bad.says in said else f"it says: {said[:200]}",
        seconds=seconds,
    )


def _of(bad: BadInput, *problems: str | Outcome, seconds: float | None = None) -> Outcome:
    """The outcome of a variant that tries another input each time; its notes say which."""
    notes = [p.note if isinstance(p, Outcome) else p for p in problems]
    told = "; ".join(note for note in notes if note)
    return Outcome(not told, f"{bad.name}: {told}" if told else "", seconds)


FAULT = Fault(
    "F8",
    "what is handed over is no notebook",
    "refused before a kernel in under 2 s with one line (file, reason, remedy; never a foreign "
    "file's content), or mended where that is harmless, and said so",
    (
        *(
            Variant(
                f"{bad.name}, mended" if bad.mended else bad.name,
                5,
                partial(by_function, bad),
                partial(by_papermill, bad) if bad.is_for_papermill else None,
                within=None if bad.mended else 2,
                means=(Means.FLOOR,),
            )
            for bad in (*REFUSED, *MENDED)
        ),
        Variant(
            "a file of somebody else",
            5,
            unreadable,
            within=2,
            means=(Means.FLOOR,),
            needs=("other-uid",),
        ),
        Variant("a link out of the project", 5, out_of_the_project, means=(Means.FLOOR,)),
        Variant("a path out of the project", 5, above_the_project, means=(Means.FLOOR,)),
        Variant(
            "each by dagbook run",
            len(ON_COMMAND_LINE),
            by_command,
            within=2,
            means=(Means.FLOOR,),
        ),
        Variant("each by dagbook validate", len(IN_PROJECT), by_validate, means=(Means.FLOOR,)),
        Variant("each on Dagster", len(IN_PROJECT), by_step, means=(Means.FLOOR,)),
    ),
)
