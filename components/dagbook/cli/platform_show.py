"""Print everything the platform file says, and every default, with where it comes from."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from dagbook.cli.table import print_table
from dagbook.defs_yaml import shown_path
from dagbook.errors import DagbookError
from dagbook.policy.listing import platform_values, rows_of
from dagbook.policy.package_platform import platform_of
from dagbook.policy.platform import BUILT_IN_PLATFORM, Platform
from dagbook.policy.platform_file import PLATFORM_FILE_NAME, platform_problems, read_platform
from dagbook.policy.presence import has_platform_file
from dagbook.project import Project, require_project

EXAMPLES = """\
  dagbook platform show                    what is in force in this project
  dagbook platform show ../other
  dagbook platform show draft.yaml         a file that is not in force yet
  dagbook platform show --type company_components.CompanyNotebook
  dagbook platform show --json | jq .values.compute_sizes

A value of - limits nothing. Exit status: 0 all is well, 2 the file has to be mended."""

SCHEMA_ID = "dagbook.platform/1"
#: What the process exits with when something has to be mended.
PROBLEMS_FOUND = 2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dagbook platform show` takes."""
    parser.add_argument(
        "path", nargs="?", type=Path, default=Path(), metavar="PATH",
        help="a project, or a platform file (default: this project)",
    )  # fmt: skip
    parser.add_argument(
        "--type", metavar="TYPE",
        help="what is in force for one component type, with its package's platform file",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print what is in force; a file that cannot be used, with everything wrong in it."""
    path: Path = args.path
    if path.suffix in (".yaml", ".yml") and not path.is_dir():
        file, project = path, None
    elif not path.exists():
        raise DagbookError(f"{path} does not exist")
    else:
        project = require_project(path)
        file = project.root / PLATFORM_FILE_NAME
    if project is None or file.is_symlink() or file.exists():
        problems = platform_problems(file)
        if problems:
            _print_problems([str(problem) for problem in problems], as_json=args.json)
            return PROBLEMS_FOUND
    platform = read_platform(file) if project is None else _in_force(project, args.type)
    if args.json:
        print(json.dumps(_as_json(platform), indent=1, ensure_ascii=False))
        return 0
    there = project is None or has_platform_file(project.root)
    print(f"{shown_path(file)}, version {platform.version}" if there else _without(file, platform))
    print()
    rows = [(row.key, row.text, row.origin) for row in rows_of(platform)]
    print_table(("KEY", "VALUE", "FROM"), rows)
    return 0


def _without(file: Path, platform: Platform) -> str:
    if platform.version == BUILT_IN_PLATFORM.version:
        return f"There is no {shown_path(file)}: these are the defaults."
    return (
        f"There is no {shown_path(file)}: the defaults, and what the package says, "
        f"version {platform.version}"
    )


def _in_force(project: Project, type_name: str | None) -> Platform:
    if type_name is None:
        return platform_of(project.root)
    from dagbook.component_types import find_component_type

    sys.path.insert(0, str(project.import_root))
    try:
        found = find_component_type(type_name, project.defs_folder / "defs.yaml", project)
    finally:
        sys.path.remove(str(project.import_root))
    return platform_of(project.root, found)


def _as_json(platform: Platform) -> dict[str, object]:
    return {
        "schema": SCHEMA_ID,
        "version": platform.version,
        "file": None if platform.file is None else str(platform.file),
        "values": platform_values(platform),
        "from": {row.key: row.origin for row in rows_of(platform)},
    }


def _print_problems(problems: list[str], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps({"schema": SCHEMA_ID, "problems": problems}, indent=1, ensure_ascii=False))
        return
    for problem in problems:
        print(problem)
    print("1 problem" if len(problems) == 1 else f"{len(problems)} problems")
