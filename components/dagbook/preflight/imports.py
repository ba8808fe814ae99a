"""Rules: what a notebook imports can be imported where it runs."""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from dagbook.notebook import Notebook
from dagbook.preflight.distributions import distribution_of
from dagbook.preflight.finding import NightFinding, Severity
from dagbook.preflight.installs import install_lines
from dagbook.preflight.project_files import find_modules
from dagbook.preflight.reading import CodeCell, Reading
from dagbook.preflight.situation import Situation

UNKNOWN = "unknown-import"
LOCAL = "missing-local-module"

_CATCHING = frozenset({"ImportError", "ModuleNotFoundError", "Exception", "BaseException"})


class _Import(NamedTuple):
    """One import statement; uncertain where it stands in a branch or function."""

    dotted: str
    line: int
    is_certain: bool
    level: int


def import_findings(reading: Reading, situation: Situation) -> Iterator[NightFinding]:
    """Find imports of what is neither installed nor lies where a run looks for modules."""
    if reading.language != "python":
        return
    told: set[str] = set()
    extending, is_cloned = _extends_path(reading)
    installs = any(install_lines(code) for code in reading.at_night)
    for code in reading.at_night:
        if code.module is None or code.has_error_tag:
            continue
        for found in _imports(code.module.body, True):
            top = found.dotted.split(".")[0]
            if found.level:
                text = (
                    f"`from {'.' * found.level}{found.dotted}` needs a package around it, and a "
                    "notebook has none: name the module in full"
                )
                yield code.finding(LOCAL, _severity(found), found.line, text)
            elif top not in told and not _is_made(reading, top):
                extended = is_cloned or any(
                    index <= code.index or not found.is_certain for index in extending
                )
                finding = _finding(code, found, situation, extended, installs)
                if finding is not None:
                    told.add(top)
                    yield finding


def imported_names(notebook: Notebook) -> frozenset[str]:
    """The top-level names that a notebook imports at night, but for the standard library's."""
    found = {
        found.dotted.split(".")[0]
        for code in Reading(notebook).at_night
        if code.module is not None and "import" in code.source
        for found in _imports(code.module.body, True)
        if not found.level
    }
    return frozenset(found) - sys.stdlib_module_names


def _finding(
    code: CodeCell, found: _Import, situation: Situation, extended: bool, installs: bool
) -> NightFinding | None:
    top = found.dotted.split(".")[0]
    known = situation.importable
    if top in sys.stdlib_module_names or (known is not None and top in known):
        return None
    roots = [root for root in (situation.folder, situation.project_root) if root is not None]
    if extended or not roots or any(_lies_in(root, top) for root in roots):
        return None
    elsewhere = find_modules(situation.project_root or roots[0], top)
    if elsewhere:
        text = (
            f"`{top}` is {elsewhere[0]}, where a run does not look: put it beside the notebook "
            "or at the project's root"
        )
        if known is None:
            return None  # it may be installed as well
        return code.finding(LOCAL, _severity(found), found.line, text)
    if known is None:
        return None
    severity = Severity.MAY_SURPRISE if installs else _severity(found)
    package = distribution_of(found.dotted)
    remedy = (
        f"`pip install {package}` into the kernel's environment"
        if package is not None
        else f"install it there, or put {top}.py here"
    )
    text = (
        f"`{top}` is neither installed for the notebook's kernel nor a file beside the notebook: "
        f"{remedy}"
    )
    return code.finding(UNKNOWN, severity, found.line, text)


def _severity(found: _Import) -> Severity:
    return Severity.WILL_FAIL if found.is_certain else Severity.MAY_SURPRISE


def _imports(body: list[ast.stmt], certain: bool) -> Iterator[_Import]:
    """The imports that nobody is ready to see fail."""
    for node in body:
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield _Import(alias.name, node.lineno, certain, 0)
        elif isinstance(node, ast.ImportFrom):
            names = "" if node.level else f".{node.names[0].name}"
            yield _Import(f"{node.module or ''}{names}", node.lineno, certain, node.level)
        elif isinstance(node, ast.Try):
            if not any(_catches(handler) for handler in node.handlers):
                yield from _imports(node.body, certain)
                for handler in node.handlers:
                    yield from _imports(handler.body, False)
            yield from _imports(node.orelse, False)
            yield from _imports(node.finalbody, certain)
        elif isinstance(node, ast.If):
            if "TYPE_CHECKING" not in ast.unparse(node.test):
                yield from _imports(node.body, False)
                yield from _imports(node.orelse, False)
        elif isinstance(node, ast.With):
            if "suppress" not in ast.unparse(node.items[0].context_expr):
                yield from _imports(node.body, certain)
        elif isinstance(node, ast.For | ast.While):
            yield from _imports(node.body, certain)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _imports(node.body, False)
        elif isinstance(node, ast.ClassDef):
            yield from _imports(node.body, certain)


def _catches(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    types = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(ast.unparse(type_).split(".")[-1] in _CATCHING for type_ in types)


def _extends_path(reading: Reading) -> tuple[list[int], bool]:
    """The cells that change where modules are looked for; whether modules are fetched anywhere."""
    signs = ("sys.path", "addsitedir", "chdir", "sys.modules", "path_hooks", "meta_path")
    changing = [
        code.index
        for code in reading.at_night
        if any(sign in code.source for sign in signs)
        or any(magic.sign == "%" and magic.name in ("cd", "pushd") for magic in code.magics)
    ]
    # What is fetched lies there the next time, also for the cells above.
    is_cloned = any("git clone" in magic.text for code in reading.at_night for magic in code.magics)
    return changing, is_cloned


def _is_made(reading: Reading, name: str) -> bool:
    """Whether the notebook seems to make the module itself, as `%%writefile ours.py` does."""
    return any(f"{name}.py" in code.source for code in reading.at_night)


def _lies_in(root: Path, name: str) -> bool:
    if (root / f"{name}.py").is_file() or (root / name).is_dir():
        return True
    try:
        # A compiled module: name.cpython-311-x86_64-linux-gnu.so
        with os.scandir(root) as entries:
            return any(
                entry.name.startswith(f"{name}.") and entry.name.endswith((".so", ".pyc", ".pyd"))
                for entry in entries
            )
    except OSError:
        return False
