"""Notices that the code of components changed: files of the project and of company packages.

Nothing of it is imported to find that out.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import importlib.util
import os
import sys
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from dagbook.errors import DagbookError
from dagbook.project import find_project
from dagbook.registered_modules import ENTRY_POINT_GROUPS, own_modules

#: The clock of a file system is coarse: what is younger, in seconds, may change again without
#: another time on it, so its bytes are compared as well.
_YOUNG_SECONDS = 0.1

#: Their releases are seen by their place in `site-packages`.
_OF_DAGSTER = ("dagster", "dagbook")
_SUFFIXES = (".py", ".yaml", ".yml", ".toml")
_PASSED_OVER = {"__pycache__", "node_modules", "runs"}

Signature = tuple[int, ...]


@dataclass
class Snapshot:
    """The files as they were seen, with the bytes' digest of those that had just changed."""

    files: dict[str, Signature]
    young: dict[str, str] = field(default_factory=dict)


class CodeWatch:
    """Watches the code that one project's components are made of."""

    def __init__(self, root: Path) -> None:
        self._root = root
        #: Files that were imported from the project, wherever in it they lie.
        self.imported: set[str] = set()
        self._known_packages: tuple[Signature, list[str]] | None = None

    def look(self) -> Snapshot:
        """See how everything is now."""
        files = dict(self._signatures())
        now = time.time_ns()
        young = [path for path, seen in files.items() if _is_young(seen, now)]
        return Snapshot(files, {path: _digest(path) for path in young})

    def has_changed(self, since: Snapshot) -> bool:
        """Whether anything is different from what was seen."""
        now = dict(self._signatures())
        # What was imported meanwhile was not looked for before.
        new = {path for path in now.keys() - since.files.keys() if path in self.imported}
        for path in new:
            since.files[path] = now[path]
        if now != since.files:
            return True
        return any(_digest(path) != digest for path, digest in since.young.items())

    def _signatures(self) -> Iterator[tuple[str, Signature]]:
        for path in self._files():
            try:
                found = os.stat(path)  # noqa: PTH116 (of thousands)
            except OSError:
                continue
            # Of a folder the size says nothing.
            size = 0 if path in self._folders else found.st_size
            yield path, (found.st_mtime_ns, found.st_ctime_ns, size, found.st_ino)

    @property
    def _folders(self) -> set[str]:
        return {path for path in sys.path if path.endswith("-packages")}

    def _files(self) -> Iterator[str]:
        folders = sorted(self._folders)
        yield from folders
        for folder in folders:
            yield from _named(folder, (".pth",))
        for package in self._packages(folders):
            yield from _below(package)
        yield from self._of_project()
        yield from sorted(self.imported)

    def _of_project(self) -> Iterator[str]:
        root = str(self._root)
        yield from _named(root, (".py",))
        for name in ("dg.toml", "pyproject.toml"):
            yield f"{root}/{name}"
        try:
            project = find_project(self._root)
        except DagbookError:
            return
        if project is None:
            return
        base = project.import_root
        if base != self._root:
            yield from _named(str(base), (".py",))
        modules = {project.module.split(".")[0]}
        modules |= {module.split(".")[0] for module in own_modules(project)}
        for module in sorted(modules):
            yield from _below(str(base / module), suffixes=(".py",))

    def _packages(self, folders: Iterable[str]) -> list[str]:
        """Where the registered packages of components lie."""
        stamp: Signature = tuple(_mtime(folder) for folder in folders)
        if self._known_packages is not None and self._known_packages[0] == stamp:
            return self._known_packages[1]
        found = [path for module in sorted(_registered()) for path in _places(module)]
        self._known_packages = stamp, found
        return found


def component_modules(root: Path, *, trusted: bool) -> set[str]:
    """The modules at the top that hold components, or what those import from the project."""
    found = _registered()
    project = find_project(root) if trusted else None
    if project is not None:
        found |= {module.split(".")[0] for module in own_modules(project)}
        found |= {Path(path).stem for path in _named(str(project.import_root), (".py",))}
        with contextlib.suppress(OSError), os.scandir(project.import_root) as entries:
            found |= {entry.name for entry in entries if entry.is_dir()}
    return found - set(sys.stdlib_module_names) - set(_OF_DAGSTER)


def _registered() -> set[str]:
    """Where installed packages keep their components: modules at the top."""
    points = importlib.metadata.entry_points()
    return {
        point.value.split(".")[0]
        for group in ENTRY_POINT_GROUPS
        for point in points.select(group=group)
        if not point.value.startswith(_OF_DAGSTER)
    }


def _places(module: str) -> list[str]:
    """The folder or file of a module at the top, without importing it."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    places = list(spec.submodule_search_locations or ())
    return places or ([spec.origin] if spec.origin else [])


def _below(top: str, suffixes: tuple[str, ...] = _SUFFIXES) -> Iterator[str]:
    if not os.path.isdir(top):  # noqa: PTH112 (a walk over hundreds of folders)
        yield top
        return
    try:
        with os.scandir(top) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in found:
        if entry.name.startswith(".") or entry.name in _PASSED_OVER:
            continue
        if entry.is_dir():
            yield from _below(entry.path, suffixes) if not entry.is_symlink() else ()
        elif entry.name.endswith(suffixes):
            yield entry.path


def _named(folder: str, suffixes: tuple[str, ...]) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return sorted(e.path for e in entries if e.name.endswith(suffixes) and e.is_file())
    except OSError:
        return []


def _mtime(path: str) -> int:
    try:
        return Path(path).stat().st_mtime_ns
    except OSError:
        return 0


def _is_young(seen: Signature, now: int) -> bool:
    return max(seen[0], seen[1]) > now - _YOUNG_SECONDS * 1e9


def _digest(path: str) -> str:
    try:
        return hashlib.blake2b(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""
