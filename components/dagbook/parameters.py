"""What a notebook's parameters cell declares: names, types, defaults, choices and help."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

from dagbook.first_line import comment_prefix, find_role_line


@dataclass(frozen=True)
class Parameter:
    """One parameter of a notebook, read from its parameters cell.

    Attributes:
        type: ``int``, ``float``, ``str``, ``bool``, ``list``, ``dict``, ``date``,
            ``datetime``, or ``any`` where the cell does not say.
        annotation: the annotation or type comment as written.
        default: the default's value when `default_known`; a date is its ISO-8601 text.
        default_known: whether the default is a literal; a computed one is not evaluated.
        default_text: the default as written; None when there is none.
        required: there is no default, so each run must give a value.
        nullable: whether None is a value of it.
        choices: the values allowed, from ``Literal[…]``.
        help: the comment behind it, or above it.
        line: its line in the cell, counted from 1.
    """

    name: str
    type: str = "any"
    annotation: str | None = None
    default: Any = None
    default_known: bool = False
    default_text: str | None = None
    required: bool = False
    nullable: bool = False
    choices: tuple[Any, ...] | None = None
    help: str = ""
    line: int = 1


def read_parameters(source: str, *, language: str, where: str) -> tuple[Parameter, ...]:
    """Read the parameters a cell declares, in the order of the cell.

    Args:
        source: the cell's text as its author wrote it.
        language: the notebook's language. Python is parsed; in others, plain assignments at
            the left margin are read.
        where: the notebook and cell as errors name them.

    Raises:
        DagbookError: the cell is not valid Python.
    """
    if language == "python":
        from dagbook.python_parameters import read_python_parameters

        return read_python_parameters(source, where)
    return _by_scanning(source, language)


# `x <- 1`, `val x: Int = 1`, `x::Float64 = 0.5`, `double x = 1;`, `export X=1`, `$x = 1`
_DECLARING = "export|declare|readonly|typeset|local|global|let|val|var|const|final|static|my|our"
_DECLARING += "|mutable|auto|int|long|float|double|decimal|char|bool|boolean|string|String"
_ASSIGNMENT = re.compile(
    rf"(?:(?:{_DECLARING})[ \t]+(?:-\w+[ \t]+)*)*\$?(?P<name>[A-Za-z][\w.]*)"
    r"[ \t]*(?::{1,2}[ \t]*(?P<annotation>[\w.{}\[\]?]+)[ \t]*)?"
    r"(?:<-|=(?![=>]))(?P<value>.*)"
)
_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_CONSTANTS: dict[str, Any] = {"true": True, "false": False, "TRUE": True, "FALSE": False}
_NOTHING = ("NULL", "nothing", "null", "None", "nil", "NA")


def _by_scanning(source: str, language: str) -> tuple[Parameter, ...]:
    prefix = comment_prefix(language)
    ours = find_role_line(source, language)
    lines = source.split("\n")
    found: dict[str, Parameter] = {}
    above: list[str] = []
    for number, line in enumerate(lines):
        if ours is not None and number == ours.number:
            continue
        if line.startswith(prefix):
            above.append(line[len(prefix) :])
            continue
        match = _ASSIGNMENT.match(line)
        if match is not None:
            text, comment = _split_comment(match["value"], prefix)
            if not comment and not heads_group(lines, number + 1, prefix):
                comment = joined_help(above)
            found[match["name"]] = _scanned(match, text.rstrip(";"), comment, number + 1, language)
        above = []
    return tuple(found.values())


def heads_group(lines: list[str], number: int, prefix: str) -> bool:
    """Whether code follows directly on line `number`, so a comment above heads several lines."""
    below = lines[number].strip() if number < len(lines) else ""
    return bool(below) and not below.startswith(prefix)


def _scanned(match: re.Match[str], text: str, help_: str, line: int, language: str) -> Parameter:
    known, value = _literal(text, language)
    # Only R and bash are read well enough to hold anybody to a type.
    typed = language in ("R", "bash") and known and value is not None
    return Parameter(
        name=match["name"],
        type=type(value).__name__ if typed else "any",
        annotation=match["annotation"],
        default=value,
        default_known=known,
        default_text=text,
        nullable=known and value is None,
        help=help_,
        line=line,
    )


def _split_comment(text: str, prefix: str) -> tuple[str, str]:
    """Split a line's value from the comment behind it, minding quotes."""
    quoted = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'")
    hidden = quoted.sub(lambda match: "x" * len(match[0]), text)
    at = hidden.find(prefix)
    if at < 0:
        return text.strip(), ""
    return text[:at].strip(), text[at + len(prefix) :].strip()


def _literal(text: str, language: str) -> tuple[bool, Any]:
    """Whether a value is written as a literal, and which."""
    if text in _CONSTANTS or (language == "R" and text in ("T", "F")):
        return True, _CONSTANTS.get(text, text == "T")
    if text in _NOTHING and language != "bash":
        return True, None
    if language == "R" and re.fullmatch(r"[+-]?\d+L", text):
        return True, int(text[:-1])
    if re.fullmatch(r"[+-]?(?:0|[1-9]\d*)", text):
        return True, float(text) if language == "R" else int(text)
    if _NUMBER.fullmatch(text) and not re.match(r"[+-]?0\d", text):
        return True, float(text)
    if re.fullmatch(r"'[^'\\]*'|\"[^\"\\$`]*\"", text):
        return True, text[1:-1]
    if language == "bash" and re.fullmatch(r"[\w./:@%+,\-]*", text):
        return True, text
    if language == "R" and (vector := re.fullmatch(r"c\(([^()]*)\)", text)):
        items = [_literal(item.strip(), language) for item in vector[1].split(",")]
        if all(known for known, _ in items):
            return True, [value for _, value in items]
    if language not in ("R", "bash"):
        try:
            return True, json.loads(text)
        except ValueError:
            return False, None
    return False, None


def joined_help(comments: list[str]) -> str:
    """One line of help from the comment lines above a parameter, without rulers and old code."""
    lines = [line for comment in comments if (line := comment.strip().strip("#-=*~ "))]
    if any(re.match(r"[\w.]+\s*(?::[^=]*)?(?:=|<-)", line) for line in lines):
        return ""  # a parameter that was commented out
    text = " ".join(lines)
    return "" if text.lower().rstrip(":") in ("parameters", "params") else text
