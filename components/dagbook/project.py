"""A dagbook project: where it lies, what it is called, how one comes to be."""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.errors import DagbookError
from dagbook.module_names import import_base

if TYPE_CHECKING:
    from dagbook.bridge_client import Bridge

#: What Dagster reads as a component file, the first that exists in a folder wins.
COMPONENT_FILE_NAMES = ("defs.yaml", "defs.yml", "component.yaml")

CONFIG_FILE_NAMES = ("dg.toml", "pyproject.toml")

STATE_FOLDER = ".dagbook"
RUNS_FOLDER = "runs"


@dataclass(frozen=True)
class Project:
    """A folder Dagster takes for a project, and where dagbook keeps its things in it."""

    root: Path
    module: str
    defs_folder: Path
    defs_module: str
    config_file: Path
    target_module: str

    @property
    def state_folder(self) -> Path:
        """Where dagbook and Dagster keep their state, ignored by git."""
        return self.root / STATE_FOLDER

    @property
    def runs_folder(self) -> Path:
        """Where executed notebooks lie, visible and ignored by git."""
        return self.root / RUNS_FOLDER

    @property
    def import_root(self) -> Path:
        """The folder that must be importable for ``defs_module`` to load: root or ``src``."""
        depth = len(self.defs_module.split("."))
        return self.defs_folder.parents[depth - 1]

    def component_files(self) -> list[Path]:
        """Every component file Dagster loads, in order of its folder.

        A folder with a component file is a leaf to Dagster: what lies below it is not loaded,
        except below a ``dagster.DefsFolderComponent``.
        """
        return [path for path in self.all_component_files() if not self.hidden_by(path)]

    def all_component_files(self) -> list[Path]:
        """Every file with a component file's name, also those that Dagster never reads."""
        return [
            folder / name
            for folder in folders_below(self.defs_folder)
            for name in COMPONENT_FILE_NAMES
            if (folder / name).is_file()
        ]

    def component_paths(self, below: Path | None = None) -> list[Path]:
        """Everything with a component file's name, also what is no file: a folder, a pipe."""
        return [
            folder / name
            for folder in folders_below(below or self.defs_folder)
            for name in COMPONENT_FILE_NAMES
            if (folder / name).exists()
        ]

    def hidden_by(self, component_file: Path) -> Path | None:
        """The component file because of which Dagster never reads this one, if there is one."""
        first = component_file_in(component_file.parent)
        if first is not None and first != component_file:
            return first
        if not component_file.parent.is_relative_to(self.defs_folder):
            return None
        if component_file.parent == self.defs_folder:
            return None
        for folder in component_file.parent.parents:
            above = component_file_in(folder)
            if above is not None and not _is_folder_component(above):
                return above
            if folder == self.defs_folder:
                return None
        return None

    def asset_key(self, component_file: Path) -> list[str]:
        """The asset key a component has when it names none: its folder below ``defs``."""
        parts = component_file.parent.relative_to(self.defs_folder).parts
        return list(parts) or [self.module]

    def relative(self, path: Path) -> str:
        """A path as YAML writes it: relative to the project, with forward slashes.

        Raises:
            DagbookError: the path lies outside the project.
        """
        absolute = absolute_path(path)
        for candidate, root in ((absolute, self.root), (absolute.resolve(), self.root.resolve())):
            if candidate.is_relative_to(root):
                return candidate.relative_to(root).as_posix()
        raise DagbookError(
            f"{path} lies outside the project {self.root}: move it into the project, or run "
            "`dagbook init` in a folder that holds it"
        )


def component_file_in(folder: Path) -> Path | None:
    """The component file Dagster reads in this folder, if there is one."""
    return next((folder / n for n in COMPONENT_FILE_NAMES if (folder / n).is_file()), None)


def component_path_in(folder: Path) -> Path | None:
    """What Dagster takes for the component file of this folder, be it a file or not."""
    return next((folder / n for n in COMPONENT_FILE_NAMES if (folder / n).exists()), None)


def find_project(start: Path | str) -> Project | None:
    """Find the project that a file or folder belongs to, looking upward from it.

    Raises:
        DagbookError: a `dg.toml` or `pyproject.toml` on the way cannot be read.
    """
    start = absolute_path(Path(start))
    for folder in (start, *start.parents):
        for name in CONFIG_FILE_NAMES:
            table = read_dg_table(folder / name)
            if table is not None and table.get("directory_type") == "project":
                return _project_from(folder, folder / name, table)
    return None


