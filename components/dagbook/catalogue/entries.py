"""The components that registered packages and the project itself offer."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import pkgutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from dagbook.errors import DagbookError, did_you_mean
from dagbook.project import Project
from dagbook.registered_modules import ENTRY_POINT_GROUPS, own_modules


@dataclass(frozen=True)
class Package:
    """A registered module, and the distribution it comes with; none for a project's own."""

    module: str
    distribution: str | None = None
    version: str | None = None

    @property
    def label(self) -> str:
        """``company-components 2.0.0``, or the module's name."""
        if self.distribution is None:
            return f"{self.module}, of this project"
        return f"{self.distribution} {self.version}"


@dataclass(frozen=True)
class Entry:
    """One component, or a package that cannot be imported; then `name` is its module."""

    name: str
    package: Package
    component: type[Any] | None
    reason: str | None = None
    """Why it cannot be loaded, in one line"""

    @property
    def description(self) -> str:
        """Its docstring, in Markdown."""
        return inspect.cleandoc(self.component.__doc__ or "") if self.component else ""

    @property
    def summary(self) -> str:
        """The docstring's first paragraph in one line, or why it cannot be loaded."""
        return self.reason or " ".join(self.description.split("\n\n")[0].split())

    @property
    def runs_notebooks(self) -> bool:
        """Whether it is ours, or a company's that extends it."""
        from dagbook.component_types import runs_notebooks

        return self.reason is None and runs_notebooks(self.component)

    def is_a(self, type_name: str) -> bool:
        """Whether it is of a type, or built on it; the type's module may be left out."""
        if self.component is None:
            return False
        names = {self.name, self.name.rpartition(".")[2]}
        for base in self.component.__mro__:
            # Public classes are named by the package that offers them, not by where they stand.
            names |= {base.__name__, f"{base.__module__.split('.')[0]}.{base.__name__}"}
        return type_name in names


def find_entries(project: Project | None) -> list[Entry]:
    """Every component there is, by name. Needs Dagster.

    A package that cannot be imported is one entry that says why, and hides no other.
    """
    entries: dict[str, Entry] = {}
    for package in _packages(project):
        for entry in _entries_of(package):
            entries.setdefault(entry.name, entry)
    return sorted(entries.values(), key=lambda entry: entry.name)


def find_entry(entries: Iterable[Entry], name: str) -> Entry:
    """The component of a name; its module may be left out where that leaves no doubt.

    Raises:
        DagbookError: there is none, there are several, or it cannot be loaded.
    """
    known = list(entries)
    found = [entry for entry in known if entry.name == name]
    found = found or [entry for entry in known if entry.name.rpartition(".")[2] == name]
    if len(found) > 1:
        names = ", ".join(entry.name for entry in found)
        raise DagbookError(f"`{name}` is the name of several components: write one of {names}")
    if not found:
        near = did_you_mean(name, [entry.name for entry in known])
        raise DagbookError(f"there is no component `{name}`. {near}")
    if found[0].component is None or found[0].reason is not None:
        raise DagbookError(found[0].reason or f"`{name}` cannot be loaded")
    return found[0]


def _packages(project: Project | None) -> Iterator[Package]:
    points = importlib.metadata.entry_points()
    seen = set()
    for point in (p for group in ENTRY_POINT_GROUPS for p in points.select(group=group)):
        if point.value not in seen:
            seen.add(point.value)
            dist = point.dist
            if dist is None:
                yield Package(point.value)
            else:
                yield Package(point.value, dist.name, dist.version)
    for module in own_modules(project) if project is not None else ():
        for name in _expanded(module):
            if name not in seen:
                seen.add(name)
                yield Package(name)


def _expanded(module: str) -> list[str]:
    """A module, or those right below one whose name ends in ``.*``."""
    parent, star, _ = module.partition(".*")
    if not star:
        return [module]
    try:
        path = importlib.import_module(parent).__path__
    except Exception:
        return [parent]  # importing it again says why
    return [f"{parent}.{found.name}" for found in pkgutil.iter_modules(path)]


def _entries_of(package: Package) -> Iterator[Entry]:
    from dagster import Component

    try:
        module = importlib.import_module(package.module)
        found = {name: getattr(module, name) for name in dir(module)}
    except (Exception, SystemExit) as error:
        words = " ".join(str(error).split())
        said = f"{type(error).__name__}: {words}" if words else type(error).__name__
        text = f"`{package.module}` cannot be imported: {said}"
        yield Entry(package.module, package, None, text)
        return
    for name, value in found.items():
        if not isinstance(value, type) or not issubclass(value, Component):
            continue
        # As `dg` does: what only names methods for others is no component to use.
        if not name.startswith("_") and not inspect.isabstract(value):
            reason = getattr(value, "unavailable_because", None)
            yield Entry(f"{package.module}.{name}", package, value, reason)
