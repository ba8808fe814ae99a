"""What is known of the run that a notebook is read for; the caller finds it out."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from dagbook.preflight.given_environment import GivenEnvironment


@dataclass(frozen=True)
class Situation:
    """Where and with what a scheduled run would work. What is not known is None."""

    folder: Path | None = None
    """The notebook's own folder, where its run works; None: nothing is said of relative paths"""
    project_root: Path | None = None
    importable: frozenset[str] | None = None
    """Of the top-level names that the notebook imports, those that its kernel finds"""
    bytes_per_cell: int = 1_000_000
    """How much output a run keeps of one cell"""
    passed_trial: bool = False
    """Whether a run of just this notebook succeeded: nothing is left to say but about secrets"""
    given: GivenEnvironment | None = field(default_factory=GivenEnvironment)
    """What the run's environment holds; None: nothing is said of variables and credentials"""
