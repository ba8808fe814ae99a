"""Finds out what a notebook's rules for the night need to know of its run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from dagbook.errors import DagbookError
from dagbook.execution.importable import ASK_SECONDS, importable_names
from dagbook.execution.kernelspec import KernelSpec
from dagbook.execution.outputs import OutputLimits
from dagbook.execution.passed_trial import PassedTrial, find_passed_trial
from dagbook.execution.plan import kernel_for
from dagbook.notebook import Notebook
from dagbook.preflight.given_environment import GivenEnvironment
from dagbook.preflight.imports import imported_names
from dagbook.preflight.situation import Situation


@dataclass(frozen=True)
class Circumstances:
    """A notebook's situation, and what cannot be said of it."""

    situation: Situation
    trial: PassedTrial | None = None
    notes: tuple[str, ...] = ()


def circumstances_of(
    notebook: Notebook,
    project_root: Path | None,
    *,
    kernel: str | None = None,
    given: GivenEnvironment | None = None,
    limits: OutputLimits | None = None,
    seconds: float = ASK_SECONDS,
) -> Circumstances:
    """Find out where and with what a scheduled run of a notebook would work.

    Args:
        notebook: as read from its file.
        project_root: the project's folder; None for a notebook outside of one.
        kernel: the kernel that its component chooses instead of the notebook's own.
        given: what its component's connections and the platform put into the environment.
        limits: how much output a run keeps, where that is not what it is by default.
        seconds: how long the kernel's interpreter may take to answer.
    """
    path = None if notebook.path is None else notebook.path.absolute()
    folder = None if path is None else path.parent
    project_root = None if project_root is None else project_root.absolute()
    notes: list[str] = []
    spec: KernelSpec | None = None
    try:
        spec = kernel_for(notebook, kernel)
    except DagbookError as error:
        notes.append(f"nothing is said of imports: {error}")
    importable = None
    if spec is not None and notebook.language == "python":
        importable = importable_names(spec, imported_names(notebook), seconds=seconds)
        if importable is None:
            notes.append(f"nothing is said of imports: kernel {spec.name!r} did not answer")
    given = given or GivenEnvironment()
    if spec is not None:
        given = replace(given, names=given.names | frozenset(spec.env))
    root = project_root or folder
    trial = None
    if root is not None:
        trial = find_passed_trial(notebook, root, root / "runs")
    situation = Situation(
        folder=folder,
        project_root=project_root,
        importable=importable,
        bytes_per_cell=(limits or OutputLimits()).per_cell,
        passed_trial=trial is not None,
        given=given,
    )
    return Circumstances(situation, trial, tuple(notes))
