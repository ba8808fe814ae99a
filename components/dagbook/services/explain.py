"""Say in one line why Dagster does not come up: what failed, where, and where to read more."""

from __future__ import annotations

import re
from pathlib import Path

from dagbook.project import Project
from dagbook.services.webserver import LoadError

_LONGEST = 400
_PLACE = re.compile(r'File "([^"]+)", line (\d+)')
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_EXCEPTION = re.compile(r"^(?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt|Warning)\b.*")


def explain_load_error(project: Project, error: LoadError, log: Path) -> str:
    """Why the project's definitions do not load, and the innermost place in the project."""
    place = _innermost_place(project, "\n".join((*error.stack, error.message)))
    return (
        f"the project's definitions do not load: {place}{_cause(error)}. Mend it and run "
        f"`dagbook up` again; the whole story is in {log}"
    )


def explain_dead_service(name: str, log: Path) -> str:
    """Why a service ended, from the end of its log."""
    try:
        text = _COLOUR.sub("", log.read_text("utf-8", errors="replace"))
    except OSError:
        text = ""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    exceptions = [line for line in lines if _EXCEPTION.match(line)]
    last = (exceptions or lines or ["it wrote nothing"])[-1]
    return f"Dagster's {name} ended while it was starting: {_short(last)}; see {log}"


def one_line(error: BaseException) -> str:
    """An exception's name and text, its lines joined."""
    return _short(f"{type(error).__name__}: {error}")


def _innermost_place(project: Project, text: str) -> str:
    places = [
        (Path(file).relative_to(project.root), line)
        for file, line in _PLACE.findall(text)
        if Path(file).is_relative_to(project.root)
    ]
    # A virtual environment often lies in the project, and nobody looks for a mistake there.
    own = [(file, line) for file, line in places if "site-packages" not in file.parts]
    return f"{own[-1][0]}, line {own[-1][1]}: " if own else ""


def _cause(error: LoadError) -> str:
    # A message starts with the exception's full name, a syntax error's with its place.
    marker = f"{error.name}: "
    _, found, rest = error.message.partition(marker)
    return _short(marker + rest if found else error.message).rstrip(".")


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[:_LONGEST] + "…"
