"""Rules: nobody sits in front of a scheduled run, and it has no screen."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from dagbook.preflight.doings import Act
from dagbook.preflight.edits import lines_edit
from dagbook.preflight.finding import Fix, NightFinding, Severity
from dagbook.preflight.reading import CodeCell, Magic, Reading
from dagbook.preflight.situation import Situation

KEYBOARD = "asks-at-keyboard"
DEBUGGER = "debugger"
SCREEN = "needs-screen"
WIDGETS = "interactive-plots"
BROWSER = "needs-browser"

_WINDOWS = frozenset(
    [
        "qt",
        "qt4",
        "qt5",
        "qt6",
        "tk",
        "gtk",
        "gtk3",
        "gtk4",
        "wx",
        "osx",
        "qtagg",
        "qt5agg",
        "qt4agg",
        "tkagg",
        "gtkagg",
        "gtk3agg",
        "gtk4agg",
        "wxagg",
        "macosx",
        "qtcairo",
        "gtk3cairo",
        "tkcairo",
    ]
)
_LIVE = frozenset({"notebook", "nbagg", "widget", "ipympl", "module://ipympl.backend_nbagg"})
_OF_A_PAGE = re.compile(r"\b(?:Jupyter|IPython)\.(?:notebook|keyboard_manager|toolbar)\b")
_DEBUGGERS = frozenset({"set_trace", "embed", "post_mortem", "pm", "runcall"})
_THEIR_MODULES = frozenset({"pdb", "ipdb", "pudb", "IPython", "debugger", "Pdb", "debug"})


def interactive_findings(reading: Reading, situation: Situation) -> Iterator[NightFinding]:
    """Find what waits for somebody, or draws on a screen."""
    if reading.language != "python":
        return
    own_input = any(
        event.act is Act.BIND and event.name == "input"
        for code in reading.at_night
        for event in code.doings.events
    )
    for code in reading.at_night:
        if code.has_error_tag:
            continue
        if "input" in code.source and not own_input:
            yield from _asks(code)
        for magic in code.magics:
            yield from _magic(code, magic)
        is_script = any(name in ("javascript", "js") for name, _ in code.cell_magics)
        if is_script and _OF_A_PAGE.search(code.source):
            yield _in_browser(code, 1)
        if code.module is not None and _may_call(code.source):
            imported = _debuggers_imported(code.module)
            for node in ast.walk(code.module):
                if isinstance(node, ast.Call):
                    yield from _call(code, node, imported)


def _asks(code: CodeCell) -> Iterator[NightFinding]:
    """Find `input()`, called in every run or inside something that may be called."""
    doings = code.doings
    called = [e for e in doings.events if e.act is Act.CALL and e.name == "input"]
    inside = [e for e in doings.deferred if e.name == "input"]
    for event in (*called, *inside):
        if not event.is_guarded:
            certain = event in called and event.is_certain
            severity = Severity.WILL_FAIL if certain else Severity.MAY_SURPRISE
            text = (
                "`input()` asks at the keyboard, and at night nobody answers: make the value a "
                "parameter"
            )
            yield code.finding(KEYBOARD, severity, event.line, text)


def _may_call(source: str) -> bool:
    words = ("set_trace", "breakpoint", "embed", "use(", "switch_backend", "webbrowser")
    return any(word in source for word in (*words, "Javascript", "post_mortem"))


def _magic(code: CodeCell, magic: Magic) -> Iterator[NightFinding]:
    if magic.sign == "!":
        return
    words = magic.rest.split()
    if magic.name in ("matplotlib", "pylab") and words:
        backend = words[0].lower()
        if backend in _WINDOWS:
            yield _window(code, magic.line, f"%{magic.name} {words[0]}", _inline(code, magic))
        elif backend in _LIVE:
            text = (
                f"`%{magic.name} {words[0]}` makes plots that live in an open notebook; of a run, "
                "they show a picture at most: use `%matplotlib inline`"
            )
            fixes = _inline(code, magic)
            yield code.finding(WIDGETS, Severity.MAY_SURPRISE, magic.line, text, fixes)
    elif magic.name == "pdb" and words[:1] not in (["off"], ["0"]):
        text = (
            "`%pdb` waits at a debugger after an error, and nobody is there, so a run hides what "
            "went wrong: take it out"
        )
        yield code.finding(DEBUGGER, Severity.MAY_SURPRISE, magic.line, text)


def _inline(code: CodeCell, magic: Magic) -> tuple[Fix, ...]:
    line = code.lines[magic.line - 1]
    if magic.indented or magic.last != magic.line or not line.lstrip().startswith("%"):
        return ()
    edit = lines_edit(code.index, code.cell.id, magic.line, [line], ["%matplotlib inline"])
    return (Fix("line", "Use `%matplotlib inline`", {"edits": [edit]}),)


def _call(code: CodeCell, node: ast.Call, imported: set[str]) -> Iterator[NightFinding]:
    func = node.func
    if isinstance(func, ast.Name):
        if func.id == "breakpoint" or func.id in imported:
            yield _stops(code, node.lineno, f"{func.id}()")
        elif func.id == "Javascript" and _is_of_a_page(node):
            yield _in_browser(code, node.lineno)
    elif isinstance(func, ast.Attribute):
        owner = ast.unparse(func.value)
        last = owner.replace("()", "").split(".")[-1]
        if func.attr in _DEBUGGERS and last in _THEIR_MODULES:
            yield _stops(code, node.lineno, f"{owner}.{func.attr}()")
        elif func.attr in ("use", "switch_backend") and last in ("matplotlib", "mpl", "plt"):
            backend = node.args[0] if node.args else None
            name = backend.value if isinstance(backend, ast.Constant) else None
            if isinstance(name, str) and name.lower() in _WINDOWS:
                yield _window(code, node.lineno, f"{owner}.{func.attr}({name!r})", ())
        elif last == "webbrowser" and func.attr.startswith("open"):
            text = f"`{owner}.{func.attr}()` opens a page for nobody: leave it out at night"
            yield code.finding(BROWSER, Severity.MAY_SURPRISE, node.lineno, text)
        elif func.attr == "Javascript" and _is_of_a_page(node):
            yield _in_browser(code, node.lineno)


def _debuggers_imported(module: ast.Module) -> set[str]:
    return {
        alias.asname or alias.name
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom)
        and node.module in ("pdb", "ipdb", "pudb", "IPython", "IPython.core.debugger")
        for alias in node.names
        if alias.name in _DEBUGGERS
    }


def _is_of_a_page(node: ast.Call) -> bool:
    return any(
        isinstance(arg, ast.Constant) and _OF_A_PAGE.search(str(arg.value)) for arg in node.args
    )


def _stops(code: CodeCell, line: int, what: str) -> NightFinding:
    text = f"`{what}` waits for somebody at a debugger, and nobody is there: take it out"
    return code.finding(DEBUGGER, Severity.WILL_FAIL, line, text)


def _window(code: CodeCell, line: int, what: str, fixes: tuple[Fix, ...]) -> NightFinding:
    text = f"`{what}` opens windows, and a scheduled run has no screen: use `%matplotlib inline`"
    return code.finding(SCREEN, Severity.WILL_FAIL, line, text, fixes)


def _in_browser(code: CodeCell, line: int) -> NightFinding:
    text = "this JavaScript acts on an open notebook, and no browser is open in a scheduled run"
    return code.finding(BROWSER, Severity.MAY_SURPRISE, line, text)
