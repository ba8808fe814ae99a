"""Make a folder a dagbook project, or make the demo project to look around in."""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path

from dagbook.defs_yaml import shown_path
from dagbook.errors import DagbookError
from dagbook.new_project import make_project
from dagbook.project import Project, require_project

EXAMPLES = """\
  dagbook init                     this folder
  dagbook init churn               a new folder, or one that exists
  dagbook init try-it --demo       three notebooks on schedules, with data

Writes dg.toml, a folder for schedules, and two lines of .gitignore; changes nothing else."""

#: Where the demo goes when no folder is named.
DEMO_FOLDER = "dagbook-demo"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dagbook init` takes."""
    parser.add_argument(
        "dir", nargs="?", type=Path, metavar="DIR",
        help=f"the project's folder (default: this one; with --demo: {DEMO_FOLDER})",
    )  # fmt: skip
    parser.add_argument(
        "--demo", action="store_true", help="copy the demo project, ready to be started"
    )
    parser.add_argument(
        "--name", metavar="MODULE",
        help="the project's Python module (default: made from the folder's name)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Make the project and say what was made and what comes next."""
    if args.demo and args.name:
        raise DagbookError("the demo has a name already: leave --name out")
    if args.demo:
        from dagbook.demo_project import copy_demo

        folder = args.dir or Path(DEMO_FOLDER)
        made = copy_demo(folder)
        project = require_project(folder)
    else:
        project, made = make_project(args.dir or Path(), args.name)
    if args.json:
        _print_json(project, made, args.demo)
    else:
        _print(project, made, args.demo)
    return 0


def _print(project: Project, made: list[Path], is_demo: bool) -> None:
    if not made:
        print(f"✓ {project.root} is a project already, nothing to make")
    elif is_demo:
        print(f"✓ made the demo in {project.root}: {len(made)} files")
    else:
        verb = "made" if project.config_file in made else "completed"
        print(f"✓ {verb} the project `{project.module}` in {project.root}")
        for path in made:
            print(f"  {shown_path(path)}")
    print(f"next: {_next_step(project, is_demo)}")


def _next_step(project: Project, is_demo: bool) -> str:
    move = "" if project.root == Path.cwd() else f"cd {shlex.quote(shown_path(project.root))} && "
    if is_demo:
        return f"{move}dagbook up"
    notebook = next(iter(sorted(project.root.glob("*.ipynb"))), None)
    name = shlex.quote(notebook.name) if notebook else "NOTEBOOK.ipynb"
    return f'{move}dagbook schedule {name} "daily 06:00"'


def _print_json(project: Project, made: list[Path], is_demo: bool) -> None:
    answer = {
        "schema": "dagbook.init/1",
        "root": str(project.root),
        "module": project.module,
        "defs_folder": str(project.defs_folder),
        "made": [str(path) for path in made],
        "next": _next_step(project, is_demo),
    }
    print(json.dumps(answer, indent=1, ensure_ascii=False))
