"""Rule: a scheduled run installs nothing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from dagbook.preflight.edits import insert_edit, lines_edit
from dagbook.preflight.finding import Fix, NightFinding, Severity
from dagbook.preflight.reading import CodeCell, Reading, is_parameters
from dagbook.preflight.role_fixes import skip_at_night
from dagbook.preflight.situation import Situation

INSTALLS = "installs-packages"

_INSTALLER = (
    r"(?:sudo\s+(?:-\w+\s+)*)?(?:\S*/)?(?:"
    r"(?:\{?sys\.executable\}?|\S*python[\d.]*|py)\"?\s+-m\s+(?:pip|conda)|uv\s+pip|pip[\d.]*"
    r"|conda|mamba|micromamba|apt|apt-get|yum|dnf|apk|brew|npm|poetry|pipx|easy_install)"
)
_COMMAND = re.compile(
    rf"[\"'{{]*{_INSTALLER}(?:\s+-{{1,2}}[\w=\-]+)*\s+"
    r"(?:install|add|uninstall|remove|update|upgrade|env\s+update)\b"
)
_R_COMMAND = re.compile(
    r"\b(?:install\.packages|install_github|install_version|install_local|install_gitlab|install_cran"
    r"|BiocManager::install|pak::pkg_install|renv::restore)\s*\("
)
_JULIA_COMMAND = re.compile(r"\bPkg\.(?:add|update|instantiate|build)\s*\(|^\s*\]\s*add\b")
_RUNNERS = frozenset(
    [
        "run",
        "call",
        "check_call",
        "check_output",
        "Popen",
        "system",
        "popen",
        "getoutput",
        "getstatusoutput",
    ]
)
_TEXT = (
    "installs packages in every run: tomorrow's may be another version, and without a network "
    "the run fails. Have them in the environment, and leave this out at night"
)


def install_findings(reading: Reading, situation: Situation) -> Iterator[NightFinding]:
    """Find what installs packages."""
    for code in reading.at_night:
        if installs := install_lines(code):
            yield code.finding(
                INSTALLS, Severity.MAY_SURPRISE, installs[0], _TEXT, _fixes(code, installs)
            )


def install_lines(code: CodeCell) -> list[int]:
    """The lines of a cell that install something, counted from 1."""
    language = code.cell.language
    if language in ("R", "julia"):
        pattern = _R_COMMAND if language == "R" else _JULIA_COMMAND
        return [
            number
            for number, line in enumerate(code.lines, 1)
            if pattern.search(line.split("#")[0])
        ]
    if language == "bash":
        return [n for n, line in enumerate(code.lines, 1) if _COMMAND.match(line.strip())]
    found = [magic.line for magic in code.magics if _installs(magic.sign, magic.text)]
    branches: list[range] = []
    if code.module is not None and ("install" in code.source or "Pkg" in code.source):
        calls = [node for node in ast.walk(code.module) if isinstance(node, ast.Call)]
        found += [call.lineno for call in calls if _calls_installer(call)]
    if found and code.module is not None and "if " in code.source:
        # Most such branches ask for another place, as `if "google.colab" in sys.modules`.
        branches = [_span(node) for node in ast.walk(code.module) if isinstance(node, ast.If)]
    return sorted({line for line in found if not any(line in branch for branch in branches)})


def _installs(sign: str, text: str) -> bool:
    # `!cd x && pip install y` installs as well.
    parts = [text] if sign == "%" else re.split(r"&&|\|\||;", text)
    return any(_COMMAND.match(part.strip()) for part in parts)


def _calls_installer(node: ast.Call) -> bool:
    if not node.args:
        return False
    name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
    if name == "main" and "pip" in ast.unparse(node.func):
        return True
    if name in ("run_line_magic", "run_cell_magic"):
        said = [str(arg.value) for arg in node.args[:2] if isinstance(arg, ast.Constant)]
        return _COMMAND.match(" ".join(said)) is not None
    if name not in _RUNNERS:
        return False
    command = node.args[0]
    if isinstance(command, ast.List | ast.Tuple):
        words = [
            str(word.value)
            if isinstance(word, ast.Constant)
            else "python"
            if ast.unparse(word) == "sys.executable"
            else "x"
            for word in command.elts
        ]
        return _COMMAND.match(" ".join(words)) is not None
    if isinstance(command, ast.JoinedStr):
        return _COMMAND.match(ast.unparse(command).lstrip("f'\"")) is not None
    return isinstance(command, ast.Constant) and _COMMAND.match(str(command.value)) is not None


def _fixes(code: CodeCell, installs: list[int]) -> tuple[Fix, ...]:
    """Skip the cell where it does nothing else; else set the lines apart in a cell of their own."""
    if code.cell.role is not None or is_parameters(code):
        return ()
    if _does_nothing_else(code, installs):
        return (skip_at_night(code),)
    ranges = {
        magic.line: magic.last
        for magic in code.magics
        if not magic.indented and code.lines[magic.line - 1].startswith(("%", "!"))
    }
    if code.other_language is not None or any(number not in ranges for number in installs):
        return ()  # the lines are part of something
    edits = []
    for number in reversed(installs):
        lines = code.lines[number - 1 : ranges[number]]
        edits.append(lines_edit(code.index, code.cell.id, number, lines, []))
    apart = "\n".join(
        line for number in installs for line in code.lines[number - 1 : ranges[number]]
    )
    edits.append(insert_edit(code.index, code.cell.id, apart, tag="skip"))
    title = "Put it into a cell of its own, skipped at night"
    return (Fix("role", title, {"edits": edits}),)


def _does_nothing_else(code: CodeCell, installs: list[int]) -> bool:
    """Whether a cell only installs, and imports what it takes for that."""
    if code.cell.language != "python":
        others = [line for number, line in enumerate(code.lines, 1) if number not in installs]
        return not any(line.split("#")[0].strip() for line in others)
    if any(magic.line not in installs for magic in code.magics):
        return False
    if code.module is None:
        return code.other_language is not None
    for statement in code.module.body:
        is_import = isinstance(statement, ast.Import) and all(
            alias.name in ("sys", "os", "subprocess", "pip") for alias in statement.names
        )
        is_install = isinstance(statement, ast.Expr | ast.Pass) and any(
            number in installs for number in _span(statement)
        )
        if not (is_import or is_install or isinstance(statement, ast.Pass)):
            return False
    return True


def _span(statement: ast.stmt) -> range:
    return range(statement.lineno, (statement.end_lineno or statement.lineno) + 1)
