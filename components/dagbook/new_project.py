"""Makes a folder a project that Dagster loads without any Python in it."""

from __future__ import annotations

import keyword
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dagbook.atomic_write import write_atomically
from dagbook.errors import DagbookError
from dagbook.module_names import module_name
from dagbook.project import (
    CONFIG_FILE_NAMES,
    RUNS_FOLDER,
    STATE_FOLDER,
    Project,
    absolute_path,
    find_project,
    read_dg_table,
    require_project,
)
from dagbook.trust import distrust_project, is_trusted, trust_project

#: The module that loads a project without Python of its own.
LOCATION_MODULE = "dagbook.location"


def make_project(root: Path, name: str | None) -> tuple[Project, list[Path]]:
    """Make a folder a project; see :func:`dagbook.project.create_project`.

    Returns:
        The project, and what was made or changed for it.

    Raises:
        DagbookError: the folder cannot hold a project; the text says why.
    """
    root = absolute_path(root)
    try:
        return _make_project(root, name)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise DagbookError(f"cannot make a project in {root}: {reason}") from error


@contextmanager
def project_made_for(root: Path) -> Iterator[tuple[Project, bool]]:
    """The project of a folder, made where there is none, and whether it was.

    Where what it was made for fails, what was made is taken away again.

    Raises:
        DagbookError: the folder cannot hold a project; the text says why.
    """
    root = absolute_path(root)
    ignored = root / ".gitignore"
    before = ignored.read_bytes() if ignored.is_file() else None
    was_trusted = _is_trusted(root)
    project, made = make_project(root, None)
    try:
        yield project, root / "dg.toml" in made
    except BaseException:
        if root / "dg.toml" in made:
            with suppress(OSError, DagbookError):
                _take_away(project, made, before)
                if not was_trusted:
                    distrust_project(root)
        raise


def _is_trusted(root: Path) -> bool:
    try:
        return is_trusted(root)
    except DagbookError:
        return False


def _take_away(project: Project, made: list[Path], ignored: bytes | None) -> None:
    (project.root / "dg.toml").unlink()
    path = project.root / ".gitignore"
    if path in made and ignored is None:
        path.unlink()
    elif path in made and ignored is not None:
        write_atomically(path, ignored.decode())
    if project.defs_folder in made:
        (project.defs_folder / ".gitkeep").unlink()
        # What somebody put there meanwhile stays, and so do the folders around it.
        project.defs_folder.rmdir()
        project.defs_folder.parent.rmdir()


def _make_project(root: Path, name: str | None) -> tuple[Project, list[Path]]:
    if root.exists() and not root.is_dir():
        raise DagbookError(f"{root} is a file: name a folder")
    if name is not None and (not name.isidentifier() or keyword.iskeyword(name)):
        raise DagbookError(
            f"{name!r} cannot be the project's module: use letters, digits and _, for example "
            f"`{module_name(name)}`"
        )
    existing = find_project(root)
    if existing is not None and existing.root != root:
        raise DagbookError(
            f"{root} lies in the project {existing.root} already: schedule its notebooks from "
            "there, nothing needs to be made"
        )
    if existing is not None and name is not None and name != existing.module:
        raise DagbookError(
            f"{root} is a project already, its module is `{existing.module}`: leave the name out"
        )
    if existing is None:
        _refuse_other_config(root)
    made: list[Path] = []
    root.mkdir(parents=True, exist_ok=True)
    if existing is None:
        write_atomically(root / "dg.toml", _dg_toml(name or module_name(root.name, root)))
        made.append(root / "dg.toml")
        _trust(root)
    project = existing or require_project(root)
    if not project.defs_folder.is_dir():
        # git knows no empty folders, and a clone without this one would not load.
        write_atomically(project.defs_folder / ".gitkeep", "")
        made.append(project.defs_folder)
    if _ignore_in_git(root / ".gitignore"):
        made.append(root / ".gitignore")
    return project, made


def _trust(root: Path) -> None:
    """Whoever makes a project trusts it; where that cannot be written down they are asked later."""
    with suppress(DagbookError):
        if not is_trusted(root):
            trust_project(root)


def _refuse_other_config(root: Path) -> None:
    for name in CONFIG_FILE_NAMES:
        table = read_dg_table(root / name)
        if table is None:
            continue
        if table.get("directory_type") == "workspace":
            raise DagbookError(
                f"{root} is a Dagster workspace ({name}): make the project in a folder inside it"
            )
        raise DagbookError(
            f'{root / name} names no kind of folder: write `directory_type = "project"` there'
        )


def _dg_toml(module: str) -> str:
    return (
        'directory_type = "project"\n'
        "\n"
        "[project]\n"
        f'root_module = "{module}"\n'
        f'code_location_target_module = "{LOCATION_MODULE}"\n'
    )


def _ignore_in_git(path: Path) -> bool:
    text = path.read_text("utf-8") if path.exists() else ""
    present = {line.strip().strip("/") for line in text.splitlines()}
    missing = [name for name in (RUNS_FOLDER, STATE_FOLDER) if name not in present]
    if missing:
        gap = "" if not text or text.endswith("\n") else "\n"
        write_atomically(path, text + gap + "".join(f"/{name}/\n" for name in missing))
    return bool(missing)
