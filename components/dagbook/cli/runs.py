"""List the runs of this project, and open what one of them left.

`list` shows the newest runs first. `open` shows a run's executed notebook in the browser, or its
page in Dagster; without RUN, the last one.
"""

from __future__ import annotations

import argparse
import json
import os
import webbrowser
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.cli.table import print_table
from dagbook.errors import DagbookError
from dagbook.project import Project, require_project

if TYPE_CHECKING:
    from dagbook.services.run_history import Run

HELP = "list the runs of this project, open one"

EXAMPLES = """\
  dagbook runs list                             the last 20 runs
  dagbook runs list --notebook churn.ipynb      only those of one notebook
  dagbook runs list --json --limit 100          the same, for a script
  dagbook runs open                             the last run, in the browser
  dagbook runs open 6f1c2a0d --no-browser       print where its notebook lies
  dagbook runs open 6f1c2a0d --dagster          its page in Dagster
"""

SCHEMA_ID = "dagbook.runs/1"
_DEFAULT_LIMIT = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dagbook runs` understands."""
    commands = parser.add_subparsers(dest="command", metavar="list|open", required=True)

    listing = commands.add_parser("list", help="the newest runs first")
    listing.add_argument("--notebook", metavar="PATH", help="only the runs of this notebook")
    listing.add_argument(
        "--limit", type=_count, default=_DEFAULT_LIMIT, metavar="N", help="how many (default: 20)"
    )
    listing.add_argument("--json", action="store_true", help="print one JSON object")

    opening = commands.add_parser("open", help="show what a run left")
    opening.add_argument("run", nargs="?", metavar="RUN", help="a run's id, or how it begins")
    opening.add_argument("--dagster", action="store_true", help="its page in Dagster")
    opening.add_argument("--no-browser", action="store_true", help="print where it is instead")
    opening.add_argument("--json", action="store_true", help="print one JSON object instead")


def run(args: argparse.Namespace) -> int:
    """List runs, or open one; those that vanished get their notebooks first."""
    from dagbook.execution.recovery import recover_below

    project = require_project(Path.cwd())
    recover_below(project.runs_folder)
    if args.command == "list":
        return _list(project, args)
    return _open(project, args)


def _list(project: Project, args: argparse.Namespace) -> int:
    from dagbook.services.run_history import list_runs

    assets = None if args.notebook is None else _assets_of(project, args.notebook)
    runs = list_runs(project, limit=args.limit, assets=assets)
    if args.json:
        print(json.dumps({"schema": SCHEMA_ID, "runs": [_as_json(r) for r in runs]}, indent=2))
    elif not runs:
        print("No runs yet.")
    else:
        print_table(("RUN", "STATE", "STARTED", "TOOK", "OF", "NOTEBOOK"), map(_row, runs))
    if not args.json:
        from dagbook.sinks.replay import describe_spools

        for line in describe_spools(project.state_folder):
            print(f"MLflow: {line}")
    return 0


def _open(project: Project, args: argparse.Namespace) -> int:
    from dagbook.services.run_history import find_run

    found = find_run(project, args.run)
    if args.json:
        print(json.dumps({"schema": SCHEMA_ID, "runs": [_as_json(found)]}, indent=2))
        return 0
    place = _page_in_dagster(project, found) if args.dagster else _place(project, found)
    print(place)
    if not args.no_browser:
        webbrowser.open(place if "://" in place else Path(place).as_uri())
    return 0


def _place(project: Project, found: Run) -> str:
    """Where a run is best looked at: its page as HTML, its notebook, or in Dagster."""
    for path in (found.executed_html, found.executed_notebook):
        if path is not None and path.exists():
            return str(path)
    return _page_in_dagster(project, found)


def _page_in_dagster(project: Project, found: Run) -> str:
    from dagbook.services import find_services

    services = find_services(project)
    if services is None:
        raise DagbookError(f"run {found.id[:8]} can be shown in Dagster only: `dagbook up` first")
    return f"{services.url}/runs/{found.id}"


def _assets_of(project: Project, notebook: str) -> set[str]:
    from dagbook.component_index import index_components
    from dagbook.errors import did_you_mean

    index = index_components(project)
    path = project.relative(Path(notebook))
    keys = {component.key for component in index.of_notebook(path)}
    if not keys:
        known = sorted({component.notebook for component in index.components})
        raise DagbookError(f"no component runs {path}. {did_you_mean(path, known)}")
    return keys


def _row(found: Run) -> tuple[str, ...]:
    began = datetime.fromtimestamp(found.started_at or found.created_at).astimezone()
    what = ", ".join(found.assets)
    if found.partition is not None:
        what += f" [{found.partition}]"
    notebook = found.executed_notebook
    return (
        found.id[:8],
        found.state,
        began.strftime("%Y-%m-%d %H:%M"),
        "" if found.duration_seconds is None else _span(found.duration_seconds),
        what,
        "" if notebook is None else os.path.relpath(notebook),
    )


def _span(seconds: float) -> str:
    """A duration as a reader says it: `0.4 s`, `12 s`, `3 min 05 s`, `2 h 10 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def _as_json(found: Run) -> dict[str, Any]:
    return {
        "run_id": found.id,
        "state": found.state,
        "created_at": found.created_at,
        "started_at": found.started_at,
        "duration_seconds": found.duration_seconds,
        "assets": list(found.assets),
        "partition": found.partition,
        "reason": found.reason,
        "executed_notebook": _text(found.executed_notebook),
        "executed_html": _text(found.executed_html),
    }


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number
