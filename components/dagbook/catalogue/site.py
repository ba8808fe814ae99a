"""A catalogue of components as pages for the browser, which need no server and no network."""

from __future__ import annotations

import importlib.resources
import os
import shutil
import tempfile
from collections.abc import Sequence
from html import escape
from pathlib import Path

from dagbook.catalogue.entries import Entry
from dagbook.catalogue.html_page import component_page, page_name, shell
from dagbook.catalogue.pages import Description
from dagbook.defs_yaml import shown_path
from dagbook.errors import DagbookError
from dagbook.project import Project

#: Marks a folder as one of ours, which may be replaced.
MARK = "dagbook-components.txt"
_FILES = ("style.css", "search.js")


def write_site(
    folder: Path, found: Sequence[Description], broken: Sequence[Entry], project: Project | None
) -> Path:
    """Write the catalogue; one that is there already is replaced in one step.

    Args:
        folder: where to.
        found: the components.
        broken: the packages and components that cannot be loaded.
        project: whose policy and notebooks the pages speak of.

    Returns:
        The page to begin with.

    Raises:
        DagbookError: the folder holds something else, or cannot be written.
    """
    if folder.exists() and not (folder / MARK).is_file():
        if not folder.is_dir():
            raise DagbookError(f"{shown_path(folder)} is no folder: name another with --output")
        if any(folder.iterdir()):
            raise DagbookError(
                f"{shown_path(folder)} holds other files: name another folder with --output"
            )
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    except OSError as error:
        raise _cannot_write(folder, error) from None
    try:
        made.chmod(0o755)
        _write_pages(made, found, broken, project)
        _put_in_place(made, folder)
    except OSError as error:
        raise _cannot_write(folder, error) from None
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder / "index.html"


def _write_pages(
    folder: Path, found: Sequence[Description], broken: Sequence[Entry], project: Project | None
) -> None:
    source = importlib.resources.files("dagbook.catalogue") / "site_files"
    for name in _FILES:
        (folder / name).write_text((source / name).read_text("utf-8"), "utf-8")
    (folder / "index.html").write_text(_index(found, broken, project), "utf-8")
    for description in found:
        page = component_page(description)
        (folder / page_name(description.entry)).write_text(page, "utf-8")
    (folder / MARK).write_text("Written by `dagbook components docs`, which replaces it.\n")


def _put_in_place(made: Path, folder: Path) -> None:
    if not folder.exists():
        made.rename(folder)
        return
    old = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        folder.rename(old / "old")
        made.rename(folder)
    finally:
        shutil.rmtree(old, ignore_errors=True)


def _index(found: Sequence[Description], broken: Sequence[Entry], project: Project | None) -> str:
    cards = "\n".join([*map(_card, found), *map(_broken_card, broken)])
    whose = f" of {escape(project.module)}" if project is not None else ""
    return shell(
        f"Components{whose}",
        f"""<h1>Components{whose}</h1>
<label for="search">Search</label>
<input type="search" id="search" autocomplete="off" placeholder="name, package, attribute or description" aria-describedby="count">
<p id="count" class="faint" role="status"></p>
<ul class="cards">
{cards}
</ul>""",
        script="search.js",
    )


def _card(found: Description) -> str:
    entry = found.entry
    names = " ".join(attribute.name for attribute in found.attributes)
    text = escape(f"{entry.name} {entry.package.label} {entry.description} {names}".lower())
    use = "" if found.notebooks is None else f" · {_used(found.notebooks)}"
    barred = "" if found.allowed else ' · <span class="warn">not allowed here</span>'
    return (
        f'<li data-text="{text}"><h2><a href="{page_name(entry)}">{escape(entry.name)}</a></h2>'
        f'<p>{escape(entry.summary)}</p><p class="faint">{escape(entry.package.label)}{use}'
        f"{barred}</p></li>"
    )


def _broken_card(entry: Entry) -> str:
    text = escape(f"{entry.name} {entry.package.label} {entry.reason}".lower())
    return (
        f'<li data-text="{text}"><h2>{escape(entry.name)}</h2>'
        f'<p class="warn">{escape(entry.reason or "")}</p>'
        f'<p class="faint">{escape(entry.package.label)}</p></li>'
    )


def _used(notebooks: int) -> str:
    return f"used by {notebooks} {'notebook' if notebooks == 1 else 'notebooks'}"


def _cannot_write(folder: Path, error: OSError) -> DagbookError:
    reason = os.strerror(error.errno or 0)
    return DagbookError(f"cannot write {shown_path(folder)}: {reason}")
