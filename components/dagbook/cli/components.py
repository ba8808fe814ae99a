"""Show what components there are, what each one takes here, and write a catalogue of them.

They come from the packages installed with this Python, and from the project itself. What a
component takes is shown as the project's platform file leaves it.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from pathlib import Path
from typing import Any

from dagbook.cli.described import as_json, described
from dagbook.cli.table import print_table
from dagbook.errors import DagbookError, did_you_mean
from dagbook.project import Project, find_project

EXAMPLES = """\
  dagbook components list                                  all of them
  dagbook components list --filter churn                   those that speak of it
  dagbook components list --type NotebookRunnerComponent   ours, and what is built on it
  dagbook components describe NotebookRunnerComponent      what it takes, with an example
  dagbook components schema NotebookRunnerComponent        its attributes as a JSON schema
  dagbook components docs --output site                    a catalogue to read in the browser
"""

SCHEMA_ID = "dagbook.components/1"
_DEFAULT_OUTPUT = Path("component-docs")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dagbook components` understands."""
    commands = parser.add_subparsers(
        dest="command", metavar="list|describe|schema|docs", required=True
    )
    listing = _command(commands, "list", "each with its package and what it does")
    listing.add_argument(
        "--filter", metavar="TEXT", help="only those whose name, package or description holds it"
    )
    listing.add_argument(
        "--type", metavar="TYPE", help="only this component and those that are built on it"
    )
    listing.add_argument("--json", action="store_true", help="print one JSON object")

    describing = _command(commands, "describe", "what one takes, with an example")
    add_description_arguments(describing)

    schema = _command(commands, "schema", "the attributes of one as a JSON schema")
    schema.add_argument("name", metavar="NAME", help="its type; the module may be left out")

    docs = _command(commands, "docs", "write a catalogue as pages for the browser")
    docs.add_argument(
        "--output", type=Path, metavar="DIR", default=_DEFAULT_OUTPUT,
        help=f"where to write it (default: {_DEFAULT_OUTPUT})",
    )  # fmt: skip


def _command(commands: Any, word: str, text: str) -> argparse.ArgumentParser:
    """One of the words, with its own examples below its options."""
    lines = [line for line in EXAMPLES.splitlines() if f" components {word}" in line]
    made: argparse.ArgumentParser = commands.add_parser(
        word,
        help=text,
        description=f"{text[0].upper()}{text[1:]}.",
        epilog="\n".join(["examples:", *lines]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return made


def add_description_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what describing one component takes."""
    parser.add_argument("name", metavar="NAME", help="its type; the module may be left out")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """List, describe or document components."""
    commands = {"list": _list, "describe": describe, "schema": _schema, "docs": _docs}
    with _project_importable() as project:
        commands[args.command](args, project)
    return 0


def run_describe(args: argparse.Namespace) -> int:
    """Describe one component."""
    with _project_importable() as project:
        describe(args, project)
    return 0


def describe(args: argparse.Namespace, project: Project | None) -> None:
    """Print what a component takes under the policy in force."""
    from dagbook.catalogue import find_entries, find_entry
    from dagbook.catalogue.pages import describe_entry

    entry = find_entry(find_entries(project), args.name)
    found = describe_entry(entry, project)
    if args.json:
        print(json.dumps(as_json(found), indent=1, ensure_ascii=False))
    else:
        print(described(found))


def _list(args: argparse.Namespace, project: Project | None) -> None:
    from dagbook.catalogue import find_entries

    entries = find_entries(project)
    if args.type is not None:
        _require_type(args.type, entries)
        entries = [entry for entry in entries if entry.is_a(args.type)]
    if args.filter is not None:
        wanted = args.filter.lower()
        entries = [
            entry
            for entry in entries
            if wanted in f"{entry.name} {entry.package.label} {entry.summary}".lower()
        ]
    if args.json:
        rows = [
            {
                "name": entry.name,
                "summary": entry.summary,
                "problem": entry.reason,
                "package": dataclasses.asdict(entry.package),
                "runs_notebooks": entry.runs_notebooks,
            }
            for entry in entries
        ]
        answer = {"schema": SCHEMA_ID, "components": rows}
        print(json.dumps(answer, indent=1, ensure_ascii=False))
        return
    if not entries:
        print("no component is like that: `dagbook components list` shows all")
        return
    print_table(
        ("COMPONENT", "PACKAGE", "WHAT IT DOES"),
        [
            (entry.name, entry.package.label, ("✕ " if entry.reason else "") + entry.summary)
            for entry in entries
        ],
    )


def _require_type(name: str, entries: list[Any]) -> None:
    if not any(entry.is_a(name) for entry in entries):
        known = [entry.name for entry in entries if entry.component is not None]
        raise DagbookError(f"there is no component `{name}`. {did_you_mean(name, known)}")


def _schema(args: argparse.Namespace, project: Project | None) -> None:
    from dagbook.catalogue import find_entries, find_entry
    from dagbook.catalogue.schemas import schema_of
    from dagbook.platform_in_force import platform_in_force

    entry = find_entry(find_entries(project), args.name)
    schema = schema_of(entry, platform_in_force(project, entry.component))
    print(json.dumps(schema, indent=1, ensure_ascii=False))


def _docs(args: argparse.Namespace, project: Project | None) -> None:
    from dagbook.catalogue import find_entries
    from dagbook.catalogue.pages import describe_entry
    from dagbook.catalogue.site import write_site
    from dagbook.platform_in_force import platform_in_force

    platform_in_force(project)  # one that cannot be read would leave a catalogue of nothing
    sound, broken = [], []
    for entry in find_entries(project):
        try:
            if entry.reason is None:
                sound.append(describe_entry(entry, project))
            else:
                broken.append(entry)
        except DagbookError as error:
            # Such as a platform file of its package that cannot be used.
            broken.append(dataclasses.replace(entry, reason=str(error)))
    index = write_site(args.output, sound, broken, project)
    print(f"✓ {len(sound)} {'component' if len(sound) == 1 else 'components'}: {index}")
    for entry in broken:
        print(f"  ✕ {entry.reason}")


def _project_importable() -> Any:
    from contextlib import nullcontext

    from dagbook.services.instance import require_dagster
    from dagbook.validation import project_importable

    require_dagster()
    project = find_project(Path.cwd())
    return nullcontext() if project is None else project_importable(project)
