"""Takes a credential out of a file: the whole of it, or a field of JSON or INI."""

from __future__ import annotations

import configparser
import json
from pathlib import Path

from dagbook.credentials.private_file import find_path, read_private
from dagbook.credentials.provider import Fetched, Lookup
from dagbook.errors import DagbookError, did_you_mean

_BY_SUFFIX = {".json": "json", ".ini": "ini"}


def fetch(lookup: Lookup) -> Fetched:
    """Read the file."""
    path = find_path(lookup.key, lookup)
    content = read_private(path, lookup.options)
    form = lookup.options.get("format") or _BY_SUFFIX.get(path.suffix.lower(), "text")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        if form != "text":
            raise DagbookError(f"{path} is no text in UTF-8, so it is no {form.upper()}") from None
        return Fetched(content)
    if form == "json":
        return Fetched(_json(path, text), whole=text)
    if form == "ini":
        return Fetched(_ini(path, text, lookup.options.get("section")), whole=text)
    return Fetched(text)


# The parsers' own messages quote the file.


def _json(path: Path, text: str) -> dict[str, object]:
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        raise DagbookError(f"{path}:{error.lineno} is no JSON") from None
    except (ValueError, RecursionError):
        raise DagbookError(f"{path} is no JSON that can be read") from None
    if not isinstance(found, dict):
        raise DagbookError(f"{path} holds no JSON object, so it has no fields: say `format: text`")
    return found


def _ini(path: Path, text: str, wanted: str | None) -> dict[str, object]:
    parser = configparser.ConfigParser(interpolation=None, strict=True)
    # Names as they are written: a field is asked for by its name.
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        parser.read_string(text)
    except configparser.Error as error:
        line = getattr(error, "lineno", None) or next(
            iter(lines[0] for lines in getattr(error, "errors", ())), None
        )
        raise DagbookError(f"{path}{'' if line is None else f':{line}'} is no INI") from None
    sections = parser.sections()
    if wanted is None:
        if len(sections) != 1:
            named = ", ".join(sections) or "none"
            raise DagbookError(
                f"{path} has not one section: name one as `section` of the connection. Known: {named}"
            )
        wanted = sections[0]
    if wanted not in sections:
        raise DagbookError(f"{path} has no section `{wanted}`. {did_you_mean(wanted, sections)}")
    return dict(parser.items(wanted))
