"""Rules: what a notebook's own numbers say of the order in which its cells were last run.

The numbers tell of one kernel's life at most, so nothing is said because of a number alone: only
where a cell saw, or shows, another value than it would in a run from top to bottom.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from dagbook.preflight.doings import Act
from dagbook.preflight.finding import NightFinding, Severity
from dagbook.preflight.reading import CodeCell, Reading
from dagbook.preflight.situation import Situation

ORDER = "out-of-order"
NOT_RUN = "not-run"
FAILED = "failed-last-time"


def order_findings(reading: Reading, situation: Situation) -> Iterator[NightFinding]:
    """Find cells whose last run was in another order, was not, or ended in an error."""
    cells = [code for code in reading.at_night if not code.is_blank]
    yield from _failed(cells)
    yield from _not_run(cells)
    if reading.language == "python":
        yield from _out_of_order(cells)


def _failed(cells: list[CodeCell]) -> Iterator[NightFinding]:
    for code in cells:
        error = next((o for o in _outputs(code) if o.get("output_type") == "error"), None)
        if error is None or code.has_error_tag:
            continue
        name = str(error.get("ename", ""))
        if not name.isidentifier() or (name == "SystemExit" and error.get("evalue") in ("", "0")):
            continue
        role = code.cell.role
        if role is not None and role.warn and name == "AssertionError":
            continue  # a check that is only noted
        text = f"ended in {name} when it was last run: run it again, and save the notebook"
        yield code.finding(FAILED, Severity.MAY_SURPRISE, 1, text)


def _not_run(cells: list[CodeCell]) -> Iterator[NightFinding]:
    ran = [number for number, code in enumerate(cells) if _count(code) is not None]
    for number, code in enumerate(cells):
        below = next((cells[n] for n in ran if n > number), None) if ran else None
        if below is None or number < ran[0]:
            continue
        # Tools that take away the numbers take away all of them, and outputs often stay.
        if code.stored.get("execution_count") is None and not _outputs(code):
            text = (
                f"has not been run since it was written, though cell {below.number} below it has: "
                "run the notebook from top to bottom once"
            )
            yield code.finding(NOT_RUN, Severity.MAY_SURPRISE, 1, text)


class _Maker(NamedTuple):
    """A cell that makes a name: when it was last run, and where it stands."""

    run: int
    place: int


def _out_of_order(cells: list[CodeCell]) -> Iterator[NightFinding]:
    """Find cells that saw what a cell further down had made."""
    makers: dict[str, list[_Maker]] = {}
    for place, code in enumerate(cells):
        for name in _names(code, Act.BIND):
            makers.setdefault(name, []).append(_Maker(_count(code) or 0, place))
    for place, code in enumerate(cells):
        count, own = _count(code), _names(code, Act.BIND)
        if count is None:
            continue
        for name, line in _names(code, Act.USE).items():
            # A cell that makes the name itself saw its own; one that nobody above makes is told
            # of as used before it is defined.
            before = [maker for maker in makers.get(name, ()) if 0 < maker.run < count]
            is_own = own.get(name, line) < line
            if not before or is_own or makers[name][0].place >= place:
                continue
            last = max(before)
            if last.place > place:
                text = (
                    f"was last run after cell {cells[last.place].number}, and saw the `{name}` "
                    "that is made there; a run comes here first: run the notebook from top to "
                    "bottom once"
                )
                yield code.finding(ORDER, Severity.MAY_SURPRISE, line, text)
                break


def _names(code: CodeCell, act: Act) -> dict[str, int]:
    """The names that a cell uses or makes, each with the first line; imports make none here."""
    found: dict[str, int] = {}
    for event in code.doings.events:
        if event.act is act and not event.is_import and event.body is None:
            found.setdefault(event.name, event.line)
    return found


def _count(code: CodeCell) -> int | None:
    count = code.stored.get("execution_count")
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else None


def _outputs(code: CodeCell) -> list[dict[str, Any]]:
    outputs: list[dict[str, Any]] = code.stored.get("outputs", [])
    return outputs
