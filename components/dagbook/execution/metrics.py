"""Asks a kernel for the values of a metrics cell, in the language it speaks."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dagbook.errors import DagbookError

if TYPE_CHECKING:
    from dagbook.execution.messages import Conversation

#: Languages whose assignments and values can be read.
LANGUAGES = ("python", "r")

# Evaluated by the kernel in the author's namespace, where even `float` may have another
# meaning: everything is reached through `builtins`. A bool is no measurement; numpy's scalars
# and zero-dimensional arrays are.
_PYTHON_VALUE = (
    "(lambda b, v: b.repr(b.float(v)) if not b.isinstance(v, b.bool) and ("
    "b.isinstance(v, (b.int, b.float)) or (b.getattr(v, 'shape', None) == () and "
    "b.str(b.getattr(b.getattr(v, 'dtype', None), 'kind', '')) in ('i', 'u', 'f'))) else None)"
    "(__import__('builtins'), {name})"
)
_IS_ASSERTION = (
    "__import__('builtins').isinstance("
    "__import__('builtins').getattr(__import__('sys'), 'last_value', None), "
    "__import__('builtins').AssertionError)"
)
# IRkernel answers no user_expressions: a snippet prints one line per metric instead.
_R_SNIPPET = """local({{
  for (.n in c({names})) {{
    if (exists(.n, envir = globalenv(), inherits = FALSE)) {{
      .v <- get(.n, envir = globalenv())
      if (is.numeric(.v) && length(.v) == 1 && is.null(dim(.v)))
        cat("dagbook-metric", .n, format(as.numeric(.v), digits = 17), "\\n")
    }}
  }}
}})"""
_R_LINE = re.compile(r"^dagbook-metric (\S+) (\S+) *$", re.MULTILINE)


def check_language(language: str, cell_number: int) -> None:
    """Refuse a metrics cell in a language whose values cannot be read.

    Raises:
        DagbookError: with the cell and what to do instead.
    """
    if language.lower() not in LANGUAGES:
        raise DagbookError(
            f"cell {cell_number}: metrics can be read from Python and R, not from {language}. "
            "Remove the role, or write the values to a file."
        )


def metric_questions(language: str, names: tuple[str, ...]) -> Mapping[str, str]:
    """The expressions a Python kernel evaluates after the cell, by metric."""
    if language.lower() != "python":
        return {}
    return {name: _PYTHON_VALUE.format(name=name) for name in names}


def read_metric_answers(
    language: str, conversation: Conversation, names: tuple[str, ...], reply: Mapping[str, Any]
) -> dict[str, float]:
    """The values of a metrics cell's names that are numbers, in the order they stand."""
    if language.lower() == "r":
        return _ask_r(conversation, names)
    values = {}
    for name in names:
        text = _plain(reply, name)
        if text is not None and text != "None":
            values[name] = float(ast.literal_eval(text))
    return values


def is_assertion_expression() -> str:
    """An expression that is true when the last exception was an AssertionError of any kind."""
    return _IS_ASSERTION


def truth_of(reply: Mapping[str, Any], name: str) -> bool:
    """Whether the answer called `name` in a reply is True."""
    return _plain(reply, name) == "True"


def _plain(reply: Mapping[str, Any], name: str) -> str | None:
    answer = reply.get("user_expressions", {}).get(name, {})
    text = answer.get("data", {}).get("text/plain") if answer.get("status") == "ok" else None
    return None if text is None else str(text)


def _ask_r(conversation: Conversation, names: tuple[str, ...]) -> dict[str, float]:
    if not names:
        return {}
    printed: list[str] = []

    def take(_cell: int, message: Mapping[str, Any]) -> None:
        if message["msg_type"] == "stream":
            printed.append(message["content"]["text"])

    quoted = ", ".join(f'"{name}"' for name in names)
    conversation.execute(
        _R_SNIPPET.format(names=quoted), cell=-1, on_message=take, tick=lambda: None
    )
    words = {"NaN": "nan", "NA": "nan", "Inf": "inf", "-Inf": "-inf"}
    return {
        name: float(words.get(value, value)) for name, value in _R_LINE.findall("".join(printed))
    }
