"""Reading a cell's text without running it: logical lines, magics, and what a kernel is sent.

IPython cells are not quite Python: ``!ls``, ``%time f()``, ``help?`` and ``%%capture`` are
allowed. Here they are found lexically, so nothing has to import IPython.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from dagbook.first_line import comment_prefix, find_role_line

if TYPE_CHECKING:
    import ast


class LogicalLine(NamedTuple):
    """One statement's lines: `first` to `last`, both included and counted from 0."""

    first: int
    last: int
    text: str
    is_magic: bool


_TOKEN = re.compile(r"#[^\n]*|'''|\"\"\"|['\"`]|[(\[{]|[)\]}]|\\\n|\n")
_CLOSING = {
    "'": re.compile(r"(?:\\.|[^\\\n])*?'", re.DOTALL),
    '"': re.compile(r'(?:\\.|[^\\\n])*?"', re.DOTALL),
    "'''": re.compile(r"(?:\\.|[^\\])*?'''", re.DOTALL),
    '"""': re.compile(r'(?:\\.|[^\\])*?"""', re.DOTALL),
}
_R_CLOSING = {
    "'": re.compile(r"(?:\\.|[^\\])*?'", re.DOTALL),
    '"': re.compile(r'(?:\\.|[^\\])*?"', re.DOTALL),
    "`": re.compile(r"[^`]*`"),
}
_R_RAW = re.compile(r"(-*)([(\[{])")
_MAGIC = re.compile(
    r"[ \t]*(?:"
    r"[%!?,;/]"  # %magic, !command, ?help, and the quoting prefixes `,` `;` `/`
    r"|[\w.\[\]*]+\?{1,2}[ \t]*(?:\#.*)?$"  # help?
    r"|[A-Za-z_](?:[\w., *]|\[(?:\d+|'\w*'|\"\w*\")\])*=[ \t]*[%!]"  # x = %magic, x = !command
    r")",
    re.MULTILINE,
)
# Cell magics whose body is another language; below any other one, Python is looked for.
_OTHER_BODIES = frozenset(
    {
        *("bash", "sh", "script", "cmd", "perl", "ruby", "pypy", "python", "python2", "python3"),
        *("html", "HTML", "javascript", "js", "latex", "markdown", "svg", "SVG"),
        *("writefile", "file", "sql", "R", "julia", "cython", "bigquery"),
    }
)
_OURS = re.compile(
    r"([ \t]*)(?:%dagster(?![\w.])|%(?:re)?load_ext[ \t]+dagbook(?:_magics)?(?![\w.]))"
)
_OURS_ASSIGNED = re.compile(r"([ \t]*[A-Za-z_][\w., ]*=)[ \t]*%dagster(?![\w.])")


def logical_lines(source: str, language: str = "python") -> Iterator[LogicalLine]:
    """Split a cell into logical lines; a magic is one of them, whatever quotes it holds."""
    is_r = language == "R"
    closing = _R_CLOSING if is_r else _CLOSING
    position = start = number = first = depth = 0
    while start < len(source):
        if not is_r and depth == 0 and position == start and _MAGIC.match(source, start):
            end = _end_of_magic(source, start)
            text = source[start:end]
            last = first + text.count("\n")
            yield LogicalLine(first, last, text, is_magic=True)
            position = start = end + 1
            number = first = last + 1
            continue
        match = _TOKEN.search(source, position)
        if match is None:
            break
        token, position = match[0], match.end()
        if token == "\n":
            number += 1
            if depth == 0:
                yield LogicalLine(first, number - 1, source[start : position - 1], is_magic=False)
                start, first = position, number
        elif token == "\\\n":
            number += 1
        elif token in "([{":
            depth += 1
        elif token in ")]}":
            depth = max(0, depth - 1)
        elif is_r and len(token) == 3:
            position -= 1  # R has no triple quotes: an empty string, then an opening quote
        elif token in closing or token in _CLOSING:
            position, skipped = _end_of_string(source, match.start(), token, closing, is_r)
            number += skipped
    if start < len(source):
        yield LogicalLine(first, first + source.count("\n", start), source[start:], is_magic=False)


def _end_of_string(
    source: str, start: int, token: str, closing: dict[str, re.Pattern[str]], is_r: bool
) -> tuple[int, int]:
    """Where the string that opens at `start` ends, and how many lines it spans."""
    after = start + len(token)
    if is_r and start and source[start - 1] in "rR" and (raw := _R_RAW.match(source, after)):
        shut = {"(": ")", "[": "]", "{": "}"}[raw[2]] + raw[1] + token
        found = source.find(shut, raw.end())
        end = len(source) if found < 0 else found + len(shut)
    elif match := closing[token].match(source, after):
        end = match.end()
    elif len(token) == 3 or is_r:
        end = len(source)  # never closed: the rest of the cell is inside it
    else:
        newline = source.find("\n", after)
        end = len(source) if newline < 0 else newline
    return end, source.count("\n", start, end)


