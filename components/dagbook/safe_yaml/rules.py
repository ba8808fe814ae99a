"""What component files may hold, and how a file that holds something else is refused."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

Loc = tuple[Any, ...]

_LONGEST = 60


def shown(value: Any) -> str:
    """Text out of a file for a message: one line, short, and nothing a terminal would obey."""
    text = " ".join(str(value[: 4 * _LONGEST] if isinstance(value, str) else value).split())
    text = "".join(character if character.isprintable() else "�" for character in text)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + "…"


@dataclass(frozen=True)
class ScreeningRules:
    """What a project's component files may hold.

    The defaults load every project that dagbook itself makes. They are what holds while nobody
    has said otherwise; whoever knows better passes other values.
    """

    types: frozenset[str] | None = None
    """Component types by name, ``dagster_dbt.DbtProjectComponent``; None: every registered one"""
    environment: frozenset[str] = frozenset()
    """Environment variables that may be read as ``{{ env.NAME }}``"""
    names: frozenset[str] = frozenset()
    """Further names that may stand in braces, of a company's template variables"""
    template_vars_modules: frozenset[str] = frozenset()
    """What may stand behind ``template_vars_module:``, a module that Dagster imports"""
    post_processing: bool = False
    """Whether ``post_processing:`` may change assets after their component has made them"""
    python_below_defs: bool = True
    """Whether Python files below ``defs`` are loaded, and types that begin with a dot"""
    max_bytes: int = 262_144
    max_depth: int = 50
    max_values: int = 10_000
    """Values in a file, each alias counted as everything it stands for"""
    max_documents: int = 100
    max_templates: int = 500


@dataclass(frozen=True)
class Refusal:
    """One thing for which a component file is not loaded; line and column count from 1.

    `loc` leads from the document to the value; `document` is the file's document it stands in,
    counted from 0, or None when the file cannot be read at all.
    """

    file: Path
    line: int
    text: str
    column: int = 1
    loc: Loc = ()
    document: int | None = None

    @property
    def key(self) -> str:
        """The key it is about, as in ``schedule.cron``; empty when it is about the whole."""
        loc = self.loc[1:] if self.loc[:1] == ("attributes",) and len(self.loc) > 1 else self.loc
        return ".".join(map(shown, loc))

    @property
    def reason(self) -> str:
        """The text with the key it is about, without the file."""
        return f"{self.key}: {self.text}" if self.key else self.text

    def __str__(self) -> str:
        from dagbook.defs_yaml import shown_path

        return f"{shown_path(self.file)}:{self.line}: {self.reason}"
