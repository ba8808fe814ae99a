"""Check component YAML and the notebooks it names; every error comes with its place.

Of one file or notebook it says each thing that was checked; of more, with --verbose. Of a notebook
it also says what would go wrong at night, whether a component runs it yet or not. YAML that was
written for an older version of its component is rewritten with --fix, a notebook is changed with
--fix --only.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.cli.diff import coloured
from dagbook.defs_yaml import shown_path
from dagbook.errors import DagbookError
from dagbook.validation import Report, validate_paths

if TYPE_CHECKING:
    from dagbook.cli.night import Night

EXAMPLES = """\
  dagbook validate                          the whole project
  dagbook validate churn.ipynb              a notebook, and the components that run it
  dagbook validate churn/defs/models        one folder
  dagbook validate --json | jq .problems
  dagbook validate --fix                    show what would be rewritten, and ask
  dagbook validate --fix --yes              rewrite it
  dagbook validate churn.ipynb --fix --only installs-packages:2
  dagbook validate churn.ipynb --undo       take back the fix applied last

exit status: 0 all is well, 2 something has to be mended: an error, or a notebook on a schedule
that will fail"""

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
    parser.add_argument(
        "--only", action="append", default=[], metavar="RULE[:CELL]",
        help="with --fix: apply the fix of a finding about one notebook; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--undo", action="store_true", help="take back the last fix of one notebook"
    )
    parser.add_argument("--yes", action="store_true", help="with --fix: do not ask")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print every error with its place, or a tick for each sound component."""
    paths = args.path or [Path()]
    if args.yes and not args.fix:
        raise DagbookError("--yes goes with --fix")
    if args.only and not args.fix:
        raise DagbookError("--only goes with --fix")
    if args.only or args.undo:
        return _change_notebook(args)
    is_one = len(args.path) == 1 and args.path[0].is_file()
    nights = _nights(paths)
    others = [path for path in paths if _has_components(path, nights)]
    fixed = _fix(args, others) if args.fix and others else []
    report, unchecked = _validate(others, nights, in_detail=args.verbose or is_one)
    if args.json:
        _print_json(report, fixed if args.fix else None, nights)
    else:
        _print(report, is_alone=not nights)
        if nights:
            from dagbook.cli.night import print_night

            for night in nights:
                print_night(night)
        if unchecked is not None:
            print(f"its components were not checked: {unchecked}")
    failed = report.findings or unchecked or any(night.has_failed for night in nights)
    return PROBLEMS_FOUND if failed else 0


def _nights(paths: list[Path]) -> list[Night]:
    """What is found in the notebooks among the paths."""
    notebooks = [path for path in paths if path.suffix in (".ipynb", ".py", ".md")]
    if not notebooks:
        return []
    from dagbook.cli.night import is_notebook, look

    found = (look(path) for path in notebooks if is_notebook(path))
    return [night for night in found if night is not None]


def _has_components(path: Path, nights: list[Night]) -> bool:
    """Whether there is component YAML to check for a path."""
    return all(night.components for night in nights if night.path == path)


def _validate(
    paths: list[Path], nights: list[Night], *, in_detail: bool
) -> tuple[Report, str | None]:
    """Check the components; without Dagster, of a notebook say that they were not."""
    if not paths:
        return Report(), None
    try:
        return validate_paths(paths, in_detail=in_detail), None
    except DagbookError as error:
        if nights and importlib.util.find_spec("dagster") is None:
            return Report(), str(error)
        raise


def _change_notebook(args: argparse.Namespace) -> int:
    from dagbook.cli.night import apply_fixes, undo_last

    word = "--undo" if args.undo else "--only"
    if args.undo and args.fix:
        raise DagbookError("--undo takes back a fix, --fix applies one: give one of them")
    if len(args.path) != 1 or args.path[0].suffix != ".ipynb":
        raise DagbookError(f"{word} is about one notebook: name its .ipynb")
    changed = undo_last(args, args.path[0]) if args.undo else apply_fixes(args, args.path[0])
    if args.json:
        answer = {"schema": "dagbook.validation/1", "changed": changed}
        print(json.dumps(answer, indent=1, ensure_ascii=False))
    return 0


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


def _print(report: Report, *, is_alone: bool = True) -> None:
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
    if not report.files and is_alone:
        print('nothing to check yet: dagbook schedule NOTEBOOK.ipynb "daily 06:00"')
    elif report.findings:
        print(f"{_counted(len(report.findings), 'problem')} in {_counted(report.files, 'file')}")


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _print_json(report: Report, fixed: list[dict[str, Any]] | None, nights: list[Night]) -> None:
    answer: dict[str, Any] = {
        "schema": "dagbook.validation/1",
        "valid": not report.findings,
        "files": report.files,
        "problems": [dataclasses.asdict(finding) for finding in report.findings],
        "passed": [dataclasses.asdict(passed) for passed in report.passed],
    }
    if nights:
        from dagbook.cli.night import night_json

        answer["night"] = [night_json(night) for night in nights]
    if fixed is not None:
        answer["fixed"] = fixed
    print(json.dumps(answer, indent=1, ensure_ascii=False))
