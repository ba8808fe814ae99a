"""A sample run: a notebook as its component runs it, that leaves nothing in the project."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dagbook.notebook_runner.component import NotebookRunnerComponent


@dataclass(frozen=True)
class Sample:
    """What is different about a sample run."""

    folder: Path
    """Takes all that a run otherwise leaves in the project"""
    size: str
    """The size it runs in, whatever the YAML says"""

    def of(self, component: NotebookRunnerComponent) -> Any:
        """The same component as a sample runs it: small, and once."""
        changes = {
            "compute_size": self.size,
            "limits": None,  # the small size's own hold
            "retries": None,
        }
        return component.model_copy(update=changes)


_sample: ContextVar[Sample | None] = ContextVar("dagbook_sample", default=None)


def current_sample() -> Sample | None:
    """The sample that components are loaded for now; None as a rule."""
    return _sample.get()


@contextmanager
def loading_for(sample: Sample) -> Iterator[None]:
    """Have the components that are loaded meanwhile run as a sample.

    It holds for this thread's context alone: nothing in YAML, tags or the environment asks for
    it.
    """
    token = _sample.set(sample)
    try:
        yield
    finally:
        _sample.reset(token)
