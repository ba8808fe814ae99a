"""What `dagbook validate NOTEBOOK` says of the night: what will fail, what may surprise, and why."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagbook.cli.diff import coloured
from dagbook.component_index import Component, index_components
from dagbook.defs_yaml import shown_path
from dagbook.errors import DagbookError, did_you_mean
from dagbook.execution.situation import Circumstances, circumstances_of
from dagbook.night_environment import given_environment
from dagbook.notebook import read_notebook
from dagbook.preflight.finding import Fix, NightFinding, Severity
from dagbook.preflight.fixing import FixHistory, apply_to_file, edits_of
from dagbook.preflight.registry import RULES, findings
from dagbook.preflight.words import as_json, described, grouped, said, selector
from dagbook.project import STATE_FOLDER, Project, find_project

#: So many findings of a rule are printed one by one; --json has all of them.
MOST_OF_A_RULE = 10

_HEADINGS = {
    Severity.WILL_FAIL: "will fail at night:",
    Severity.MAY_SURPRISE: "may surprise at night:",
}


@dataclass(frozen=True)
class Night:
    """What was found in one notebook."""

    path: Path
    circumstances: Circumstances
    findings: list[NightFinding]
    components: list[Component]
    notes: tuple[str, ...] = ()

    @property
    def has_failed(self) -> bool:
        """Whether a schedule would start what will fail."""
        is_scheduled = any(c.document.attributes.get("schedule") for c in self.components)
        return is_scheduled and any(f.severity is Severity.WILL_FAIL for f in self.findings)


def is_notebook(path: Path) -> bool:
    """Whether a path names a notebook that can be looked at before a component runs it."""
    if path.suffix == ".ipynb":
        return path.is_file()
    if path.suffix not in (".py", ".md") or not path.is_file():
        return False
    project = find_project(path)
    return project is not None and bool(components_of(path, project))


def components_of(path: Path, project: Project | None) -> list[Component]:
    """The components that run a notebook.

    Raises:
        DagbookError: a file that names the notebook cannot be read, so nobody can say.
    """
    if project is None:
        return []
    return index_components(project).of_notebook(project.relative(path))


def look(path: Path) -> Night | None:
    """Look at a notebook as its components would run it; without one, as it would run by itself.

    Returns:
        None for one that cannot be read but has components: what is wrong is told with them.

    Raises:
        DagbookError: it cannot be read, and no component runs it.
    """
    project = find_project(path)
    components = components_of(path, project)
    try:
        notebook = read_notebook(path)
    except DagbookError:
        if components:
            return None
        raise
    circumstances = circumstances_of(
        notebook,
        project.root if project is not None else None,
        kernel=_kernel(components),
        given=given_environment(path, project, components),
    )
    notes = list(circumstances.notes)
    if not components:
        # The command asks before it makes a project.
        notes.append(
            f'no component runs it yet: `dagbook schedule {shown_path(path)} "daily 06:00"` '
            "makes one"
        )
    return Night(
        path,
        circumstances,
        findings(notebook, circumstances.situation),
        components,
        tuple(notes),
    )


def _kernel(components: Sequence[Component]) -> str | None:
    chosen = {component.document.attributes.get("kernel") for component in components}
    kernel = chosen.pop() if len(chosen) == 1 else None
    return kernel if isinstance(kernel, str) else None


def print_night(night: Night) -> None:
    """Print both groups, and how to apply the fixes."""
    name = shown_path(night.path)
    trial = night.circumstances.trial
    if trial is not None:
        print(f"✓ {name}: ran well just as it is, on {trial.moment}")
    elif not night.findings:
        print(f"✓ {name}: nothing found that would go wrong at night")
    for severity, members in grouped(night.findings).items():
        print(f"{name} {_HEADINGS[severity]}")
        told: Counter[str] = Counter()
        for finding in members:
            told[finding.rule] += 1
            if told[finding.rule] > MOST_OF_A_RULE:
                continue
            print(f"  {said(finding)}")
            for fix in finding.fixes:
                print(f"    fix: {fix.title}")
        for rule, count in told.items():
            if count > MOST_OF_A_RULE:
                print(f"  and {count - MOST_OF_A_RULE} more ({rule})")
    for note in night.notes:
        print(f"  note: {note}")
    if any(edits_of(fix) for finding in night.findings for fix in finding.fixes):
        print(f"  apply a fix: dagbook validate {name} --fix --only RULE:CELL")


def night_json(night: Night) -> dict[str, Any]:
    """The same as plain JSON."""
    trial = night.circumstances.trial
    return {
        "notebook": shown_path(night.path),
        "findings": [as_json(finding) for finding in night.findings],
        "passed_trial": None
        if trial is None
        else {"executed_notebook": str(trial.executed), "started_at": trial.started_at},
        "notes": list(night.notes),
    }


def apply_fixes(args: argparse.Namespace, path: Path) -> list[dict[str, Any]]:
    """Apply the first fix of each finding that was chosen, once it was shown and agreed to.

    Raises:
        DagbookError: a choice names no rule or meets no finding, or the file cannot be written.
    """
    answers: list[dict[str, Any]] = []
    for choice in args.only:
        wanted = _chosen(choice)
        passed: set[tuple[str, str, str]] = set()
        met = False
        # Each fix moves lines and cells, so the notebook is looked at again after it.
        while (found := _next(path, wanted, passed)) is not None:
            met = True
            finding, fix = found
            passed.add((finding.rule, finding.cell_id, finding.text))
            written = _apply(args, path, fix)
            answers.append({"notebook": shown_path(path), "title": fix.title, "written": written})
        if not met:
            raise DagbookError(_nothing_to_fix(path, choice, wanted))
    return answers


def undo_last(args: argparse.Namespace, path: Path) -> list[dict[str, Any]]:
    """Take back the fix applied last.

    Raises:
        DagbookError: there is none, or somebody has changed what it changed.
    """
    history = _history(path)
    last = history.last(path)
    if last is None:
        raise DagbookError(f"{shown_path(path)}: no fix was applied to it that can be taken back")
    title, edits = last
    apply_to_file(path, edits)
    history.forget_last(path)
    if not args.json:
        print(f"✓ {shown_path(path)}: took back: {title}")
    return [{"notebook": shown_path(path), "title": title, "undone": True}]


def _chosen(choice: str) -> tuple[str, int | None]:
    rule, colon, cell = choice.partition(":")
    if rule not in RULES:
        raise DagbookError(f"--only {choice}: `{rule}` is no rule. {did_you_mean(rule, RULES)}")
    if colon and not cell.isdigit():
        raise DagbookError(f"--only {choice}: name the cell by its number, as in {rule}:3")
    return rule, int(cell) if colon else None


def _next(
    path: Path, wanted: tuple[str, int | None], passed: set[tuple[str, str, str]]
) -> tuple[NightFinding, Fix] | None:
    rule, cell = wanted
    for finding in _found(path):
        fix = next((fix for fix in finding.fixes if edits_of(fix)), None)
        if fix is None or finding.rule != rule or cell not in (None, finding.cell + 1):
            continue
        if (finding.rule, finding.cell_id, finding.text) not in passed:
            return finding, fix
    return None


def _found(path: Path) -> list[NightFinding]:
    night = look(path)
    return [] if night is None else night.findings


def _nothing_to_fix(path: Path, choice: str, wanted: tuple[str, int | None]) -> str:
    found = _found(path)
    fixable = [f for f in found if any(edits_of(fix) for fix in f.fixes)]
    is_found = any(f.rule == wanted[0] and wanted[1] in (None, f.cell + 1) for f in found)
    text = "has no fix that can be applied" if is_found else "is not found in it"
    names = ", ".join(dict.fromkeys(map(selector, fixable)))
    known = f"; there are fixes for {names}" if names else ""
    return f"{shown_path(path)}: {choice} {text}{known}"


def _apply(args: argparse.Namespace, path: Path, fix: Fix) -> bool:
    agreed = bool(args.yes)
    if not args.json:
        print(f"{shown_path(path)}: {fix.title}")
        print(coloured(described(fix)).rstrip("\n"))
        if not agreed and sys.stdin.isatty():
            agreed = input("change the notebook? [y/N] ").strip().lower() in ("y", "yes")
    if not agreed:
        if not args.json:
            print("nothing was written" + ("" if sys.stdin.isatty() else ": repeat with --yes"))
        return False
    undo = apply_to_file(path, edits_of(fix) or [])
    _history(path).remember(path, fix.title, undo)
    if not args.json:
        print(f"✓ changed {shown_path(path)}; take it back: dagbook validate {path} --undo")
    return True


def _history(path: Path) -> FixHistory:
    project = find_project(path)
    if project is not None:
        return FixHistory(project.state_folder)
    return FixHistory(path.absolute().parent / STATE_FOLDER)
