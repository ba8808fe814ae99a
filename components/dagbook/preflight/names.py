"""Rule: every name is defined before it is used when the cells run from top to bottom."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from dagbook.first_line import find_role_line
from dagbook.preflight.doings import Act, Body, Event
from dagbook.preflight.edits import lines_edit, move_edit
from dagbook.preflight.finding import Fix, NightFinding, Severity
from dagbook.preflight.known_magics import USUAL_IMPORTS, is_known_name
from dagbook.preflight.reading import CodeCell, Reading, is_parameters
from dagbook.preflight.role_fixes import run_at_night
from dagbook.preflight.situation import Situation

BEFORE = "used-before-defined"
NEVER = "never-defined"
SKIPPED = "needs-skipped-cell"


class _Maker(NamedTuple):
    """A place that binds a name."""

    code: CodeCell
    line: int


def name_findings(reading: Reading, situation: Situation) -> Iterator[NightFinding]:
    """Find names that a run from top to bottom does not know where they are used."""
    if reading.language == "python" and not reading.is_python_2:
        yield from _Night(reading).findings()


class _Night:
    """Follows the names of a notebook through a run from top to bottom."""

    def __init__(self, reading: Reading) -> None:
        self.reading = reading
        self.doings = {code.index: code.doings for code in reading.cells}
        self.by_night: dict[str, list[_Maker]] = {}
        self.skipped: dict[str, list[_Maker]] = {}
        for code in reading.cells:
            makers = self.skipped if code.cell.is_skipped else self.by_night
            for event in self.doings[code.index].events:
                if event.act is Act.BIND:
                    makers.setdefault(event.name, []).append(_Maker(code, event.line))
            if is_parameters(code):
                for name in reading.parameter_names:
                    makers.setdefault(name, []).append(_Maker(code, 1))
        self.defined: set[str] = set()
        self.deleted: dict[str, CodeCell] = {}
        self.functions: dict[str, Body] = {}
        self.is_unknown = False
        self.told: set[str] = set()
        self.found: list[NightFinding] = []

    def findings(self) -> list[NightFinding]:
        """Go through the night."""
        for code in self.reading.at_night:
            for event in self.doings[code.index].events:
                self._take(code, event)
                if self.is_unknown:
                    return self.found  # from here on, anything may be defined
            if is_parameters(code):
                self.defined |= self.reading.parameter_names
        for code in self.reading.at_night:
            for event in self.doings[code.index].deferred:
                self._take_deferred(code, event)
        return self.found

    def _take(self, code: CodeCell, event: Event) -> None:
        name = event.name
        if event.act is Act.UNKNOWN:
            self.is_unknown = True
        elif event.act is Act.BIND:
            self.defined.add(name)
            self.deleted.pop(name, None)
            self.functions.pop(name, None)
            if event.body is not None and event.body.is_plain:
                self.functions[name] = event.body
        elif event.act is Act.DELETE:
            if event.is_certain and not event.is_guarded:
                self.defined.discard(name)
                self.deleted[name] = code
        elif event.act is Act.CALL:
            self._call(code, event, name, event.is_certain, set())
        elif self._is_missing(event) and not code.has_error_tag:
            self._tell(code, event.line, name, event.is_certain, "")

    def _call(
        self, code: CodeCell, call: Event, name: str, certain: bool, visited: set[str]
    ) -> None:
        body = self.functions.get(name)
        if body is None or name in visited or call.is_guarded or code.has_error_tag:
            return
        visited.add(name)
        for event in body.events:
            if event.act is Act.USE and self._is_missing(event):
                self._tell(code, call.line, event.name, certain and event.is_certain, call.name)
            elif event.act is Act.CALL and not event.is_guarded:
                self._call(code, call, event.name, certain and event.is_certain, visited)

    def _is_missing(self, event: Event) -> bool:
        name = event.name
        return not (
            name in self.defined or event.is_guarded or name in self.told or is_known_name(name)
        )

    def _take_deferred(self, code: CodeCell, event: Event) -> None:
        """What a body uses is missed only when nothing makes it, above or below."""
        if self._is_missing(event) and event.name not in self.by_night:
            self._tell(code, event.line, event.name, False, "")

    def _tell(self, code: CodeCell, line: int, name: str, certain: bool, called: str) -> None:
        self.told.add(name)
        severity = Severity.WILL_FAIL if certain else Severity.MAY_SURPRISE
        where = f"`{called}()` is called here and uses `{name}`, which" if called else f"`{name}`"
        later = [
            maker
            for maker in self.by_night.get(name, [])
            if maker.code.index > code.index
            or (maker.code is code and (maker.line > line or not called))
        ]
        rule = NEVER
        fixes: tuple[Fix, ...] = ()
        if name in self.deleted:
            rule = BEFORE
            text = f"{where} was deleted in cell {self.deleted[name].number}: keep it until here"
        elif later and later[0].code is code:
            rule = BEFORE
            text = f"{where} is defined in this cell only further down: define it above"
        elif later:
            rule, maker = BEFORE, later[0].code
            text = (
                f"{where} is defined only in cell {maker.number}, and a run goes from top to "
                "bottom: move that cell up"
            )
            fixes = self._moved(maker, code)
        elif name in self.skipped:
            rule, maker = SKIPPED, self.skipped[name][0].code
            text = (
                f"{where} comes from cell {maker.number}, which a scheduled run leaves out: "
                "run that cell as well, or define it here"
            )
            fix = run_at_night(maker)
            fixes = (fix,) if fix is not None else ()
        elif name == "__file__":
            text = f"{where} does not exist in a notebook: a run works in the notebook's folder"
        else:
            text = (
                f"{where} is defined in no cell, so a run in a fresh kernel does not know it: "
                "define it"
            )
            fixes = _imported(code, name)
        self.found.append(code.finding(rule, severity, line, text, fixes))

    def _moved(self, maker: CodeCell, user: CodeCell) -> tuple[Fix, ...]:
        """Moving a cell up, where that changes nothing else."""
        own = self.doings[maker.index]
        uses = {event.name for event in own.events if event.act is Act.USE}
        makes = {event.name for event in own.events if event.act in (Act.BIND, Act.DELETE)}
        opaque = any(event.act is Act.UNKNOWN for event in own.events)
        if opaque or is_parameters(maker):
            return ()
        if any(name not in self.defined | makes and not is_known_name(name) for name in uses):
            return ()
        for code in self.reading.at_night:
            if user.index <= code.index < maker.index:
                between = self.doings[code.index].events
                bound = {event.name for event in between if event.act in (Act.BIND, Act.DELETE)}
                if bound & (uses | makes):
                    return ()
        title = f"Move cell {maker.number} above cell {user.number}"
        edit = move_edit(maker.index, maker.cell.id, user.index)
        return (Fix("move", title, {"edits": [edit]}),)


def _imported(code: CodeCell, name: str) -> tuple[Fix, ...]:
    """Adding the import that the name usually stands for."""
    statement = USUAL_IMPORTS.get(name)
    if statement is None or code.module is None:
        return ()
    role = find_role_line(code.cell.source, "python")
    number = next(
        number
        for number, line in enumerate(code.lines)
        if line.strip() and not re.match(r"\s*%%", line) and (role is None or number != role.number)
    )
    line = code.lines[number]
    edit = lines_edit(code.index, code.cell.id, number + 1, [line], [statement, line])
    return (Fix("import", f"Add `{statement}`", {"edits": [edit]}),)
