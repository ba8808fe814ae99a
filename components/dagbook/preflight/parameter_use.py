"""Rules: a value given to a parameter has its effect, and what should be one is one."""

from __future__ import annotations

import ast
import datetime
import re
from collections.abc import Iterator

from dagbook.preflight.doings import Act, Event
from dagbook.preflight.edits import insert_edit, lines_edit, tag_edit
from dagbook.preflight.finding import Fix, NightFinding, Severity
from dagbook.preflight.reading import CodeCell, Reading, is_parameters
from dagbook.preflight.situation import Situation

OVERWRITTEN = "parameter-overwritten"
WORTH = "worth-a-parameter"

#: So many cells of code from the top are where people set what they change by hand.
EARLY_CELLS = 6
_DATE = re.compile(
    r"(?:19|20)\d\d-(?:0[1-9]|1[0-2])(?:-(?:0[1-9]|[12]\d|3[01]))?(?:[T ][\d:.Z+]+)?"
)
_CODE = re.compile(r"[A-Z]{2,3}")
_CODE_NAMES = re.compile(
    r"(?:^|_)(?:country|region|market|land|currency|language|lang|locale|site|store|tenant|client"
    r"|segment|state|ticker|symbol|country_code|iso2|iso3)(?:_code|_name|_id)?$",
    re.IGNORECASE,
)
_DATE_NAMES = re.compile(
    r"day|date|start|end|from|until|since|to$|month|as_?of|cut_?off", re.IGNORECASE
)
#: Days that mean a beginning of time, not a choice.
_FIXED_DAYS = ("1970-01-01", "1900-01-01", "2000-01-01", "1899-12-30", "1601-01-01")


def parameter_findings(reading: Reading, situation: Situation) -> Iterator[NightFinding]:
    """Find parameters that are overwritten, and values that are worth one."""
    if reading.language != "python":
        return
    yield from _overwritten(reading)
    yield from _worth(reading)


def _overwritten(reading: Reading) -> Iterator[NightFinding]:
    declaring = reading.parameters_cell
    if declaring is None:
        return
    waiting = set(reading.parameter_names)
    used: set[str] = set()
    later = [code for code in reading.at_night if code.index > declaring.index]
    for place, code in enumerate(later):
        if "injected-parameters" in code.cell.tags:
            continue
        events = code.doings.events
        for number, event in enumerate(events):
            name = event.name
            if event.act is Act.UNKNOWN:
                return
            if event.act is Act.USE:
                used.add(name)
            if event.act is not Act.BIND or name not in waiting:
                continue
            waiting.discard(name)
            own = [e for e in events[:number] if e.act is Act.USE and e.name == name]
            literal = _sets_literal(code, event)
            matters = name not in used or (
                literal and _is_used_again(name, events[number + 1 :], later[place + 1 :])
            )
            # A parameter that a function or lambda uses had its effect where that was called.
            if event.is_certain and not event.is_guarded and not own and matters:
                text = (
                    f"`{name}` is a parameter and is set anew here, so a value given to a run "
                    "has no effect from here on: take this line out, or use another name"
                )
                fixes = _left_out(code, event)
                yield code.finding(OVERWRITTEN, Severity.MAY_SURPRISE, event.line, text, fixes)
        used.update(event.name for event in code.doings.deferred)


def _sets_literal(code: CodeCell, event: Event) -> bool:
    statement = _statement(code, event.line)
    return isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(
        statement.value, ast.Constant
    )


def _is_used_again(name: str, rest: tuple[Event, ...], later: list[CodeCell]) -> bool:
    events = [*rest, *(event for code in later for event in code.doings.events)]
    return any(event.act is Act.USE and event.name == name for event in events)


def _left_out(code: CodeCell, event: Event) -> tuple[Fix, ...]:
    """The statement as a comment, where it stands alone and sets nothing else."""
    statement = _statement(code, event.line)
    if not isinstance(statement, ast.Assign | ast.AnnAssign) or statement.col_offset:
        return ()
    targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
    if len(targets) != 1 or not isinstance(targets[0], ast.Name):
        return ()
    lines = _lines_of(code, statement)
    if not lines:
        return ()
    commented = [f"# {line}" for line in lines]
    edit = lines_edit(code.index, code.cell.id, statement.lineno, lines, commented)
    return (Fix("line", "Make the line a comment", {"edits": [edit]}),)


