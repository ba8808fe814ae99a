"""Which component types a project may name, found out without importing any of them."""

from __future__ import annotations

import functools
import os
import sys
from dataclasses import dataclass

from dagbook.project import Project
from dagbook.registered_modules import ENTRY_POINT_GROUPS, own_modules

__all__ = ["ENTRY_POINT_GROUPS", "Registry", "own_modules"]


@dataclass(frozen=True)
class Registry:
    """The modules whose components a project may use.

    A module that ends in ``.*`` stands for every module right below it, as in
    ``registry_modules`` of ``dg.toml``.
    """

    modules: frozenset[str]

    @classmethod
    def of(cls, project: Project | None) -> Registry:
        """The registry of this Python environment, with what the project itself registers."""
        found = _installed(tuple(map(_time_of, sys.path)))
        return cls(found if project is None else found.union(own_modules(project)))

    def knows(self, type_name: str) -> bool:
        """Whether the module of a type is registered."""
        module = type_name.rpartition(".")[0]
        return module in self.modules or f"{module.rpartition('.')[0]}.*" in self.modules


def _time_of(path: str) -> tuple[str, int]:
    """When something was last installed into a folder, or taken out of it."""
    try:
        return path, os.stat(path).st_mtime_ns  # noqa: PTH116 (the path may be empty)
    except OSError:
        return path, 0


@functools.lru_cache(maxsize=4)
def _installed(_times: tuple[tuple[str, int], ...]) -> frozenset[str]:
    # Slow, and nobody who only parses YAML needs it.
    import importlib.metadata

    # All at once: each question for a group reads what every package says.
    points = importlib.metadata.entry_points()
    return frozenset(
        entry.value for group in ENTRY_POINT_GROUPS for entry in points.select(group=group)
    )
