"""Say when the notebook runs; writes its settings as `dagbook schedule` does."""

from __future__ import annotations

import argparse
import subprocess
from typing import Any

from dagbook.errors import DagbookError
from dagbook_magics.commands.run import values_of
from dagbook_magics.note import Note, Row
from dagbook_magics.said import moment
from dagbook_magics.situation import Situation

#: Dagster takes its time to come up. Seconds.
_START_SECONDS = 180.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The same as `dagbook schedule` takes."""
    parser.add_argument(
        "when", nargs="*", help='in words or as cron: daily 06:00, weekdays 07:30, "0 6 * * *"'
    )
    parser.add_argument("--timezone", metavar="ZONE", help="such as Europe/Berlin")
    parser.add_argument("--size", metavar="NAME", help="how much of the machine a run may use")
    parser.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="NAME=VALUE",
        help="a value for a parameter; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--component", metavar="NAME", help="which one, where several run the notebook"
    )
    parser.add_argument("--init", action="store_true", help="make the project as well")
    parser.add_argument("--start", action="store_true", help="start what runs schedules as well")
    parser.add_argument("--dry-run", action="store_true", help="only show what would change")


def run(situation: Situation, args: argparse.Namespace) -> None:
    """Write, and say what changed, when it runs next and what is still missing."""
    wish = {
        name: value
        for name, value in (
            ("schedule", " ".join(args.when) or None),
            ("timezone", args.timezone),
            ("size", args.size),
            ("parameters", values_of(args.parameter) or None),
        )
        if value is not None
    }
    if not wish and args.start:
        situation.require_project("%dagster schedule --start")
        situation.show(start_services(situation))
        return
    if not wish:
        raise DagbookError('say when: `%dagster schedule "daily 06:00"`')
    if not args.init or args.dry_run:
        situation.require_project(_again(args))
    verb = "preview" if args.dry_run else "write"
    arguments: dict[str, Any] = {"wish": wish, "component": args.component}
    if args.init and not args.dry_run:
        arguments["init"] = True
    told = situation.ask(verb, **arguments)
    # It may lie in a project now.
    situation.__dict__.pop("project", None)
    notes = [said_change(situation, told, dry_run=args.dry_run)]
    if not args.dry_run:
        notes.append(start_services(situation) if args.start else reload_services(situation))
    situation.show(*notes, *situation.version_note)


def _again(args: argparse.Namespace) -> str:
    return f'%dagster schedule "{" ".join(args.when)}"' if args.when else "%dagster schedule …"


def said_change(situation: Situation, told: dict[str, Any], *, dry_run: bool = False) -> Note:
    """What was written, or would be, in words; the YAML below."""
    verb = "Would write" if dry_run else "✓"
    title = f"{verb} {situation.name}: {told['words']}"
    if not told["changed"] and not told.get("written"):
        title = f"Nothing to change: {situation.name} runs {told['schedule'] or 'when launched'}."
    rows = []
    if told.get("made_project"):
        rows.append(Row(("project", f"made `{told['made_project']}` in {situation.root}")))
    if told["next_runs"]:
        rows.append(Row(("next", ", ".join(moment(each) for each in told["next_runs"]))))
    rows.append(Row(("file", str(told["file"]))))
    return Note(title, rows, text=told["text"].rstrip() if told["changed"] else "", is_folded=True)


def reload_services(situation: Situation) -> Note:
    """Have a Dagster that runs read the change, and say where it stands."""
    found = situation.ask_project("reload")
    if found["running"]:
        return Note(f"Dagster has read it: {found['url']}", links=[found["url"]])
    return Note(
        "Nothing is running schedules here yet. `%dagster schedule --start` starts it.",
        is_warning=True,
    )


def start_services(situation: Situation) -> Note:
    """Start what runs schedules for the project, and say where it is.

    Raises:
        DagbookError: it does not start; the text says why.
    """
    python = situation.python
    # In the project's own Python, which has Dagster; it goes on when this kernel ends.
    command = [python, "-m", "dagbook", "up"]
    try:
        done = subprocess.run(
            command,
            cwd=situation.root,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_START_SECONDS,
            start_new_session=True,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DagbookError(f"what runs schedules could not be started: {error}") from None
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise DagbookError(
            f"what runs schedules could not be started: {said[-1] if said else 'no reason given'}"
        )
    found = situation.ask_project("services")
    where = f": {found['url']}" if found["url"] else ""
    return Note(f"✓ Schedules run now{where}", links=[found["url"]] if found["url"] else [])
