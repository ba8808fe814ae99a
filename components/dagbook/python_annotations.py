"""What a Python annotation says about a parameter's values, read from the syntax alone."""

from __future__ import annotations

import ast
import datetime
from typing import Any, NamedTuple

from dagbook.cell_source import parse_python


class Declared(NamedTuple):
    """What an annotation says about values."""

    type: str = "any"
    nullable: bool = False
    choices: tuple[Any, ...] | None = None


LITERAL_TYPES = {
    **{word: word for word in ("int", "float", "str", "bool", "list", "dict", "date", "datetime")},
    "tuple": "list",
}
"""Our type for a literal's Python type, by its name."""

_NAMED_TYPES = {
    **LITERAL_TYPES,
    **dict.fromkeys(("List", "Tuple", "Sequence", "Iterable", "Collection"), "list"),
    **dict.fromkeys(("Dict", "Mapping", "MutableMapping"), "dict"),
}
_UNKNOWN = object()


def read_annotation(node: ast.expr | None) -> Declared:
    """Read `int`, `list[str]`, `float | None`, `Literal["a", "b"]`, `"quoted"` and their like."""
    if node is None:
        return Declared()
    if isinstance(node, ast.Constant):
        if node.value is None:
            return Declared(nullable=True)
        return read_annotation(_unquoted(node.value))
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union([node.left, node.right])
    if not isinstance(node, ast.Subscript):
        return Declared(_NAMED_TYPES.get(last_word(node), "any"))
    head = last_word(node.value)
    inside = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if not inside:
        return Declared(_NAMED_TYPES.get(head, "any"))
    if head == "Optional":
        return read_annotation(inside[0])._replace(nullable=True)
    if head == "Union":
        return _union(inside)
    if head == "Literal":
        return _literal(inside)
    if head in ("Annotated", "Final"):
        return read_annotation(inside[0])
    return Declared(_NAMED_TYPES.get(head, "any"))


def _unquoted(text: object) -> ast.expr | None:
    module = parse_python(text) if isinstance(text, str) else None
    body = module.body if module is not None else []
    if len(body) != 1 or not isinstance(body[0], ast.Expr):
        return None
    inner = body[0].value
    return None if isinstance(inner, ast.Constant) and isinstance(inner.value, str) else inner


def last_word(node: ast.expr) -> str:
    """`Literal` of `typing.Literal`; empty where there is none."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _union(members: list[ast.expr]) -> Declared:
    read = [read_annotation(member) for member in members]
    nullable = any(each.nullable for each in read)
    said = [each for each in read if each != Declared(nullable=True)]
    types = {each.type for each in said}
    type_ = types.pop() if len(types) == 1 else "float" if types == {"int", "float"} else "any"
    choices = None
    if said and all(each.choices is not None for each in said):
        choices = tuple(choice for each in said for choice in each.choices or ())
    return Declared(type_, nullable, choices)


def _literal(nodes: list[ast.expr]) -> Declared:
    values = [evaluated(node) for node in nodes]
    if not all(is_known(value) for value in values):
        return Declared()
    choices = tuple(value for value in values if value is not None)
    types = {LITERAL_TYPES.get(type(choice).__name__, "any") for choice in choices}
    return Declared(types.pop() if len(types) == 1 else "any", None in values, choices)


def evaluated(node: ast.expr) -> Any:
    """The value of a literal, of `float("nan")` or of a plain `date(…)`; else an unknown one."""
    try:
        if isinstance(node, ast.Call):
            return _called(node)
        value = ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError, OverflowError):
        return _UNKNOWN
    return value if _in_json(value) else _UNKNOWN


def is_known(value: Any) -> bool:
    """Whether `evaluated` could tell the value."""
    return value is not _UNKNOWN


def _called(node: ast.Call) -> Any:
    makers = {"date": datetime.date, "datetime": datetime.datetime, "float": float}
    maker = makers.get(last_word(node.func))
    if maker is None:
        return _UNKNOWN
    positional = [ast.literal_eval(argument) for argument in node.args]
    named = {str(each.arg): ast.literal_eval(each.value) for each in node.keywords}
    return maker(*positional, **named)


def _in_json(value: Any) -> bool:
    if isinstance(value, list | tuple):
        return all(_in_json(item) for item in value)
    if isinstance(value, dict):
        return all(isinstance(key, str) and _in_json(item) for key, item in value.items())
    return value is None or isinstance(value, bool | int | float | str)
