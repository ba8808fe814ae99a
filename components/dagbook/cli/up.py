"""Start Dagster for this project: the web page, and the scheduler behind it.

They run on this machine only, keep running when the terminal is closed, and stop with
`dagbook down`. What runs already is left alone, so the command also repairs.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from dagbook.cli.progress import say
from dagbook.project import Project, require_project

HELP = "start the scheduler and the web page of this project"

EXAMPLES = """\
  dagbook up                  start, on port 3000 or the next free one
  dagbook up --port 8080      start on port 8080
  dagbook up --json           the same, for a script: address, port and process numbers
"""

SCHEMA_ID = "dagbook.up/1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dagbook up` understands."""
    parser.add_argument("--port", type=int, metavar="N", help="port of the web page")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Start what is missing and say where it is."""
    from dagbook.execution.recovery import recover_below
    from dagbook.services import Started, start_services

    project = require_project(Path.cwd())
    # What a machine that stopped has left: the notebooks of the runs it was at.
    recover_below(project.runs_folder)
    started: Started = start_services(project, port=args.port, progress=say)
    if args.json:
        print(json.dumps(_as_json(project, started), indent=2))
        return 0
    print(_in_words(started))
    logs = os.path.relpath(project.state_folder / "logs")
    print(f"Stop it with `dagbook down`. Logs: {logs}")
    return 0


def _in_words(started: Any) -> str:
    url = started.services.url
    if started.was_up:
        return f"Dagster is up already: {url}"
    if len(started.names) < len(started.services.processes):
        return f"Dagster is up again ({', '.join(started.names)} had ended): {url}"
    return f"Dagster is up: {url}"


def _as_json(project: Project, started: Any) -> dict[str, Any]:
    from dagbook.services import instance_home

    services = started.services
    return {
        "schema": SCHEMA_ID,
        "url": services.url,
        "port": services.port,
        "was_up": started.was_up,
        "started": list(started.names),
        "processes": {process.name: process.pid for process in services.processes},
        "dagster_home": str(instance_home(project)),
        "logs": str(project.state_folder / "logs"),
    }
