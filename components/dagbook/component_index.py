"""Which components a project has, which notebook each one runs, and where a new one goes."""

from __future__ import annotations

import posixpath
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from dagbook.defs_yaml import ComponentFile, Document, shown_path
from dagbook.errors import DagbookError, did_you_mean
from dagbook.project import Project, component_file_in


@dataclass(frozen=True)
class Component:
    """One component of a project that runs a notebook."""

    project: Project
    document: Document

    @property
    def path(self) -> Path:
        """The component's file."""
        return self.document.file.path

    @property
    def folder(self) -> str:
        """Its folder below ``defs``, with forward slashes."""
        return self.path.parent.relative_to(self.project.defs_folder).as_posix()

    @property
    def name(self) -> str:
        """How it is called on the command line: its folder, with a number if it shares it."""
        several = len(self.document.file.documents) > 1
        return f"{self.folder}:{self.document.index + 1}" if several else self.folder

    @property
    def notebook(self) -> str:
        """The notebook it runs, relative to the project."""
        return posixpath.normpath(str(self.document.attributes["notebook"]))

    @property
    def key(self) -> str:
        """Its asset key, parts separated by slashes."""
        key = self.document.attributes.get("key")
        return key if isinstance(key, str) else "/".join(self.project.asset_key(self.path))


@dataclass(frozen=True)
class ComponentIndex:
    """The components of a project that run notebooks, and the files that cannot be read."""

    project: Project
    components: tuple[Component, ...]
    broken: tuple[tuple[Path, DagbookError], ...]

    def of_notebook(self, notebook: str) -> list[Component]:
        """The components that run a notebook.

        Raises:
            DagbookError: a file that names the notebook cannot be read, so nobody can say.
        """
        name = PurePosixPath(notebook).name
        for path, error in self.broken:
            if name.encode() in path.read_bytes():
                raise error
        return [component for component in self.components if component.notebook == notebook]

    def choose(self, notebook: str, name: str | None) -> Component | None:
        """The one component to change for a notebook; None when one has to be made.

        Args:
            notebook: relative to the project.
            name: which component, as :attr:`Component.name` or its asset key; a name that no
                component has asks for a new one.

        Raises:
            DagbookError: several would do, or the one named runs another notebook.
        """
        own = self.of_notebook(notebook)
        if name is None:
            if len(own) > 1:
                names = ", ".join(f"`{component.name}`" for component in own)
                raise DagbookError(
                    f"{notebook} is run by {len(own)} components: {names}. Say which one with "
                    "--component"
                )
            return own[0] if own else None
        wanted = name.strip("/")
        for component in self.components:
            if wanted in (component.name, component.key):
                if component not in own:
                    raise DagbookError(
                        f"component `{wanted}` runs {component.notebook}, not {notebook}"
                    )
                return component
        if ":" in wanted:
            known = [component.name for component in self.components]
            raise DagbookError(f"there is no component `{wanted}`. {did_you_mean(wanted, known)}")
        return None

    def new_folder(self, notebook: str, name: str | None = None) -> Path:
        """Where the component of a notebook is made: a folder below ``defs`` like the notebook's.

        Folders are named without dots, which Dagster cannot load. A folder that is taken, or in
        which one of two components would hide the other, is passed over.

        Raises:
            DagbookError: the name asked for is taken or cannot be a folder's.
        """
        if name is not None:
            folder = self.project.defs_folder.joinpath(*_checked_name(name).split("/"))
            if hindrance := self._hindrance(folder):
                raise DagbookError(
                    f"a component cannot be made in {shown_path(folder)}: {hindrance}"
                )
            return folder
        for candidate in _folder_names(notebook, self.project):
            folder = self.project.defs_folder / candidate
            if self._hindrance(folder) is None and not self._has_key(candidate):
                return folder
        raise AssertionError("the names to try do not end")

    def _has_key(self, key: str) -> bool:
        return any(component.key == key for component in self.components)

    def _hindrance(self, folder: Path) -> str | None:
        taken = component_file_in(folder)
        if taken is not None:
            return f"{shown_path(taken)} is there already"
        above = self.project.hidden_by(folder / "defs.yaml")
        if above is not None:
            return f"Dagster reads nothing below {shown_path(above)}"
        for file in self.project.component_files():
            if file.is_relative_to(folder):
                return f"{shown_path(file)} below it would no longer be read"
        return None


