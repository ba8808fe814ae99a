"""Findings about a night in words for people and as plain JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from dagbook.preflight.edits import Edit
from dagbook.preflight.finding import Fix, NightFinding, Severity
from dagbook.preflight.fixing import edits_of


def said(finding: NightFinding) -> str:
    """A finding in one line, with its place in the notebook and its rule."""
    return f"cell {finding.cell + 1}, line {finding.line}: {finding.text} ({finding.rule})"


def selector(finding: NightFinding) -> str:
    """How a command names a finding: ``RULE:CELL``."""
    return f"{finding.rule}:{finding.cell + 1}"


def as_json(finding: NightFinding) -> dict[str, Any]:
    """A finding as plain JSON; the cell counts from 0 there."""
    return {
        "rule": finding.rule,
        "severity": str(finding.severity),
        "cell": finding.cell,
        "cell_id": finding.cell_id,
        "line": finding.line,
        "text": finding.text,
        "is_secret": finding.is_secret,
        "fixes": [
            {"kind": fix.kind, "title": fix.title, "arguments": dict(fix.arguments)}
            for fix in finding.fixes
        ],
    }


def grouped(found: Sequence[NightFinding]) -> dict[Severity, list[NightFinding]]:
    """What will fail and what may surprise, in this order; groups without a finding are left out."""
    groups = {level: [f for f in found if f.severity is level] for level in Severity}
    return {level: members for level, members in groups.items() if members}


def described(fix: Fix) -> str:
    """What a fix changes in its notebook, as a diff by cells."""
    return "\n".join(line for edit in edits_of(fix) or () for line in _described(edit))


def _described(edit: Edit) -> Iterator[str]:
    cell = f"cell {int(edit['cell']) + 1}"
    kind = edit["edit"]
    if kind == "tags":
        yield f"--- {cell}, its tags"
        yield from (f"-{tag}" for tag in edit["remove"])
        yield from (f"+{tag}" for tag in edit["add"])
    elif kind == "lines":
        yield f"--- {cell}, line {edit['line']}"
        before, after = list(edit["before"]), list(edit["after"])
        if before and after[-len(before) :] == before:
            yield from (f"+{line}" for line in after[: -len(before)])
            return
        yield from (f"-{line}" for line in before)
        yield from (f"+{line}" for line in after)
    elif kind == "move":
        yield f"--- {cell} becomes cell {int(edit['to']) + 1}"
    else:
        new = edit["new"]
        tags = new["metadata"].get("tags")
        yield f"--- a new cell before {cell}" + (f", tagged {', '.join(tags)}" if tags else "")
        yield from (f"+{line}" for line in "".join(new["source"]).split("\n"))
