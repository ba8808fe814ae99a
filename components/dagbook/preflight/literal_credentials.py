"""Credentials that stand in a notebook's own text, where everybody who opens it reads them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from dagbook.notebook import Notebook
from dagbook.preflight.credential_patterns import (
    find_known,
    looks_like_example,
    looks_made_up,
    may_name_credential,
    names_credential,
)
from dagbook.preflight.finding import Fix, NightFinding, Severity
from dagbook.preflight.given_environment import GivenEnvironment
from dagbook.preflight.parsed_cells import ParsedCell, parsed_cells

LITERAL_CREDENTIAL = "literal-credential"

_SHORTEST = 6
#: `%env NAME=value`, `export NAME=value` in a shell line.
_MAGIC = re.compile(r"[ \t]*%(?:env|set_env)[ \t]+(\w+)[= \t]\s*([^\s$].*)$")
_EXPORT = re.compile(r"\b(\w+)=(?:\"([^\"$]+)\"|'([^']+)'|([^\s\"'$;&|]+))")
#: `name = "value"`, `name <- 'value'`, `name: "value"`, where no parser of ours reads the language.
_ASSIGNED = re.compile(
    r"[\"'`]?\b([A-Za-z][\w.]*)[\"'`]?[ \t]*(?:<-|=|:)[ \t]*([\"'])([^\"'\n]+)\2"
)


class _Literal(NamedTuple):
    """A place, and what is said of it: the name it is given, or what its shape says it is."""

    line: int
    name: str | None
    what: str | None = None


def literal_findings(
    notebook: Notebook,
    given: GivenEnvironment | None = None,
    *,
    cells: Sequence[ParsedCell] | None = None,
) -> list[NightFinding]:
    """Find literal credentials: of a known shape in any cell, called one in cells of code.

    Skipped cells and text count as well: a notebook that is read by others gives them away all
    the same. No text of a finding holds any part of one.

    Args:
        notebook: read statically.
        given: the connections that may be offered in their place.
        cells: its code, where somebody has parsed it already.
    """
    parsed = {
        each.cell.index: each for each in (parsed_cells(notebook) if cells is None else cells)
    }
    findings = []
    for cell in notebook.cells:
        by_line: dict[int, _Literal] = {}
        for known in find_known(cell.source):
            line = cell.source.count("\n", 0, known.start) + 1
            by_line.setdefault(line, _Literal(line, None, known.what))
        if cell.cell_type == "code" and _may_hold(cell.source):
            code = parsed.get(cell.index) or _skipped(notebook, cell.index)
            for literal in _called_credentials(code):
                before = by_line.get(literal.line)
                by_line[literal.line] = (
                    literal if before is None else before._replace(name=before.name or literal.name)
                )
        findings += [
            NightFinding(
                LITERAL_CREDENTIAL,
                Severity.MAY_SURPRISE,
                cell.index,
                cell.id,
                line,
                _text(literal),
                _fixes(literal, given),
                is_secret=True,
            )
            for line, literal in sorted(by_line.items())
        ]
    return findings


#: Without one of these there is no name that calls anything a credential.
_HINT = re.compile(r"pass|pwd|pw\b|secret|token|key|auth|login|credential|pat\b", re.IGNORECASE)


def _may_hold(source: str) -> bool:
    return _HINT.search(source) is not None


def _skipped(notebook: Notebook, index: int) -> ParsedCell:
    from dagbook.cell_source import parse_python

    cell = notebook.cells[index]
    tree = parse_python(cell.source) if notebook.language == "python" else None
    return ParsedCell(cell, tree, language=notebook.language)


def _called_credentials(code: ParsedCell) -> Iterator[_Literal]:
    for magic in code.magics:
        line = magic.first + 1
        if match := _MAGIC.match(magic.text):
            if _is_credential(match[1], match[2].strip()):
                yield _Literal(line, match[1])
        elif "!" in magic.text:
            yield from (_Literal(line, name) for name in _exported(magic.text))
    if code.tree is not None:
        yield from _in_python(code.tree)
        return
    for number, text in enumerate(code.cell.source.split("\n"), 1):
        if code.language == "bash":
            yield from (_Literal(number, name) for name in _exported(text))
        else:
            for match in _ASSIGNED.finditer(text):
                if _is_credential(match[1], match[3]):
                    yield _Literal(number, match[1])


def _exported(text: str) -> Iterator[str]:
    for match in _EXPORT.finditer(text):
        if _is_credential(match[1], match[2] or match[3] or match[4]):
            yield match[1]


def _in_python(tree: ast.Module) -> Iterator[_Literal]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign):
            for target in node.targets:
                yield from _assigned(target, node.value)
        elif isinstance(node, ast.AnnAssign | ast.NamedExpr) and node.value is not None:
            yield from _assigned(node.target, node.value)
        elif isinstance(node, ast.Dict):
            for key, value in zip(node.keys, node.values, strict=True):
                yield from _literal(_constant(key), value)
        elif isinstance(node, ast.Call):
            yield from _called(node)
        elif isinstance(node, ast.arguments):
            positional = [*node.posonlyargs, *node.args]
            for argument, default in zip(
                positional[len(positional) - len(node.defaults) :], node.defaults, strict=True
            ):
                yield from _literal(argument.arg, default)
            for argument, keyword in zip(node.kwonlyargs, node.kw_defaults, strict=True):
                yield from _literal(argument.arg, keyword)


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[_Literal]:
    if isinstance(target, ast.Tuple | ast.List):
        if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
            for each, its_value in zip(target.elts, value.elts, strict=True):
                yield from _assigned(each, its_value)
        return
    name = None
    if isinstance(target, ast.Name):
        name = target.id
    elif isinstance(target, ast.Attribute):
        name = target.attr
    elif isinstance(target, ast.Subscript):
        name = _constant(target.slice)
    yield from _literal(name, value)


def _called(node: ast.Call) -> Iterator[_Literal]:
    for keyword in node.keywords:
        yield from _literal(keyword.arg, keyword.value)
        if keyword.arg == "auth" and isinstance(keyword.value, ast.Tuple):
            values = [_constant(element) for element in keyword.value.elts]
            if len(values) == 2 and all(values) and _is_credential("password", str(values[1])):
                yield _Literal(keyword.value.elts[1].lineno, "auth")
    called = node.func.attr if isinstance(node.func, ast.Attribute) else ""
    if called in ("setdefault", "putenv") and len(node.args) == 2:
        yield from _literal(_constant(node.args[0]), node.args[1])


def _literal(name: str | None, value: ast.expr | None) -> Iterator[_Literal]:
    text = _constant(value)
    if name is not None and value is not None and text is not None and _is_credential(name, text):
        yield _Literal(value.lineno, name)


def _constant(node: ast.expr | None) -> str | None:
    if not isinstance(node, ast.Constant):
        return None
    if isinstance(node.value, bytes):
        return node.value.decode("latin-1")
    return node.value if isinstance(node.value, str) else None


def _is_credential(name: str, value: str) -> bool:
    if len(value) < _SHORTEST or looks_like_example(value):
        return False
    return names_credential(name) or (may_name_credential(name) and looks_made_up(value))


def _text(literal: _Literal) -> str:
    if literal.what is not None:
        holds = f"holds what looks like {literal.what}"
    else:
        holds = f"gives `{literal.name}` a credential as text"
    variable = literal.name.upper() if literal.name and literal.name.isidentifier() else "NAME"
    return (
        f"{holds}, for everybody who opens the notebook or one of its runs: read it from a "
        f'connection, `os.environ["{variable}"]`, and change the credential'
    )


def _fixes(literal: _Literal, given: GivenEnvironment | None) -> tuple[Fix, ...]:
    if given is None or literal.name is None:
        return ()
    offers = given.offers.get(literal.name) or given.offers.get(literal.name.upper()) or ()
    return tuple(
        Fix(
            "connection",
            f"Use the connection {offer.connection}",
            {"key": offer.key, "connection": offer.connection},
        )
        for offer in offers
    )
