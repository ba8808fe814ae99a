"""Say that a project's Python code may run, take it back, or list what is trusted.

A project that you made with `dagbook init` or `dagbook schedule` is trusted. One that came from
somewhere else brings code along, which JupyterLab and notebooks do not run before you said so.
DAGBOOK_TRUST=1 trusts whatever is opened, as on a build machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from dagbook.errors import DagbookError
from dagbook.project import absolute_path, find_project, require_project
from dagbook.trust import distrust_project, is_trusted, trust_project, trusted_projects

EXAMPLES = """\
  dagbook trust                 trust the project of this folder
  dagbook trust ../churn        trust another one
  dagbook trust --remove        take it back
  dagbook trust --list          what is trusted
"""

SCHEMA_ID = "dagbook.trust/1"

#: Commands that run what a project brings along: its modules, classes its settings name. Not
#: `run`: it runs the one notebook that it is given.
ASK_BEFORE = frozenset(
    {"components", "deploy", "describe", "runs", "schedule", "test", "up", "validate"}
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dagbook trust` takes."""
    parser.add_argument(
        "project", nargs="?", type=Path, default=Path(), help="a folder in it (default: this one)"
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--remove", action="store_true", help="trust it no longer")
    which.add_argument("--list", action="store_true", help="list the projects that are trusted")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Write down what was said."""
    if args.list:
        _list(as_json=args.json)
        return 0
    root = _root(args.project)
    if args.remove:
        changed = distrust_project(root)
        words = "is trusted no longer" if changed else "was not trusted"
    else:
        trust_project(root)
        changed, words = True, "is trusted"
    if args.json:
        told = {"schema": SCHEMA_ID, "project": str(root), "trusted": not args.remove}
        print(json.dumps(told, indent=1))
    else:
        print(f"{'✓ ' if changed else ''}{root} {words}")
    return 0


def ask_before(args: argparse.Namespace) -> None:
    """Ask, once and on a terminal only, whether the code of somebody's project may run.

    Where nobody can answer, whoever wrote the script has said so by writing it.

    Raises:
        DagbookError: it may not.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    for root in dict.fromkeys(_roots_of(args)):
        if is_trusted(root):
            continue
        print(
            f"{root} was not made here. This command runs Python code that came with it.",
            file=sys.stderr,
        )
        print("Do you trust who wrote it? [y/N] ", end="", file=sys.stderr, flush=True)
        if sys.stdin.readline().strip().lower() not in ("y", "yes"):
            raise DagbookError(f"nothing was run: `dagbook trust {root}` says that it may be")
        trust_project(root)


def _roots_of(args: argparse.Namespace) -> list[Path]:
    """The projects that a command line is about."""
    named: list[Any] = []
    for name in ("path", "file", "notebook"):
        value = getattr(args, name, None)
        named += value if isinstance(value, list) else [value]
    paths = [Path(each) for each in named if isinstance(each, str | Path)] or [Path()]
    found = [find_project(path) for path in paths]
    return [project.root for project in found if project is not None]


def _root(path: Path) -> Path:
    if not path.exists():
        raise DagbookError(f"{path} does not exist")
    project = find_project(path)
    # What the path's project is, not the path itself: trust is never of half a project.
    return require_project(absolute_path(path)).root if project is None else project.root


def _list(*, as_json: bool) -> None:
    projects = trusted_projects()
    if as_json:
        rows = [{"project": str(p.root), "since": p.since} for p in projects]
        print(json.dumps({"schema": SCHEMA_ID, "projects": rows}, indent=1))
        return
    for project in projects:
        print(f"{project.root}  since {project.since[:10]}")
    if not projects:
        print("no project is trusted yet")
