"""Which variables a `metrics` cell assigns, found without running it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from dagbook.cell_source import logical_lines, other_language, parse_python, split_cell_magics

if TYPE_CHECKING:
    import ast

METRIC_LANGUAGES = ("python", "R")

_R_TARGET = re.compile(r"[ \t]*([A-Za-z][\w.]*)[ \t]*(?:<<?-|=(?!=))[ \t]*")
_R_RIGHTWARD = re.compile(r"->>?[ \t]*([A-Za-z][\w.]*)[ \t]*$")
_R_CODE = re.compile(r"#[^\n]*|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'", re.DOTALL)


def as_measurement(value: Any) -> float | None:
    """The number that production would record of a variable's value; None where it is none.

    The runner asks a kernel the same without any help of ours, in `execution/metrics.py`.
    """
    if isinstance(value, bool):
        return None
    if not isinstance(value, int | float):
        kind = getattr(getattr(value, "dtype", None), "kind", "")
        if getattr(value, "shape", None) != () or str(kind) not in ("i", "u", "f"):
            return None
    try:
        return float(value)
    except Exception:  # whatever an object of the author's raises
        return None


def keeps_nothing(source: str) -> str | None:
    """The cell magic, as `bash` or `timeit`, that leaves no variables behind; None without."""
    if "timeit" in split_cell_magics(source)[0]:
        return "timeit"
    return other_language(source)


def assigned_names(source: str, language: str) -> tuple[str, ...]:
    """The names a cell assigns at its top level, in order; no loop variable, no `_name`.

    Args:
        source: the cell's text as the kernel is sent it.
        language: one of `METRIC_LANGUAGES`.
    """
    names = _in_r(source) if language == "R" else _in_python(source)
    return tuple(dict.fromkeys(name for name in names if not name.startswith(("_", "."))))


def _in_python(source: str) -> list[str]:
    import ast

    module = parse_python(source)
    if module is None:
        return []
    names: list[str] = []
    passing: set[str] = set()  # loop variables, and what is deleted again
    for node in _top_level(module):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                names.extend(_plain_names(target))
        elif isinstance(node, ast.AnnAssign):
            names.extend(_plain_names(node.target) if node.value is not None else ())
        elif isinstance(node, ast.AugAssign | ast.NamedExpr):
            names.extend(_plain_names(node.target))
        elif isinstance(node, ast.For | ast.AsyncFor):
            passing.update(_plain_names(node.target))
        elif isinstance(node, ast.Delete):
            for target in node.targets:
                passing.update(_plain_names(target))
    return [name for name in names if name not in passing]


def _top_level(module: ast.Module) -> Iterator[ast.AST]:
    """Every node that runs in the notebook's own names, in the order of the text."""
    import ast

    own_names = (
        *(ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda),
        *(ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp),
    )
    # A stack and not recursion: a generated cell may be nested deeper than Python allows.
    stack: list[ast.AST] = [module]
    while stack:
        node = stack.pop()
        if isinstance(node, own_names):
            continue
        yield node
        stack.extend(reversed(list(ast.iter_child_nodes(node))))


def _plain_names(target: ast.AST) -> Iterator[str]:
    import ast

    if isinstance(target, ast.Name):
        yield target.id
    elif isinstance(target, ast.Tuple | ast.List):
        for element in target.elts:
            yield from _plain_names(element)


def _in_r(source: str) -> list[str]:
    names: list[str] = []
    for line in logical_lines(source, "R"):
        code = _R_CODE.sub(lambda match: "" if match[0][0] == "#" else '""', line.text)
        for statement in _split_at_top(code):
            position = 0
            while match := _R_TARGET.match(statement, position):
                names.append(match[1])
                position = match.end()
            if match := _R_RIGHTWARD.search(statement):
                names.append(match[1])
    return names


def _split_at_top(code: str) -> list[str]:
    """Split R code at the semicolons outside its brackets."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(code):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == ";" and depth <= 0:
            parts.append(code[start:position])
            start = position + 1
    return [*parts, code[start:]]