def require_project(start: Path | str) -> Project:
    """Find the project that a file or folder belongs to.

    Raises:
        DagbookError: there is none; the text says how to make one.
    """
    project = find_project(start)
    if project is None:
        folder = absolute_path(Path(start))
        folder = folder if folder.is_dir() else folder.parent
        raise DagbookError(
            f"{folder} is in no dagbook project: run `dagbook init` in the folder that holds "
            "your notebooks"
        )
    return project


def create_project(root: Path | str, *, name: str | None = None) -> Project:
    """Make a folder a project Dagster can load, without any Python in it.

    Writes ``dg.toml``, ``<module>/defs/`` and the lines git needs to ignore runs and state.
    Nothing that exists is changed, apart from lines added to ``.gitignore``; a folder that is a
    project already is completed and returned.

    Args:
        root: the folder, made if it does not exist.
        name: the project's module; derived from the folder's name by default.

    Raises:
        DagbookError: the folder cannot hold a project; the text says why.
    """
    from dagbook.new_project import make_project

    return make_project(Path(root), name)[0]


def open_bridge(project: Project | Path | str) -> Bridge:
    """What asks a project's own Python about its components; see `dagbook.bridge_client`.

    Args:
        project: the project, or a file or folder in it.

    Raises:
        DagbookError: the project's settings cannot be read.
    """
    from dagbook.bridge_client import Bridge

    return Bridge.open(project)


def absolute_path(path: Path) -> Path:
    """The path from the root of the file system, without `..` and with its links kept."""
    # Not `resolve`: a notebook that is a link into a data folder belongs where the link is.
    return Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 (takes `..` out as well)


def read_dg_table(path: Path) -> Mapping[str, Any] | None:
    """What a `dg.toml` or `pyproject.toml` says to Dagster; None when it says nothing.

    Raises:
        DagbookError: it cannot be read.
    """
    try:
        found = path.stat()
        version = (found.st_mtime_ns, found.st_size, found.st_ino)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError:
        version = (0, 0, 0)
    # Every component asks for its project, mostly the same one.
    return _read_dg_table(path, version)


@functools.lru_cache(maxsize=64)
def _read_dg_table(path: Path, _version: tuple[int, ...]) -> Mapping[str, Any] | None:
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        if path.name == "pyproject.toml":
            return None
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise DagbookError(f"cannot read {path}: {reason}") from None
    import tomllib  # a notebook of no project does without

    try:
        table: Any = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        if path.name == "pyproject.toml" and "tool.dg" not in text:
            return None
        raise DagbookError(f"{path} is not valid TOML: {error}") from None
    if path.name == "pyproject.toml":
        table = table.get("tool", {}).get("dg")
    return table if isinstance(table, Mapping) else None


def _project_from(root: Path, config: Path, table: Mapping[str, Any]) -> Project:
    settings = table.get("project", {})
    prefix = "project" if config.name == "dg.toml" else "tool.dg.project"
    if not isinstance(settings, Mapping):
        raise DagbookError(f"{config}: `{prefix}` must be a table with `root_module`")
    module = settings.get("root_module")
    defs_module = settings.get("defs_module")
    if not isinstance(module, str) or not module:
        raise DagbookError(
            f'{config}: `{prefix}.root_module` is missing, write `root_module = "…"`'
        )
    base = import_base(root, module)
    if not isinstance(defs_module, str) or not defs_module:
        defs_module = f"{module}.defs"
        other = f"{module}.definitions"
        if not _folder_of(base, defs_module).is_dir() and _folder_of(base, other).is_dir():
            defs_module = other
    target = settings.get("code_location_target_module")
    return Project(
        root=root,
        module=module,
        defs_folder=_folder_of(base, defs_module),
        defs_module=defs_module,
        config_file=config,
        target_module=target if isinstance(target, str) else f"{module}.definitions",
    )


def _folder_of(base: Path, module: str) -> Path:
    return base.joinpath(*module.split("."))


def folders_below(top: Path) -> Iterator[Path]:
    """A folder and all folders below it, also through links, that Dagster looks into."""
    seen = set()
    for current, names, _ in os.walk(top, followlinks=True):
        real = os.path.realpath(current)
        # A link to a folder above it would be walked forever.
        names[:] = [] if real in seen else sorted(n for n in names if _is_walked(n))
        if real not in seen:
            seen.add(real)
            yield Path(current)


def _is_walked(name: str) -> bool:
    return not name.startswith(".") and name != "__pycache__"


def _is_folder_component(path: Path) -> bool:
    # A look at the text is enough here, and spares every caller the YAML parser.
    text = path.read_text("utf-8", errors="replace")
    return re.search(r"^type:\s*[\"']?[\w.]*\bDefsFolderComponent\b", text, re.M) is not None
