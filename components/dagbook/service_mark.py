"""How a process of a project's services is known: by its environment, or by its name."""

from __future__ import annotations

import os
from hashlib import blake2b

#: Every process that `dagbook up` starts, and every one that starts in turn, carries the
#: instance's home in this variable. So all can be found, also those whose parent is gone.
#: `DAGSTER_HOME` would not do: a `dg launch` in somebody's terminal has it too.
MARKER_VARIABLE = "DAGBOOK_SERVICES"


def marked_name(home: str) -> str:
    """What a process calls itself whose environment nobody may read; the system keeps 15 bytes."""
    return f"dagbook{blake2b(os.fsencode(home), digest_size=4).hexdigest()}"