def _worth(reading: Reading) -> Iterator[NightFinding]:
    bound: dict[str, int] = {}
    used: set[str] = set()
    for code in reading.cells:
        doings = code.doings
        for event in (*doings.events, *doings.deferred):
            if event.act is Act.BIND:
                bound[event.name] = bound.get(event.name, 0) + 1
            elif event.act is Act.USE:
                used.add(event.name)
    early = [code for code in reading.at_night if not code.is_blank][:EARLY_CELLS]
    for code in early:
        if code.module is None or code.cell.role is not None:
            continue
        for statement in code.module.body:
            if not isinstance(statement, ast.Assign | ast.AnnAssign):
                continue
            target = statement.targets[0] if isinstance(statement, ast.Assign) else statement.target
            if not isinstance(target, ast.Name) or bound.get(target.id) != 1:
                continue
            name, value = target.id, _choice(target.id, statement.value)
            if value is None or name not in used or name.startswith("_"):
                continue
            text = (
                f"`{name}` is {value} in every run: make it a parameter, and each run can have "
                "another value"
            )
            fixes = _made_parameter(reading, code, statement)
            yield code.finding(WORTH, Severity.MAY_SURPRISE, statement.lineno, text, fixes)


def _choice(name: str, value: ast.expr | None) -> str | None:
    """How a value reads that somebody will want to change: a day, or a short code."""
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        text = value.value
        if _DATE.fullmatch(text) and not text.startswith(_FIXED_DAYS):
            return f"the day {text}" if len(text) >= 10 else text
        if _CODE.fullmatch(text) and _CODE_NAMES.search(name):
            return f"'{text}'"
    if isinstance(value, ast.Call) and _DATE_NAMES.search(name):
        called = ast.unparse(value.func).split(".")[-1]
        arguments = [arg.value for arg in value.args if isinstance(arg, ast.Constant)]
        if called in ("date", "datetime") and len(arguments) == len(value.args) >= 3:
            try:
                day = datetime.date(*arguments[:3])  # type: ignore[arg-type]  # refused below
            except (TypeError, ValueError):
                return None
            return f"the day {day.isoformat()}"
        if called in ("Timestamp", "to_datetime", "fromisoformat") and len(value.args) == 1:
            return _choice(name, value.args[0])
    return None


def _made_parameter(
    reading: Reading, code: CodeCell, statement: ast.Assign | ast.AnnAssign
) -> tuple[Fix, ...]:
    title = "Make it a parameter"
    declaring = reading.parameters_cell
    if declaring is None and _is_simple(code):
        edit = tag_edit(code.index, code.cell.id, add="parameters")
        return (Fix("parameter", title, {"edits": [edit]}),)
    lines = _lines_of(code, statement)
    # Only plain values can be given from outside: a call would need what is imported above it.
    if not lines or not isinstance(statement.value, ast.Constant) or statement.col_offset:
        return ()
    out = lines_edit(code.index, code.cell.id, statement.lineno, lines, [])
    if declaring is None:
        new = insert_edit(code.index, code.cell.id, "\n".join(lines), tag="parameters")
        return (Fix("parameter", title, {"edits": [out, new]}),)
    if declaring.index > code.index:
        return ()
    last = len(declaring.lines)
    line = declaring.lines[-1]
    after = [*([line] if line.strip() else []), *lines]
    into = lines_edit(declaring.index, declaring.cell.id, last, [line], after)
    return (Fix("parameter", title, {"edits": [out, into]}),)


def _is_simple(code: CodeCell) -> bool:
    """Whether a cell holds nothing but plain values: such a cell can be the parameters cell."""
    if code.module is None or code.magics or code.cell_magics or is_parameters(code):
        return False
    return all(
        isinstance(statement, ast.Assign | ast.AnnAssign)
        and isinstance(
            statement.value, ast.Constant | ast.List | ast.Tuple | ast.Dict | ast.UnaryOp
        )
        and not any(isinstance(n, ast.Name | ast.Call) for n in ast.walk(statement.value))
        for statement in code.module.body
    )


def _statement(code: CodeCell, line: int) -> ast.stmt | None:
    body = code.module.body if code.module else []
    return next(
        (node for node in body if node.lineno <= line <= (node.end_lineno or node.lineno)), None
    )


def _lines_of(code: CodeCell, statement: ast.stmt) -> list[str]:
    """A statement's lines; nothing where another one shares them."""
    module = code.module
    first, last = statement.lineno, statement.end_lineno or statement.lineno
    others = [node for node in (module.body if module else []) if node is not statement]
    if any(node.lineno <= last and (node.end_lineno or node.lineno) >= first for node in others):
        return []
    return code.lines[first - 1 : last]
