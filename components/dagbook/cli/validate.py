"""Check component YAML and the notebooks it names; every error comes with its place."""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path

from dagbook.validation import Report, validate_paths

EXAMPLES = """\
  dagbook validate                          the whole project
  dagbook validate churn.ipynb              the components that run a notebook
  dagbook validate churn/defs/models        one folder
  dagbook validate --json | jq .problems

exit status: 0 all is well, 2 something has to be mended"""

#: What the process exits with when something has to be mended.
PROBLEMS_FOUND = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dagbook validate` takes."""
    parser.add_argument(
        "path", nargs="*", type=Path, metavar="PATH",
        help="component files, folders or notebooks (default: this project)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print every problem as ``file:line:key: text`` and a line for each sound component."""
    report = validate_paths(args.path or [Path()])
    if args.json:
        _print_json(report)
    else:
        _print(report)
    return PROBLEMS_FOUND if report.findings else 0


def _print(report: Report) -> None:
    for passed in report.passed:
        print(f"✓ {passed.file}:{passed.line}: {passed.summary or passed.type}")
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


def _print_json(report: Report) -> None:
    answer = {
        "schema": "dagbook.validation/1",
        "valid": not report.findings,
        "files": report.files,
        "problems": [dataclasses.asdict(finding) for finding in report.findings],
        "passed": [dataclasses.asdict(passed) for passed in report.passed],
    }
    print(json.dumps(answer, indent=1, ensure_ascii=False))
