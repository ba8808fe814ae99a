"""A notebook read once for all rules: each code cell's text, syntax and magics."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from dagbook.cell_source import (
    logical_lines,
    other_language,
    parse_python,
    split_cell_magics,
)
from dagbook.first_line import comment_prefix
from dagbook.notebook import Cell, Notebook, RoleKind
from dagbook.preflight.finding import Fix, NightFinding, Severity

if TYPE_CHECKING:
    from dagbook.preflight.doings import Doings

#: Of a path or a text, so many characters are repeated in a finding.
MOST_QUOTED = 100

#: In a cell of a single line, these words are magics without their `%`.
_AUTOMAGIC = re.compile(
    r"(?:pip|conda|mamba|micromamba|cd|ls|ll|pwd|mkdir|rmdir|mv|rm|cp|cat|less|more|man|env|run"
    r"|time|timeit|who|whos|history|matplotlib|load_ext|reload_ext|pylab|debug|precision|reset"
    r"|store|config|alias|autoreload)(?:[ \t]+(?![ \t=(.,\[+\-*/<>!&|^:])[^\n]*)?"
)
_MAGIC_WORDS = re.compile(
    r"[ \t]*(?:[\w., *\[\]'\"]+=[ \t]*)?(?P<sign>%%?|!!?)(?P<text>.*)", re.DOTALL
)


@dataclass(frozen=True)
class Magic:
    """One line magic or shell command: `sign` is ``%`` or ``!``."""

    line: int
    """Counted from 1"""
    last: int
    sign: str
    text: str
    """What follows the sign, in one line"""
    indented: bool = False

    @property
    def name(self) -> str:
        """The magic's name, or the first word of a shell command."""
        return self.text.split(maxsplit=1)[0] if self.text.strip() else ""

    @property
    def rest(self) -> str:
        """What follows the name."""
        return self.text.partition(" ")[2].strip()


class CodeCell:
    """A code cell, parsed when it is first asked for."""

    def __init__(self, cell: Cell, stored: Mapping[str, Any]) -> None:
        self.cell = cell
        self.stored = stored
        source = cell.kernel_source
        if cell.language == "python" and _AUTOMAGIC.fullmatch(source.strip()):
            source = f"%{source.strip()}"
        self.source = source

    @property
    def index(self) -> int:
        """Its place among all cells, counted from 0."""
        return self.cell.index

    @property
    def number(self) -> int:
        """Its place as people count."""
        return self.cell.number

    @cached_property
    def module(self) -> ast.Module | None:
        """Its Python, magics neutralised; None when it is not Python."""
        return parse_python(self.source) if self.cell.language == "python" else None

    @cached_property
    def doings(self) -> Doings:
        """What it does with the notebook's names."""
        from dagbook.preflight.magic_names import cell_doings

        return cell_doings(self)

    @cached_property
    def lines(self) -> list[str]:
        """Its lines as its author wrote them."""
        return self.cell.source.split("\n")

    @cached_property
    def other_language(self) -> str | None:
        """The cell magic that makes it another language."""
        return other_language(self.source) if self.cell.language == "python" else None

    @cached_property
    def cell_magics(self) -> tuple[tuple[str, str], ...]:
        """Name and arguments of the cell magics on top."""
        names, _ = split_cell_magics(self.source)
        lines = (line.strip() for line in self.source.split("\n"))
        heads = [line[2:].strip() for line in lines if line.startswith("%%")][: len(names)]
        return tuple(
            (name, head.removeprefix(name).strip()) for name, head in zip(names, heads, strict=True)
        )

    @cached_property
    def magics(self) -> tuple[Magic, ...]:
        """Its line magics and shell commands, those of a cell of `%%bash` and the like too."""
        if self.cell.language != "python":
            return ()
        name = self.other_language
        if name in ("bash", "sh") or (name is None and _starts_with_bang(self.source)):
            body = _without_first(self.source)
            return tuple(
                Magic(number, number, "!", line.strip())
                for number, line in enumerate(body, 1)
                if line.strip() and not line.lstrip().startswith("#")
            )
        if name is not None or not any(sign in self.source for sign in "%!"):
            return ()
        found = []
        for line in logical_lines(split_cell_magics(self.source)[1]):
            if line.is_magic and (match := _MAGIC_WORDS.match(line.text)):
                text = " ".join(match["text"].replace("\\\n", " ").split("\n"))
                found.append(
                    Magic(
                        line.first + 1,
                        line.last + 1,
                        match["sign"][0],
                        text.strip(),
                        line.text[:1] in " \t",
                    )
                )
        return tuple(found)

    @property
    def is_blank(self) -> bool:
        """Whether it holds nothing but blank lines and comments."""
        prefix = comment_prefix(self.cell.language)
        lines = (line.strip() for line in self.cell.source.split("\n"))
        return not any(line and not line.startswith(prefix) for line in lines)

    @property
    def has_error_tag(self) -> bool:
        """Whether it is expected to raise: nbclient's tag."""
        return "raises-exception" in self.cell.tags

    def finding(
        self,
        rule: str,
        severity: Severity,
        line: int,
        text: str,
        fixes: Sequence[Fix] = (),
    ) -> NightFinding:
        """A finding in this cell, at a line counted from 1."""
        return NightFinding(rule, severity, self.index, self.cell.id, line, text, tuple(fixes))


