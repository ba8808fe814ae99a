"""Checking the values given for a notebook's parameters, before a kernel starts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dagbook.credential_parameters import refuse_credential_defaults, refuse_credentials
from dagbook.errors import DagbookError, did_you_mean
from dagbook.first_line import comment_prefix
from dagbook.papermill_tags import refuse_overwriting
from dagbook.roles import is_variable
from dagbook.value_types import CHECKS, DESCRIPTIONS, Unwritable, WrongType

if TYPE_CHECKING:
    from dagbook.notebook import Notebook
    from dagbook.parameters import Parameter


def resolve_parameters(
    notebook: Notebook,
    given: Mapping[str, Any],
    *,
    from_text: bool = False,
    complete: bool = True,
) -> dict[str, Any]:
    """Check the values given for a notebook's parameters and bring them to their types.

    Only what was given is returned, as values JSON can hold (and NaN and infinity): what
    is not given keeps the default the notebook computes. Dates become ISO-8601 text.

    Args:
        notebook: the notebook whose parameters cell says what is allowed.
        given: values by name.
        from_text: parse texts by the parameter's type, as for ``-p NAME=VALUE``.
        complete: refuse when a required parameter is missing.

    Raises:
        DagbookError: an unknown name (the nearest right one first), a name that is no
            variable's, a wrong type, a value that is not among the choices, a required
            one missing, a notebook that declares no parameters, or one in which an
            earlier run's injected cell would undo the values; and what looks like a
            credential, which no text shows.
    """
    where = notebook.label
    for name in given:
        if not isinstance(name, str) or not is_variable(name, notebook.language):
            raise DagbookError(
                f"{where}: {str(name)[:60]!r} cannot be a parameter, it is no variable's name."
            )
    refuse_credentials(given, where)
    cell = notebook.parameters_cell
    if cell is None:
        if given:
            raise DagbookError(_no_parameters_cell(notebook, next(iter(given))))
        return {}
    if given:
        refuse_overwriting(notebook, cell)
    declared = {parameter.name: parameter for parameter in notebook.parameters}
    resolved: dict[str, Any] = {}
    for name, value in given.items():
        if name not in declared:
            raise DagbookError(
                f"{where}: there is no parameter `{name}`. {did_you_mean(name, declared)}"
            )
        resolved[name] = _resolved(declared[name], value, from_text, where)
    if complete:
        refuse_credential_defaults(notebook)
    missing = [p.name for p in declared.values() if p.required and p.name not in given]
    if complete and missing:
        listed = ", ".join(f"`{name}`" for name in missing)
        subject = f"parameters {listed} have" if len(missing) > 1 else f"parameter {listed} has"
        raise DagbookError(
            f"{where}, cell {cell.number}: {subject} no default; give a value, or write a "
            "default in the cell."
        )
    return resolved


def _no_parameters_cell(notebook: Notebook, name: str) -> str:
    comment = comment_prefix(notebook.language)
    return (
        f"{notebook.label}: has no parameters cell, so `{name}` cannot be set; give the cell "
        f"with the defaults the tag `parameters`, or begin it with `{comment} dagster: parameters`."
    )


def _resolved(parameter: Parameter, value: Any, from_text: bool, where: str) -> Any:
    kind = parameter.type
    try:
        if from_text and isinstance(value, str):
            checked = _parsed(parameter, value)
        elif value is None and (parameter.nullable or kind == "any"):
            checked = None
        elif value is None:
            raise WrongType("leave it out to keep the default")
        else:
            checked = CHECKS[kind](value)
    except WrongType as wrong:
        remedy = f"; {wrong}" if str(wrong) else ""
        raise DagbookError(
            f"{where}: parameter `{parameter.name}` must be {DESCRIPTIONS[kind]}, "
            f"not {_described(value)}{remedy}."
        ) from None
    except Unwritable as fault:
        raise DagbookError(f"{where}: parameter `{parameter.name}` {fault}.") from None
    except RecursionError:
        raise DagbookError(f"{where}: parameter `{parameter.name}` contains itself.") from None
    if parameter.choices is None or checked is None:
        return checked
    for choice in parameter.choices:
        if choice == checked and isinstance(choice, bool) == isinstance(checked, bool):
            return choice
    known = did_you_mean(str(checked), [str(choice) for choice in parameter.choices])
    raise DagbookError(
        f"{where}: parameter `{parameter.name}` cannot be {_described(checked)}. {known}"
    )


def _described(value: Any) -> str:
    if value is None:
        return "nothing (null)"
    kind = "text" if isinstance(value, str) else type(value).__name__
    huge = isinstance(value, int) and value.bit_length() > 10_000
    if huge or not isinstance(value, str | int | float):
        return f"{'an' if kind[0] in 'aeiou' else 'a'} {kind}"
    shown = repr(value)
    return f"the {kind} {shown[:40]}{'…' if len(shown) > 40 else ''}"


_WORDS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_NO_LITERAL = object()


def _parsed(parameter: Parameter, text: str) -> Any:
    """Parse what was typed behind ``NAME=`` by the parameter's type."""
    kind, word = parameter.type, text.strip()
    if kind == "str":
        return text
    if parameter.nullable and word.lower() in ("none", "null"):
        return None
    if kind == "int" and re.fullmatch(r"[+-]?\d{1,1000}(?:_\d{1,3}){0,1000}", word):
        return int(word)
    if kind == "float":
        try:
            return float(word)
        except ValueError:
            raise WrongType from None
    if kind == "bool" and word.lower() in _WORDS:
        return _WORDS[word.lower()]
    if kind in ("date", "datetime"):
        return CHECKS[kind](word)
    if kind == "any":
        return _guessed(parameter, text)
    literal = _literal(word)
    if kind == "list" and not isinstance(literal, list | tuple):
        raise WrongType("write it as [1, 2]")
    if kind == "dict" and not isinstance(literal, dict):
        raise WrongType('write it as {"key": 1}')
    if kind in ("list", "dict"):
        return CHECKS[kind](literal)
    raise WrongType


def _guessed(parameter: Parameter, text: str) -> Any:
    """The value of a text whose type nobody declared: a choice, a literal, or the text."""
    for choice in parameter.choices or ():
        if text.strip() == str(choice):
            return choice
    literal = _literal(text.strip())
    try:
        return text if literal is _NO_LITERAL else CHECKS["any"](literal)
    except Unwritable:
        return text


def _literal(text: str) -> Any:
    import ast
    import json
    import warnings

    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        pass
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return ast.literal_eval(text)
        except (ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return _NO_LITERAL
