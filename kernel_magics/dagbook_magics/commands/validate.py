"""Say what would go wrong in production, each with its cell, its line and what mends it."""

from __future__ import annotations

import argparse
from typing import Any

from dagbook_magics.note import Note, Row
from dagbook_magics.situation import Situation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes nothing of its own."""


def run(situation: Situation, args: argparse.Namespace) -> None:
    """Show what was found, in two groups: what will fail and what may surprise."""
    notes = _of_settings(situation) + _of_notebook(situation)
    if not notes:
        notes = [Note(f"✓ {situation.name}: nothing found that would go wrong in production.")]
    situation.show(*notes, *situation.version_note)


def _of_settings(situation: Situation) -> list[Note]:
    """What is wrong with what is written for it; nothing where nothing is."""
    if situation.project is None:
        return []
    found = situation.ask("settings")
    if found["component"] is None:
        return []
    told = situation.ask("validate", attributes=found["attributes"], component=found["component"])
    rows = [Row((".".join(map(str, error["loc"])), error["msg"])) for error in told["errors"]]
    notes = [Note(f"In {found['file']}:", rows, is_warning=True)] if rows else []
    return notes + [Note(text, is_warning=True) for text in told["warnings"]]


def _of_notebook(situation: Situation) -> list[Note]:
    told = situation.ask("findings")
    groups: dict[str, list[Row]] = {"will fail": [], "may surprise": []}
    for finding in told["findings"]:
        groups[finding["severity"]].append(Row((_place(finding), finding["text"])))
    titles = {"will fail": "Will fail at night:", "may surprise": "May surprise:"}
    return [
        Note(titles[group], rows, is_warning=group == "will fail")
        for group, rows in groups.items()
        if rows
    ]


def _place(finding: dict[str, Any]) -> str:
    return f"cell {finding['cell'] + 1}, line {finding['line']}"
