"""Asset keys across the files of a project: two that are equal, and deps that lead in a circle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

from dagbook.defs_yaml import Document, shown_path
from dagbook.project import Project

Loc = tuple[Any, ...]


@dataclass
class KeyTable:
    """The keys of the notebooks' assets met so far."""

    project: Project
    _first: dict[str, tuple[str, str]] = field(default_factory=dict)
    _deps: dict[str, tuple[Document, list[str]]] = field(default_factory=dict)

    def add(self, document: Document) -> tuple[Loc, str] | None:
        """Take in a component that runs a notebook; says where and why its key is taken."""
        from dagster import AssetKey

        from dagbook.notebook_runner.asset import op_name

        key = self._key(document)
        loc = _loc_of_key(document)
        self._deps.setdefault(key, (document, _deps(document.attributes)))
        place = f"{shown_path(document.file.path)}:{document.position(loc)[0]}"
        # Dagster names ops after keys: `a-b` and `a_b` are two assets and one op.
        op = op_name(AssetKey(key.split("/")))
        first, first_place = self._first.setdefault(op, (key, place))
        if first_place == place:
            return None
        alike = "also that of" if first == key else f"too like `{first}` of"
        return (
            loc,
            f"the asset key `{key}` is {alike} {first_place}: give one of them another `key`",
        )

    def circles(self, first: Sequence[Document]) -> list[tuple[Document, str]]:
        """Where `deps` lead back to themselves: a component of each circle, and the way round.

        Args:
            first: the documents to say it of where one of them is in the circle.
        """
        found = []
        graph = {key: set(deps) for key, (_, deps) in self._deps.items()}
        while True:
            try:
                TopologicalSorter(graph).prepare()
            except CycleError as error:
                # The circle as graphlib has it: each comes before the next, the first twice.
                circle: list[str] = error.args[1][:0:-1]
                documents = [self._deps[key][0] for key in circle]
                own = [any(document is one for one in first) for document in documents]
                start = own.index(True) if any(own) else 0
                way = [*circle[start:], *circle[: start + 1]]
                found.append((documents[start], " needs ".join(f"`{key}`" for key in way)))
                graph[circle[0]] = set()
            else:
                return found

    def _key(self, document: Document) -> str:
        own = _own_key(document.attributes)
        return own or "/".join(self.project.asset_key(document.file.path))


def _deps(attributes: Mapping[str, Any]) -> list[str]:
    deps = list(map(str, attributes.get("deps") or ()))
    settings = attributes.get("dagstermill")
    inputs = settings.get("inputs") if isinstance(settings, Mapping) else None
    return deps + (list(map(str, inputs.values())) if isinstance(inputs, Mapping) else [])


def _own_key(attributes: Mapping[str, Any]) -> str | None:
    key = attributes.get("key")
    return key if isinstance(key, str) and key else None


def _loc_of_key(document: Document) -> Loc:
    return ("attributes", "key") if _own_key(document.attributes) else ("type",)
