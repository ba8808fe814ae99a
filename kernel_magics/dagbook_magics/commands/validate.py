"""Say what would go wrong in production, each with its cell, its line and what mends it."""

from __future__ import annotations

import argparse
import subprocess
from typing import Any

from dagbook.errors import DagbookError
from dagbook_magics.note import Note, Row
from dagbook_magics.situation import Situation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to mend, or to take back."""
    parser.add_argument(
        "--fix", metavar="RULE[:CELL]", help="mend what a finding is about, in the notebook's file"
    )
    parser.add_argument(
        "--component", metavar="NAME", help="which one, where several run the notebook"
    )
    parser.add_argument("--undo", action="store_true", help="take the last fix back")


def run(situation: Situation, args: argparse.Namespace) -> None:
    """Show what was found, in two groups: what will fail and what may surprise."""
    if args.fix and args.undo:
        raise DagbookError("--undo takes back a fix, --fix applies one: give one of them")
    if args.fix or args.undo:
        _change(situation, ["--undo"] if args.undo else ["--fix", "--only", args.fix, "--yes"])
    notes = _of_settings(situation, args.component) + _of_notebook(situation, args.component)
    if not notes:
        notes = [Note(f"✓ {situation.name}: nothing found that would go wrong in production.")]
    situation.show(*notes, *situation.version_note)


def _of_settings(situation: Situation, component: str | None) -> list[Note]:
    """What is wrong with what is written for it; nothing where nothing is."""
    if situation.project is None:
        return []
    found = situation.ask("settings", component=component)
    if found["component"] is None:
        return []
    told = situation.ask("validate", attributes=found["attributes"], component=found["component"])
    rows = [Row((".".join(map(str, error["loc"])), error["msg"])) for error in told["errors"]]
    notes = [Note(f"In {found['file']}:", rows, is_warning=True)] if rows else []
    return notes + [Note(text, is_warning=True) for text in told["warnings"]]


def _of_notebook(situation: Situation, component: str | None) -> list[Note]:
    told = situation.ask("findings", component=component)
    groups: dict[str, list[Row]] = {"will fail": [], "may surprise": []}
    for finding in told["findings"]:
        fix = next((each["title"] for each in finding["fixes"]), "")
        mend = f"`%dagster validate --fix {_selector(finding)}`" if fix else ""
        row = Row((_place(finding), finding["text"], f"{fix}: {mend}" if fix else ""))
        groups[finding["severity"]].append(row)
    tried = told["passed_trial"]
    if tried is not None and not any(groups.values()):
        return [Note(f"✓ {situation.name} has run well as it is now.")]
    titles = {"will fail": "Will fail at night:", "may surprise": "May surprise:"}
    return [
        Note(titles[group], rows, is_warning=group == "will fail")
        for group, rows in groups.items()
        if rows
    ]


def _place(finding: dict[str, Any]) -> str:
    return f"cell {finding['cell'] + 1}, line {finding['line']}"


def _selector(finding: dict[str, Any]) -> str:
    return f"{finding['rule']}:{finding['cell'] + 1}"


def _change(situation: Situation, words: list[str]) -> None:
    """Have the command line change the file; the editor is then to read it anew.

    Raises:
        DagbookError: it cannot be changed, or the editor has changes that are not saved.
    """
    saved_at = situation.seen.unsaved_since(situation.notebook)
    if saved_at is not None:
        raise DagbookError(
            f"{situation.notebook.name} was last saved {saved_at} and has cells that ran since: "
            "save it first, so that nothing of it is lost"
        )
    command = [situation.python, "-m", "dagbook", "validate", str(situation.notebook), *words]
    done = subprocess.run(
        command, cwd=situation.root, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    said = (done.stdout + done.stderr).strip()
    # 2 also means that more is to be mended; what went wrong stands in the first line then.
    if done.stderr.strip():
        error = done.stderr.strip().splitlines()[-1].removeprefix("dagbook: ")
        # What is `--only` there is behind `--fix` here.
        raise DagbookError(error.replace("--only ", "--fix ", 1))
    title = "Changed on disk: read it anew with File → Reload Notebook from Disk."
    situation.show(Note(title, text=said))