def quoted(text: str) -> str:
    """Something out of a notebook as a text about it can hold it: short, and printable."""
    short = text if len(text) <= MOST_QUOTED else f"{text[:20]}…{text[21 - MOST_QUOTED :]}"
    return short if short.isprintable() else repr(short)[1:-1]


def _starts_with_bang(source: str) -> bool:
    return source.lstrip().startswith("%%!")


def _without_first(source: str) -> list[str]:
    lines = source.split("\n")
    first = next(number for number, line in enumerate(lines) if line.strip())
    lines[first] = ""
    return lines


class Reading:
    """A notebook as the rules see it."""

    def __init__(self, notebook: Notebook) -> None:
        self.notebook = notebook
        stored = notebook.document["cells"]
        self.cells = tuple(
            CodeCell(cell, stored[cell.index])
            for cell in notebook.cells
            if cell.cell_type == "code"
        )

    @property
    def language(self) -> str:
        """The notebook's language."""
        return self.notebook.language

    @property
    def is_python_2(self) -> bool:
        """Whether it is in a Python that has other names and another syntax."""
        info = self.notebook.document["metadata"].get("language_info") or {}
        version = str(info.get("version", ""))
        return version.startswith("2.") or (self.notebook.kernel_name or "").startswith("python2")

    @cached_property
    def at_night(self) -> tuple[CodeCell, ...]:
        """The cells that a scheduled run runs, in order."""
        return tuple(code for code in self.cells if not code.cell.is_skipped)

    @cached_property
    def parameter_names(self) -> frozenset[str]:
        """The names its parameters cell declares; none where it cannot be read."""
        cell = self.parameters_cell
        if cell is None or cell.module is None:
            return frozenset()
        from dagbook.errors import DagbookError

        try:
            return frozenset(parameter.name for parameter in self.notebook.parameters)
        except DagbookError:
            return frozenset()

    @cached_property
    def parameters_cell(self) -> CodeCell | None:
        """The cell with the role `parameters`."""
        return next((code for code in self.cells if is_parameters(code)), None)

    def magics(self) -> Iterator[tuple[CodeCell, Magic]]:
        """The magics and shell commands of a night."""
        for code in self.at_night:
            for magic in code.magics:
                yield code, magic


def is_parameters(code: CodeCell) -> bool:
    """Whether a cell has the role `parameters`."""
    return code.cell.role is not None and code.cell.role.kind is RoleKind.PARAMETERS