def index_components(project: Project) -> ComponentIndex:
    """Read the component files of a project. A file that cannot be read is set aside."""
    found: list[Component] = []
    broken: list[tuple[Path, DagbookError]] = []
    for path in project.component_files():
        try:
            file = _load(path)
        except DagbookError as error:
            broken.append((path, error))
            continue
        found += [Component(project, d) for d in file.documents if _runs_notebook(d)]
    return ComponentIndex(project, tuple(found), tuple(broken))


def components_of(project: Project, notebook: str) -> list[Component]:
    """The components that run one notebook; other files than theirs are looked at and not read.

    Raises:
        DagbookError: a file that names the notebook cannot be read, so nobody can say.
    """
    name = PurePosixPath(notebook).name.encode()
    found: list[Component] = []
    for path in project.component_files():
        try:
            if name not in path.read_bytes():
                continue
        except OSError:
            continue
        found += [Component(project, d) for d in _load(path).documents]
    return [c for c in found if _runs_notebook(c.document) and c.notebook == notebook]


# Who stays, and is asked again and again, has read most files before. Compared by their bytes:
# the time on a file may stay when its text does not.
_read_before: dict[Path, tuple[bytes, ComponentFile]] = {}
_MOST_READ = 5000


def _load(path: Path) -> ComponentFile:
    known = _read_before.get(path)
    if known is not None:
        try:
            if path.read_bytes() == known[0]:
                return known[1].copy()
        except OSError:
            pass  # said below
    _refuse_too_much(path)
    file = ComponentFile.load(path)
    if file.data is not None:
        if len(_read_before) >= _MOST_READ:
            _read_before.clear()
        _read_before[path] = file.data, file.copy()
    return file


def _refuse_too_much(path: Path) -> None:
    """Refuse a file with more in it than is ever loaded, before it is read for editing.

    That keeps every comment and place, which takes seconds where the screening's parser takes
    none.
    """
    try:
        from dagbook.safe_yaml import ScreeningRules
        from dagbook.safe_yaml.parsing import parse
        from dagbook.safe_yaml.reading import Refused, decoded, read_once
    except ImportError:
        return  # without PyYAML nothing is loaded here either
    rules = ScreeningRules()
    try:
        parse(
            decoded(read_once(path, inside=None, max_bytes=rules.max_bytes)),
            rules,
            read_again=False,
        )
    except Refused as refused:
        raise DagbookError(f"{shown_path(path)}:{refused.line}: {refused.text}") from None


def _runs_notebook(document: Document) -> bool:
    # By its attribute, not its type: a company's component that extends ours runs it as well.
    notebook: Any = document.attributes.get("notebook")
    return isinstance(notebook, str) and bool(notebook)


def _folder_names(notebook: str, project: Project) -> Iterator[str]:
    path = PurePosixPath(notebook)
    beside = (project.root / path).parent
    if beside != project.defs_folder and beside.is_relative_to(project.defs_folder):
        yield beside.relative_to(project.defs_folder).as_posix()
    parts = [_slug(part) for part in (*path.parent.parts, path.stem)]
    yield "/".join(parts)
    flat = "_".join(parts)
    if len(parts) > 1:
        yield flat
    number = 2
    while True:
        yield f"{flat}_{number}"
        number += 1


def _slug(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9_-]+", "_", plain).strip("_") or "notebook"


def _checked_name(name: str) -> str:
    name = name.strip("/")
    for part in name.split("/"):
        if not re.fullmatch(r"[A-Za-z0-9_-]+", part):
            raise DagbookError(
                f"{name!r} cannot be a component: between its slashes use letters, digits, _ and -"
            )
    return name
