"""What can be sent to MLflow together of what a notebook told it: it counts in batches."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dagbook.recorder.calls import Call
from dagbook.sinks.mlflow import BATCH

_PARAMETER_BATCH = 100
# MLflow takes a megabyte at a time; one call may add as much again.
_MOST_TEXT = 200_000


@dataclass
class CallGroup:
    """Calls that are sent as one, and the offset after them."""

    call: Call
    offset: int
    metrics: list[dict[str, Any]] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def take(self, call: Call, offset: int) -> bool:
        """Join a call to it; False where it does not belong."""
        if not call["call"] == self.call["call"] == "log" or call["run"] != self.call["run"]:
            return False
        if (
            _count(self) + sum(len(call[part]) for part in ("metrics", "params", "tags")) > BATCH
            or len(self.params) + len(call["params"]) > _PARAMETER_BATCH
            or len(self.tags) + len(call["tags"]) > _PARAMETER_BATCH
            or _text_length(self.params, self.tags) > _MOST_TEXT
        ):
            return False
        self._add(call)
        self.offset = offset
        return True

    def _add(self, call: Call) -> None:
        if call["call"] == "log":
            self.metrics += call["metrics"]
            self.params.update(call["params"])
            self.tags.update(call["tags"])

    @classmethod
    def of(cls, call: Call, offset: int) -> CallGroup:
        """A group that begins with a call."""
        group = cls(call, offset)
        group._add(call)
        return group


def groups_of(calls: Iterator[tuple[Call, int]]) -> Iterator[CallGroup]:
    """Calls that follow each other and can be sent as one are; MLflow counts in batches."""
    group: CallGroup | None = None
    for call, offset in calls:
        if group is not None and group.take(call, offset):
            continue
        if group is not None:
            yield group
        group = CallGroup.of(call, offset)
    if group is not None:
        yield group


def _count(group: CallGroup) -> int:
    return len(group.metrics) + len(group.params) + len(group.tags)


def _text_length(*texts: Mapping[str, str]) -> int:
    return sum(len(name) + len(value) for some in texts for name, value in some.items())
