"""Rules: what ends a run too early, or keeps it from ending."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from dagbook.preflight.finding import NightFinding, Severity
from dagbook.preflight.reading import CodeCell, Reading, quoted
from dagbook.preflight.role_fixes import skip_at_night
from dagbook.preflight.situation import Situation

EXITS = "ends-early"
ENDLESS = "never-ends"

#: IPython's: the kernel stops a moment later, while the next cell runs.
_ENDS_KERNEL = frozenset({"exit", "quit"})
_EXITS = frozenset({"sys.exit", "os._exit"})
#: What a process exits with that is well.
_GOOD = (None, 0, "")


def ending_findings(reading: Reading, situation: Situation) -> Iterator[NightFinding]:
    """Find cells that end the kernel before the last one, and loops that nothing leaves."""
    if reading.language != "python":
        return
    cells = [code for code in reading.at_night if not code.is_blank]
    for number, code in enumerate(cells):
        if code.module is None or code.has_error_tag:
            continue
        below = cells[number + 1 :]
        for statement in code.module.body:
            exit_ = _exit(statement, is_last=not below)
            if exit_ is not None:
                fixes = () if code.cell.role is not None else (skip_at_night(code),)
                yield code.finding(EXITS, exit_.severity, statement.lineno, exit_.text, fixes)
            if isinstance(statement, ast.While) and _is_endless(statement):
                yield _endless(code, statement)


class _Exit(NamedTuple):
    """What comes of a statement that ends the run."""

    severity: Severity
    text: str


def _exit(statement: ast.stmt, *, is_last: bool) -> _Exit | None:
    """What comes of a statement that does nothing but end the run; None for others."""
    node: ast.expr | None = None
    if isinstance(statement, ast.Raise):
        node = statement.exc
    elif isinstance(statement, ast.Expr):
        node = statement.value
    if node is None:
        return None
    call = node if isinstance(node, ast.Call) else None
    name = ast.unparse(node.func if isinstance(node, ast.Call) else node)
    if isinstance(statement, ast.Raise):
        if name != "SystemExit":
            return None
        words = "raise SystemExit"
    elif name in _ENDS_KERNEL or (name in _EXITS and call is not None):
        words = f"{name}()" if call is not None else name
    else:
        return None
    if name == "os._exit":
        text = f"`{words}` ends the kernel, and the run fails: take it out, or skip this cell"
        return _Exit(Severity.WILL_FAIL, f"{text} at night")
    if name in _ENDS_KERNEL and not is_last:
        text = (
            f"`{words}` ends the kernel a moment later, while the cells below run: take it out, or "
            "skip this cell"
        )
        return _Exit(Severity.MAY_SURPRISE, f"{text} at night")
    code = call.args[0] if call is not None and call.args else ast.Constant(0)
    if name not in _ENDS_KERNEL and isinstance(code, ast.Constant) and code.value not in _GOOD:
        text = f"`{words}` with `{quoted(str(code.value))}` makes the run fail: take it out, or skip this cell"
        return _Exit(Severity.WILL_FAIL, f"{text} at night")
    if is_last:
        return None
    text = f"`{words}` ends the run here, and no cell below is run: take it out, or skip this cell"
    return _Exit(Severity.MAY_SURPRISE, f"{text} at night")


def _is_endless(loop: ast.While) -> bool:
    """Whether nothing but an error can leave a loop."""
    if not (isinstance(loop.test, ast.Constant) and loop.test.value):
        return False
    waiting: list[tuple[ast.AST, bool]] = [(child, True) for child in loop.body]
    while waiting:
        node, is_own = waiting.pop()
        if isinstance(node, ast.Break) and is_own:
            return False
        if isinstance(node, ast.Return | ast.Raise | ast.Yield | ast.Await | ast.Assert):
            return False
        if isinstance(node, ast.Call) and (
            ast.unparse(node.func)
            in _EXITS | _ENDS_KERNEL | {"next", "os.kill", "os.execv", "stop"}
        ):
            return False
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.While | ast.For | ast.AsyncFor):
            waiting.extend((child, False) for child in node.body)
            waiting.extend((child, is_own) for child in node.orelse)
        else:
            waiting.extend((child, is_own) for child in ast.iter_child_nodes(node))
    return True


def _endless(code: CodeCell, loop: ast.While) -> NightFinding:
    text = (
        "nothing leaves this loop, so the run goes on until its time limit ends it: give it an "
        "end, or skip the cell at night"
    )
    fixes = () if code.cell.role is not None else (skip_at_night(code),)
    return code.finding(ENDLESS, Severity.WILL_FAIL, loop.lineno, text, fixes)
