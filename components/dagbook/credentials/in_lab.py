"""Puts a researcher's own credentials where their notebook looks for them, in Lab."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dagbook.component_index import components_of
from dagbook.credentials.kept import kept_values
from dagbook.errors import DagbookError
from dagbook.policy.connections import Connection
from dagbook.policy.platform import Platform
from dagbook.policy.presence import has_platform_file
from dagbook.project import Project, find_project
from dagbook.report import RUN_FOLDER_VARIABLE

#: What JupyterLab and VS Code call the notebook that a kernel belongs to.
_LAB_VARIABLE, _VS_CODE_NAME = "JPY_SESSION_NAME", "__vsc_ipynb_file__"


@dataclass(frozen=True)
class Loaded:
    """What came into the environment; names only."""

    variables: tuple[str, ...] = ()
    """Those that were set"""
    there: tuple[str, ...] = ()
    """Those that were set before, and are as they were"""
    notes: tuple[str, ...] = field(default=())
    """What is lacking and how to give it, a line each"""

    def __repr__(self) -> str:
        lines = [f"set: {', '.join(self.variables)}"] if self.variables else []
        lines += [f"set before: {', '.join(self.there)}"] if self.there else []
        return "\n".join([*lines, *self.notes]) or "nothing to set"


def load_credentials(*connections: str, notebook: str | Path | None = None) -> Loaded:
    """Set the environment variables of a notebook's connections from what you keep.

    So that ``os.environ["DB_PASSWORD"]`` works in Lab as it does at night. A variable that is set
    already stays as it is. In a run nothing is done: there the run itself has set them.

    Args:
        connections: by name; without any, those that the notebook's component names.
        notebook: the notebook's file; by default, the one that is open.

    Raises:
        DagbookError: there is no project around, or its platform file or what is kept cannot be
            used.
    """
    if os.environ.get(RUN_FOLDER_VARIABLE):
        return Loaded()
    file = Path(notebook) if notebook is not None else _open_notebook()
    project = find_project(file if file is not None else Path.cwd())
    if project is None:
        raise DagbookError(
            f"{file or Path.cwd()} is in no dagbook project, so nothing is kept for it: run "
            "`dagbook init` in the folder that holds your notebooks"
        )
    resources = _resources(project, file)
    platform = _platform(project)
    names = connections or tuple(dict.fromkeys(resources.values()))
    if not names:
        what = "this notebook" if file is None else file.name
        return Loaded(notes=(f"no component of {what} names connections: give their names here",))
    loading = _Loading(kept_values(project.root))
    for name in names:
        connection = None if platform is None else platform.connections.get(name)
        if connection is not None and platform is not None:
            loading.add(connection, _why_not(platform, project, file, connection))
        elif name in loading.kept:
            loading.put(loading.kept[name])
        elif name in connections:
            loading.notes.append(f"there is no connection `{name}`, and nothing is kept of it")
    if not connections and platform is not None:
        loading.put(_plain_values(platform, resources))
    return Loaded(tuple(loading.variables), tuple(loading.there), tuple(loading.notes))


class _Loading:
    def __init__(self, kept: Mapping[str, Mapping[str, str]]) -> None:
        self.kept = kept
        self.variables: list[str] = []
        self.there: list[str] = []
        self.notes: list[str] = []

    def put(self, values: Mapping[str, str]) -> None:
        """Set variables that are not set."""
        for name, value in values.items():
            if os.environ.get(name):
                self.there.append(name)
            else:
                os.environ[name] = value
                self.variables.append(name)

    def add(self, connection: Connection, why_not: str | None) -> None:
        """Set the variables of a connection that may be used."""
        if why_not is not None:
            self.notes.append(f"the connection `{connection.name}` {why_not}")
            return
        own = dict(self.kept.get(connection.name, {}))
        files = {file.variable: file.name for file in connection.files}
        wanted = [*connection.variables, *files]
        lacking = [name for name in wanted if not own.get(name) and not os.environ.get(name)]
        self.put({name: own[name] for name in connection.variables if own.get(name)})
        for variable, name in files.items():
            if own.get(variable):
                missing = not os.environ.get(variable)
                path = _own_file(variable, name, own[variable]) if missing else ""
                self.put({variable: path})
            elif os.environ.get(variable):
                self.put({variable: ""})
        self.there += [n for n in connection.variables if n not in own and os.environ.get(n)]
        self.put(connection.values)
        if lacking:
            listed = ", ".join(f"`{name}`" for name in lacking)
            self.notes.append(
                f"{listed} of `{connection.name}` {'is' if len(lacking) == 1 else 'are'} neither "
                f"set nor kept: `dagbook platform keep {connection.name}` in a terminal"
            )


def _open_notebook() -> Path | None:
    main: Any = sys.modules.get("__main__")
    named = getattr(main, _VS_CODE_NAME, None) or os.environ.get(_LAB_VARIABLE)
    if not isinstance(named, str):
        return None
    # Stale after a rename; some servers give a number.
    path = Path(named)
    return path if path.is_file() else None


def _resources(project: Project, file: Path | None) -> dict[str, str]:
    if file is None:
        return {}
    found: dict[str, str] = {}
    for component in components_of(project, project.relative(file)):
        resources = component.document.attributes.get("resources")
        if isinstance(resources, Mapping):
            found |= {str(key): str(name) for key, name in resources.items()}
    return found


def _platform(project: Project) -> Platform | None:
    if not has_platform_file(project.root):
        return None
    try:
        from dagbook.policy.platform_file import find_platform
    except ImportError:
        return None  # a kernel need not have what reads it: then only what is kept is set
    return find_platform(project.root)


def _why_not(
    platform: Platform, project: Project, file: Path | None, connection: Connection
) -> str | None:
    from dagbook.policy.connection_judges import why_it_ended, why_not_usable
    from dagbook.policy.objections import Case
    from dagbook.policy.request import Request

    name = "" if file is None else project.relative(file)
    case = Case(Request(name), platform, platform.team_of(name) if name else None)
    # Whose notebook it is, nobody knows without its file.
    found = why_not_usable(case, connection) if name else why_it_ended(case, connection)
    return None if found is None else found[1]


def _plain_values(platform: Platform, resources: Mapping[str, str]) -> dict[str, str]:
    from dagbook.policy.connection_judges import is_plain_value

    return {
        resource.plain_variable: value
        for key, value in resources.items()
        if (resource := platform.resources.get(key)) is not None
        and value not in platform.connections
        and is_plain_value(resource, value)
    }


#: By process, the folder of its files.
_folders: dict[int, Path] = {}
_PREFIX = "dagbook-lab-"


def _own_file(variable: str, name: str, content: str) -> str:
    """A file for this process, which its owner alone can read and which goes when it ends."""
    process = os.getpid()
    if process not in _folders:
        memory = Path("/dev/shm")
        above = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
        made = _held_folder(above)
        _folders[process] = made
        atexit.register(_remove, process)
        _remove_left(made.parent)
    folder = _folders[process] / variable
    folder.mkdir(mode=0o700, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(folder / Path(name).name, flags, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content.encode("utf-8", "surrogatepass"))
    return str(folder / Path(name).name)


def _held_folder(above: Path | None) -> Path:
    while True:
        made = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=above))
        # Held as long as this process lives, however it ends.
        fcntl.flock(os.open(made, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), fcntl.LOCK_EX)
        if made.exists():  # and not taken for one that was left, a moment ago
            return made


def _remove_left(above: Path) -> None:
    """Remove what kernels of ours left that were killed: nobody holds it any more."""
    for folder in above.glob(f"{_PREFIX}*"):
        try:
            descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # another user's
        try:
            if os.fstat(descriptor).st_uid == os.geteuid():
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            pass  # it is held
        finally:
            os.close(descriptor)


def _remove(process: int) -> None:
    # A process that was forked meanwhile ends before this one, and must leave it alone.
    if os.getpid() == process:
        shutil.rmtree(_folders[process], ignore_errors=True)
