"""Why a run does not go on."""

from __future__ import annotations

from dataclasses import dataclass

from dagbook.execution.result import Cause, RunStatus


@dataclass
class Verdict:
    """Why a run does not go on: set once, by whoever notices first."""

    status: RunStatus
    reason: str
    cause: Cause = Cause.NONE
