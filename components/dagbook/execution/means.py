"""What this process may use to hold a run inside its size and to end it completely.

Found out for each run, from what is there and not from versions: control groups for memory, CPU
and the number of processes, and a PID namespace that dies as a whole. Without them, which is
what an ordinary user has on most machines, a run is held by sampling its process tree, by CPU
affinity and by a guardian that is a subreaper.

``DAGBOOK_WITHOUT=cgroups,namespaces`` (or one of them) has a process do without: for machines
where they misbehave, and for tests. The limits stay the same and are held by sampling then, so
it is no way round one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dagbook.errors import DagbookError, did_you_mean
from dagbook.execution.cgroups import Controller, find_controllers

WITHOUT_VARIABLE = "DAGBOOK_WITHOUT"
CGROUPS, NAMESPACES = "cgroups", "namespaces"
CAP_SYS_ADMIN = 21
# The only thing that is mounted below /proc on an ordinary machine.
_USUAL_BELOW_PROC = {"/proc/sys/fs/binfmt_misc"}


@dataclass(frozen=True)
class Means:
    """What may be used. `controllers` by name; `namespaces`: whether to try a PID namespace."""

    controllers: Mapping[str, Controller] = field(default_factory=dict)
    namespaces: bool = False


def find_means(
    environment: Mapping[str, str] = os.environ, proc: Path = Path("/proc/self")
) -> Means:
    """Look what this process may use now.

    Raises:
        DagbookError: ``DAGBOOK_WITHOUT`` names something that is no means.
    """
    without = _without(environment)
    return Means(
        controllers={} if CGROUPS in without else find_controllers(proc),
        namespaces=NAMESPACES not in without and _may_make_namespaces(proc),
    )


def _without(environment: Mapping[str, str]) -> set[str]:
    named = {word.strip() for word in environment.get(WITHOUT_VARIABLE, "").split(",")} - {""}
    for word in sorted(named - {CGROUPS, NAMESPACES}):
        raise DagbookError(
            f"{WITHOUT_VARIABLE}: {word!r} cannot be left out. "
            f"{did_you_mean(word, [CGROUPS, NAMESPACES])}"
        )
    return named


def _may_make_namespaces(proc: Path) -> bool:
    """Whether a PID namespace with a /proc of its own can be made and hides nothing of note.

    Where parts of /proc are covered (a container's masks, lxcfs's figures), a fresh one would
    show what is covered: then there is none.
    """
    try:
        status = (proc / "status").read_text("utf-8")
        mounts = (proc / "mountinfo").read_text("utf-8")
    except OSError:
        return False
    capabilities = next(
        (line.split()[1] for line in status.splitlines() if line.startswith("CapEff:")), "0"
    )
    if not int(capabilities, 16) >> CAP_SYS_ADMIN & 1:
        return False
    points = {line.split()[4] for line in mounts.splitlines()}
    return not {p for p in points if p.startswith("/proc/")} - _USUAL_BELOW_PROC
