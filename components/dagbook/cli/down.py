"""Stop what `dagbook up` started, with everything that runs below it.

Runs under way are cancelled as from Dagster's page: their notebooks are stored as far as they
came. `--wait` lets them come to their end first. Runs still in the queue start after the next
`dagbook up`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from dagbook.cli.progress import say
from dagbook.project import require_project

HELP = "stop what `dagbook up` started"

EXAMPLES = """\
  dagbook down                stop now, and cancel the runs under way
  dagbook down --wait         let the runs under way come to their end, then stop
"""

SCHEMA_ID = "dagbook.down/1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dagbook down` understands."""
    parser.add_argument(
        "--wait", action="store_true", help="let the runs under way come to their end first"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Stop everything and say what became of the runs under way."""
    from dagbook.services import stop_services

    stopped = stop_services(require_project(Path.cwd()), wait=args.wait, progress=say)
    if args.json:
        answer = {
            "schema": SCHEMA_ID,
            "was_up": stopped.was_up,
            "waited_for": list(stopped.waited_for),
            "cancelled": list(stopped.cancelled),
        }
        print(json.dumps(answer, indent=2))
        return 0
    if not stopped.was_up:
        print("Dagster does not run for this project.")
        return 0
    print("Dagster is down.")
    if stopped.cancelled:
        runs = ", ".join(run_id[:8] for run_id in stopped.cancelled)
        print(f"Cancelled: {runs}. `dagbook runs list` shows how far they came.")
    return 0
