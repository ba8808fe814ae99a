"""The names that magics make, beside those of a cell's Python."""

from __future__ import annotations

import re

from dagbook.preflight.doings import Act, Doings, Event
from dagbook.preflight.known_magics import QUIET_MAGICS
from dagbook.preflight.reading import CodeCell, Magic
from dagbook.preflight.scopes import doings_of

_OUTPUT_OPTIONS = re.compile(r"(?:^|\s)(?:-o|--out|--err|--output|--out_var)[= ]\s*([A-Za-z_]\w*)")
_WORD = re.compile(r"[A-Za-z_]\w*")


def cell_doings(code: CodeCell) -> Doings:
    """What a cell does with the notebook's names, its magics included."""
    above = [event for name, rest in code.cell_magics for event in _of_cell_magic(name, rest)]
    if any(name == "timeit" for name, _ in code.cell_magics) or code.other_language is not None:
        return Doings(tuple(above))
    if code.module is None:
        # Not understood: whatever it does, nothing is known afterwards.
        return Doings((*above, Event(Act.UNKNOWN, "", 1)))
    try:
        doings = doings_of(code.module)
    except RecursionError:
        return Doings((*above, Event(Act.UNKNOWN, "", 1)))
    events = [*above, *doings.events]
    for magic in code.magics:
        made = _of_line_magic(magic)
        if made is not None:
            place = next(
                (n for n, event in enumerate(events) if event.line > magic.line), len(events)
            )
            events[place:place] = made
    return Doings(tuple(events), doings.deferred)


def _of_cell_magic(name: str, rest: str) -> list[Event]:
    made = [Event(Act.BIND, found, 1) for found in _OUTPUT_OPTIONS.findall(rest)]
    words = [word for word in rest.split() if not word.startswith("-")]
    if name in ("capture", "bigquery") and words and _WORD.fullmatch(words[0]):
        made.append(Event(Act.BIND, words[0], 1))
    if name not in QUIET_MAGICS and name not in ("R", "julia", "bigquery", "!"):
        made.append(Event(Act.UNKNOWN, f"%%{name}", 1))
    return made


def _of_line_magic(magic: Magic) -> list[Event] | None:
    if magic.sign == "!":
        return None
    if magic.name == "store" and "-r" in magic.rest.split():
        names = [word for word in magic.rest.split() if _WORD.fullmatch(word)]
        if names:
            return [Event(Act.BIND, name, magic.line) for name in names]
    elif magic.name in QUIET_MAGICS:
        return None
    return [Event(Act.UNKNOWN, f"%{magic.name}", magic.line)]
