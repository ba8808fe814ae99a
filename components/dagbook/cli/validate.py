"""Check component YAML and the notebooks it names; every error comes with its place.

Of one file or notebook it says each thing that was checked; of more, with --verbose. YAML that was
written for an older version of its component is rewritten with --fix.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

from dagbook.cli.diff import coloured
from dagbook.defs_yaml import shown_path
from dagbook.errors import DagbookError
from dagbook.validation import Report, validate_paths

EXAMPLES = """\
  dagbook validate                          the whole project
  dagbook validate churn.ipynb              the components that run a notebook
  dagbook validate churn/defs/models        one folder
  dagbook validate --json | jq .problems
  dagbook validate --fix                    show what would be rewritten, and ask
  dagbook validate --fix --yes              rewrite it

exit status: 0 all is well, 2 something has to be mended"""

#: What the process exits with when something has to be mended.
PROBLEMS_FOUND = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dagbook validate` takes."""
    parser.add_argument(
        "path", nargs="*", type=Path, metavar="PATH",
        help="component files, folders or notebooks (default: this project)",
    )  # fmt: skip
    parser.add_argument(
        "--verbose", action="store_true", help="say of each component what was checked"
    )
    parser.add_argument(
        "--fix", action="store_true",
        help="rewrite YAML that was written for an older version of its component",
    )  # fmt: skip
    parser.add_argument("--yes", action="store_true", help="with --fix: do not ask")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print every error with its place, or a tick for each sound component."""
    paths = args.path or [Path()]
    if args.yes and not args.fix:
        raise DagbookError("--yes goes with --fix")
    fixed = _fix(args, paths) if args.fix else []
    is_one = len(args.path) == 1 and args.path[0].is_file()
    report = validate_paths(paths, in_detail=args.verbose or is_one)
    if args.json:
        _print_json(report, fixed if args.fix else None)
    else:
        _print(report)
    return PROBLEMS_FOUND if report.findings else 0


def _fix(args: argparse.Namespace, paths: list[Path]) -> list[dict[str, Any]]:
    """Rewrite what is out of date, once it was shown and agreed to."""
    from dagbook.component_fixes import plan_fixes

    planned = plan_fixes(paths)
    diffs = [fix.file.diff() for fix in planned.fixes]
    agreed = args.yes
    if not args.json:
        for fix, diff in zip(planned.fixes, diffs, strict=True):
            print(f"{shown_path(fix.file.path)}: {'; '.join(fix.notes)}")
            print(coloured(diff))
        for line in planned.left:
            print(f"left as it is: {line}")
        if not planned.fixes:
            print("nothing to rewrite")
        elif not agreed and sys.stdin.isatty():
            count = _counted(len(planned.fixes), "file")
            agreed = input(f"rewrite {count}? [y/N] ").strip().lower() in ("y", "yes")
        if planned.fixes and not agreed:
            print("nothing was written" + ("" if sys.stdin.isatty() else ": repeat with --yes"))
    answers = []
    for fix, diff in zip(planned.fixes, diffs, strict=True):
        written = fix.write() if agreed else False
        if written and not args.json:
            print(f"✓ rewrote {shown_path(fix.file.path)}")
        answers.append({"file": shown_path(fix.file.path), "diff": diff, "written": written})
    return answers


def _print(report: Report) -> None:
    for passed in report.passed:
        print(f"✓ {passed.file}:{passed.line}: {passed.summary or passed.type}")
        for line in passed.checked:
            print(f"  ✓ {line}")
        for line in passed.notes:
            print(f"  note: {line}")
        for line in passed.foreseen:
            print(f"  {line}")
        if passed.advice:
            print("  dagstermill runs it. For dagbook's own engine:")
        for line in passed.advice:
            print(f"  - {line}")
    for finding in report.findings:
        print(finding)
    if not report.files:
        print('nothing to check yet: dagbook schedule NOTEBOOK.ipynb "daily 06:00"')
    elif report.findings:
        print(f"{_counted(len(report.findings), 'problem')} in {_counted(report.files, 'file')}")


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _print_json(report: Report, fixed: list[dict[str, Any]] | None) -> None:
    answer: dict[str, Any] = {
        "schema": "dagbook.validation/1",
        "valid": not report.findings,
        "files": report.files,
        "problems": [dataclasses.asdict(finding) for finding in report.findings],
        "passed": [dataclasses.asdict(passed) for passed in report.passed],
    }
    if fixed is not None:
        answer["fixed"] = fixed
    print(json.dumps(answer, indent=1, ensure_ascii=False))
