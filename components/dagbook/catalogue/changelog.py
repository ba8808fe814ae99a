"""The changelog of a package of components."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

from dagbook.catalogue.entries import Package

FILE_NAME = "CHANGELOG.md"
_MOST_BYTES = 1_000_000


def find_changelog(package: Package) -> str | None:
    """The text of a package's changelog, in Markdown; None when it has none.

    Looked for as ``CHANGELOG.md`` inside the module that is registered (or the package it lies
    in), among the files that were installed with the distribution, and, where that was installed
    from a folder for editing, in that folder.
    """
    try:
        return _in_module(package) or _in_distribution(package)
    except (OSError, UnicodeDecodeError):
        return None


def _in_module(package: Package) -> str | None:
    try:
        file = importlib.resources.files(package.module.split(".")[0]) / FILE_NAME
    except (ImportError, TypeError):
        return None
    return file.read_text("utf-8")[:_MOST_BYTES] if file.is_file() else None


def _in_distribution(package: Package) -> str | None:
    if package.distribution is None:
        return None
    distribution = importlib.metadata.distribution(package.distribution)
    for file in distribution.files or ():
        if file.name == FILE_NAME:
            return Path(str(file.locate())).read_text("utf-8")[:_MOST_BYTES]
    # https://packaging.python.org/en/latest/specifications/direct-url/
    origin = json.loads(distribution.read_text("direct_url.json") or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        return None
    path = Path(unquote(urlsplit(origin["url"]).path)) / FILE_NAME
    return path.read_text("utf-8")[:_MOST_BYTES] if path.is_file() else None