def _end_of_magic(source: str, start: int) -> int:
    end = source.find("\n", start)
    while end > 0 and source[end - 1] == "\\":
        end = source.find("\n", end + 1)
    return len(source) if end < 0 else end


def split_cell_magics(source: str) -> tuple[tuple[str, ...], str]:
    """Take the cell magics off the top: their names, and the text with their lines blanked."""
    lines = source.split("\n")
    names: list[str] = []
    for number, line in enumerate(lines):
        text = line.strip()
        if text.startswith("%%") and len(text) > 2:
            names.append(re.split(r"\s", text[2:], maxsplit=1)[0])
            lines[number] = ""
        elif text:
            break
    return tuple(names), "\n".join(lines)


def _body(source: str) -> str:
    """A cell's code below its cell magics, without the margin that IPython takes away."""
    lines = split_cell_magics(source)[1].split("\n")
    first = next((line for line in lines if line.strip()), "")
    margin = first[: len(first) - len(first.lstrip())]
    return "\n".join(line.removeprefix(margin) for line in lines)


def other_language(source: str) -> str | None:
    """The cell magic, as `bash`, that makes a cell's body another language than Python."""
    for name in split_cell_magics(source)[0]:
        if name in _OTHER_BODIES or name.startswith("!"):
            return name
    return None


def parse_python(source: str) -> ast.Module | None:
    """Parse a cell's Python with its magics neutralised; None when it is not Python.

    Line numbers are the author's.
    """
    if other_language(source) is not None:
        return None
    body = _body(source)
    module = _parse(body)
    if module is None and any(sign in body for sign in "%!?,;/"):
        module = _parse(plain_python(source))
    return module


def _parse(source: str) -> ast.Module | None:
    import ast
    import warnings

    with warnings.catch_warnings():
        # An invalid escape in somebody's notebook is not a warning of ours.
        warnings.simplefilter("ignore")
        try:
            return ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return None


def why_not_python(source: str) -> tuple[int | None, str]:
    """The line, counted from 1, and the reason for which `parse_python` returned None."""
    import ast
    import warnings

    other = other_language(source)
    if other is not None:
        return None, f"it is a `%%{other}` cell"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(plain_python(source))
        except SyntaxError as error:
            return error.lineno, error.msg
        except (ValueError, RecursionError, MemoryError) as error:
            return None, type(error).__name__
    return None, "it cannot be parsed"


def plain_python(source: str) -> str:
    """A cell's text with each magic replaced by Python that binds the same names."""
    body = _body(source)
    lines = body.split("\n")
    for line in logical_lines(body):
        if line.is_magic:
            _replace(lines, line, _as_python(line.text))
    return "\n".join(lines)


def _as_python(magic: str) -> str:
    text = magic.split("\n")[0]
    indent = text[: len(text) - len(text.lstrip())]
    if timed := re.match(r"\s*%time[ \t]+(\S.*)", text):
        return indent + timed[1]
    if text.lstrip()[0] not in "%!?,;/" and "=" in text:
        return text.split("=")[0] + "= None"
    return indent + "pass"


def _replace(lines: list[str], line: LogicalLine, text: str) -> None:
    lines[line.first] = text
    for number in range(line.first + 1, line.last + 1):
        lines[number] = ""


def without_role_line(source: str, language: str) -> str:
    """A cell's text whose first line, where it says a role, does nothing; line numbers hold.

    The line becomes an ordinary comment; above a cell magic it is left out, since a magic must
    come first. A bare `%%dagster` stays.
    """
    lines = source.split("\n")
    role = find_role_line(source, language)
    if role is None or not role.words:
        return source
    below = next((n for n in range(role.number + 1, len(lines)) if lines[n].strip()), None)
    if below is not None and re.match(r"\s*%%[A-Za-z!]", lines[below]):
        return "\n".join(lines[below:])
    if role.is_magic:
        lines[role.number] = f"{comment_prefix(language)} {lines[role.number].strip()}"
    return "\n".join(lines)


def kernel_source(source: str, language: str) -> str:
    """What a kernel is sent for a cell: the author's text without our lines.

    Line numbers hold. Besides our first line, `%dagster …` and `%load_ext dagbook` are taken
    out: they become ``pass``, so the kernel needs nothing of ours.
    """
    role = find_role_line(source, language)
    if role is not None and role.is_magic and not role.words:
        return ""
    text = without_role_line(source, language)
    if language != "python" or ("%dagster" not in text and "dagbook" not in text):
        return text
    if other_language(text) is not None:
        return text
    lines = text.split("\n")
    for line in logical_lines(split_cell_magics(text)[1]):
        if line.is_magic and (ours := _OURS.match(line.text)):
            _replace(lines, line, f"{ours[1]}pass")
        elif line.is_magic and (assigned := _OURS_ASSIGNED.match(line.text)):
            _replace(lines, line, f"{assigned[1]} None")
    return "\n".join(lines)
