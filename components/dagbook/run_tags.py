"""The tags that tell on a run in Dagster what its worker and the reaper know of it.

A run that is launched again starts with the tags of the first one, so each value ends with the
run it tells of.
"""

from __future__ import annotations

from collections.abc import Mapping

#: Who runs the run, and when that was last heard of. Written every few seconds.
HEARTBEAT_TAG = "dagbook/heartbeat"
#: Why the run was ended for its worker, which had vanished.
VANISHED_TAG = "dagbook/vanished"
#: The notebook that was made of what the vanished worker had left.
NOTEBOOK_TAG = "dagbook/executed_notebook"


def told_of(run_id: str, text: str) -> str:
    """A text as the value of a tag."""
    return f"{text}{_ending(run_id)}"


def read_tag(tags: Mapping[str, str], name: str, run_id: str) -> str | None:
    """The text a tag tells of this very run, None where it tells nothing of it."""
    value = tags.get(name, "")
    return value.removesuffix(_ending(run_id)) if value.endswith(_ending(run_id)) else None


def _ending(run_id: str) -> str:
    return f" run={run_id}"
