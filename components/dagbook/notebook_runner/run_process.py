"""Whether this process is there for a run, or shows and starts them."""

from __future__ import annotations

import multiprocessing
import sys

#: Dagster's own words for such processes, where a launcher starts them in a container.
_COMMANDS = frozenset({"execute_run", "resume_run", "execute_step"})


def is_run_process() -> bool:
    """Whether a run or one of its steps is what this process was started for.

    Dagster tells nobody. Its code server starts runs, and its executors start steps, as children
    of `multiprocessing`; other launchers start a command that names what it is for. The code
    server itself is neither.
    """
    if multiprocessing.parent_process() is not None:
        return True
    return not _COMMANDS.isdisjoint(sys.argv[:4])
