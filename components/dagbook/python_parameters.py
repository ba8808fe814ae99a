"""Reading a Python parameters cell: annotations, literals, choices and comments, never run."""

from __future__ import annotations

import ast
import datetime
import io
import re
import tokenize
from collections.abc import Iterator
from typing import Any, NamedTuple

from dagbook.cell_source import parse_python, plain_python, why_not_python
from dagbook.errors import DagbookError
from dagbook.first_line import find_role_line
from dagbook.parameters import Parameter, heads_group, joined_help
from dagbook.python_annotations import (
    LITERAL_TYPES,
    evaluated,
    is_known,
    read_annotation,
)


class _Declaration(NamedTuple):
    """One name a statement declares, with its annotation and value where written."""

    name: str
    annotation: ast.expr | None
    value: ast.expr | None


def read_python_parameters(source: str, where: str) -> tuple[Parameter, ...]:
    """Read a Python parameters cell; see `dagbook.parameters.read_parameters`."""
    module = parse_python(source)
    if module is None:
        line, reason = why_not_python(source)
        at = f", line {line}" if line else ""
        raise DagbookError(f"{where}{at}: the parameters cell is not valid Python ({reason}).")
    text = plain_python(source)
    comments = _comments(text)
    role = find_role_line(source, "python")
    if role is not None:
        comments.pop(role.number + 1, None)
    found: dict[str, Parameter] = {}
    for statement in module.body:
        type_comment, help_ = _said(statement, comments, text.split("\n"))
        for declaration in _declarations(statement):
            if declaration.name.startswith("_"):
                continue
            earlier = found.get(declaration.name)
            known_help = help_ or (earlier.help if earlier else "")
            found[declaration.name] = _parameter(
                declaration, statement, type_comment, known_help, text
            )
    return tuple(found.values())


def _declarations(statement: ast.stmt) -> Iterator[_Declaration]:
    if isinstance(statement, ast.AnnAssign):
        if isinstance(statement.target, ast.Name):
            yield _Declaration(statement.target.id, statement.annotation, statement.value)
    elif isinstance(statement, ast.Assign):
        for target in statement.targets:
            if isinstance(target, ast.Name):
                yield _Declaration(target.id, None, statement.value)
            elif isinstance(target, ast.Tuple | ast.List):
                yield from _unpacked(target, statement.value)


def _unpacked(target: ast.Tuple | ast.List, value: ast.expr) -> Iterator[_Declaration]:
    """The names of `a, b = 1, 2`, each with its own value where the two sides match."""
    values: list[ast.expr] = []
    if isinstance(value, ast.Tuple | ast.List) and len(value.elts) == len(target.elts):
        values = value.elts
    for number, element in enumerate(target.elts):
        if isinstance(element, ast.Name):
            yield _Declaration(element.id, None, values[number] if values else value)


def _parameter(
    declaration: _Declaration,
    statement: ast.stmt,
    type_comment: str | None,
    help_: str,
    source: str,
) -> Parameter:
    annotation, value = declaration.annotation, declaration.value
    written = None if annotation is None else ast.get_source_segment(source, annotation)
    if annotation is None and type_comment is not None:
        annotation, written = ast.Constant(type_comment), type_comment
    declared = read_annotation(annotation)
    default, known = None, False
    type_ = declared.type
    if value is not None:
        literal = evaluated(value)
        known = is_known(literal)
        default = _as_json(literal) if known else None
        if annotation is None and known:
            type_ = LITERAL_TYPES.get(type(literal).__name__, "any")
    return Parameter(
        name=declaration.name,
        type=type_,
        annotation=written,
        default=default,
        default_known=known,
        default_text=None if value is None else ast.get_source_segment(source, value),
        required=value is None,
        nullable=declared.nullable or (known and default is None),
        choices=declared.choices,
        help=help_,
        line=statement.lineno,
    )


def _as_json(value: Any) -> Any:
    """A literal as JSON has it, so that forms and schemas can hold it."""
    if isinstance(value, datetime.date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    return value


def _comments(text: str) -> dict[int, str]:
    """Each line's comment without its sign, by line from 1."""
    comments: dict[int, str] = {}
    if "#" not in text:
        return comments
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                comments[token.start[0]] = token.string.lstrip("#").strip()
    except (tokenize.TokenError, SyntaxError):
        pass  # what was read so far is only help
    return comments


def _said(
    statement: ast.stmt, comments: dict[int, str], lines: list[str]
) -> tuple[str | None, str]:
    """The type and the help that the comments behind or above a statement give it."""
    first, last = statement.lineno, statement.end_lineno or statement.lineno
    type_comment, help_ = _split_type_comment(comments.get(last) or comments.get(first) or "")
    if not help_ and not heads_group(lines, last, "#"):
        start = first
        while start - 1 in comments and lines[start - 2].startswith("#"):
            start -= 1
        help_ = joined_help([comments[number] for number in range(start, first)])
    return type_comment, help_


def _split_type_comment(comment: str) -> tuple[str | None, str]:
    """Split papermill's `type: list[int] what it means` into the type and the help."""
    match = re.match(r"type:\s*", comment)
    if match is None:
        return None, comment
    words = comment[match.end() :].split(" ")
    type_ = words.pop(0)
    while words and type_.count("[") > type_.count("]"):
        type_ += " " + words.pop(0)
    help_ = " ".join(words).strip().lstrip("# ")
    return (None if type_.startswith("ignore") else type_ or None), help_
