"""Try every connection as this deployment, and say which ones a run could not use."""

from __future__ import annotations

import argparse
import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dagbook.cli.table import print_table
from dagbook.errors import DagbookError, did_you_mean
from dagbook.project import require_project

if TYPE_CHECKING:
    from dagbook.credentials.checking import Checked
    from dagbook.policy.connections import Connection

EXAMPLES = """\
  dagbook platform check
  dagbook platform check --connection analytics_prod
  DAGBOOK_ENVIRONMENT=prod dagbook platform check
  dagbook platform check --json | jq '.connections[] | select(.state != "works")'

Run it where runs start, as the user they start as: what is tried is what this machine, this user
and this environment may do. No value is ever printed.

exit status: 0 all that were tried work, 1 one does not or has expired, 2 the file has to be mended"""

SCHEMA_ID = "dagbook.platform-check/1"
#: What the process exits with when a connection does not work.
PROBLEMS_FOUND = 1
_MOST_FIELDS = 6


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dagbook platform check` takes."""
    parser.add_argument("--connection", metavar="NAME", help="only this one")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print a line for each connection, and why those that do not work do not."""
    from dagbook.context import DEFAULT_ENVIRONMENT, ENVIRONMENT_VARIABLE
    from dagbook.credentials.checking import TO_MEND, check_connections
    from dagbook.policy.package_platform import platform_of

    platform = platform_of(require_project(Path.cwd()).root)
    wanted = list(platform.connections.values())
    if args.connection is not None:
        if args.connection not in platform.connections:
            near = did_you_mean(args.connection, platform.connections)
            raise DagbookError(f"there is no connection `{args.connection}`. {near}")
        wanted = [platform.connections[args.connection]]
    environment = os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_ENVIRONMENT
    checked = check_connections(wanted, platform, os.environ, environment)
    if args.json:
        print(json.dumps(_as_json(checked, environment), indent=1, ensure_ascii=False))
    else:
        _print(checked, environment)
    return PROBLEMS_FOUND if any(one.state in TO_MEND for one in checked) else 0


def _print(checked: list[Checked], environment: str) -> None:
    if not checked:
        print("the platform file names no connections")
        return
    print_table(
        ("CONNECTION", "PROVIDER", "STATE", "FIELDS", "EXPIRES IN", "WHO MAY USE IT"),
        (
            (
                one.connection.name,
                one.connection.provider,
                one.state,
                _fields(one),
                _left(one),
                who_may_use(one.connection),
            )
            for one in checked
        ),
    )
    reasons = [one.reason for one in checked if one.reason]
    if reasons:
        print("\n" + "\n".join(reasons))
    print(
        f"\ntried in the environment {environment}, as this machine and user may{_unjudged(checked)}"
    )


def _unjudged(checked: list[Checked]) -> str:
    from dagbook.credentials.checking import NOT_TRIED

    number = sum(one.state == NOT_TRIED for one in checked)
    what = "1 connection" if number == 1 else f"{number} connections"
    return f"; {what} of other environments cannot be judged from here" if number else ""


def _fields(one: Checked) -> str:
    from dagbook.credentials.checking import WORKS

    if one.fields:
        more = len(one.fields) - _MOST_FIELDS
        return ", ".join(one.fields[:_MOST_FIELDS]) + (f" and {more} more" if more > 0 else "")
    return "one text" if one.state == WORKS else "-"


def _left(one: Checked) -> str:
    from dagbook.credentials.checking import seconds_left

    seconds = seconds_left(one)
    if seconds is None:
        return "-"
    minutes = int(seconds // 60)
    if minutes < 120:
        return f"{minutes} min" if minutes else "less than 1 min"
    hours = minutes // 60
    return f"{hours} h" if hours < 48 else f"{hours // 24} days"


def who_may_use(connection: Connection) -> str:
    """Who may use a connection, in words: ``team growth; models/**; in prod``."""
    if connection.logs_in_to_tracking:
        return "the runner alone"
    parts = []
    if connection.teams is not None:
        teams = sorted(connection.teams)
        word = "team" if len(teams) == 1 else "teams"
        parts.append(f"{word} {', '.join(teams)}" if teams else "nobody")
    parts += [", ".join(connection.folders)] if connection.folders else []
    if connection.environments is not None:
        parts.append(f"in {', '.join(sorted(connection.environments)) or 'no environment'}")
    return "; ".join(parts) or "everybody"


def _as_json(checked: list[Checked], environment: str) -> dict[str, object]:
    return {
        "schema": SCHEMA_ID,
        "environment": environment,
        "connections": [
            {
                "name": one.connection.name,
                "provider": one.connection.provider,
                "state": one.state,
                "reason": one.reason or None,
                "fields": list(one.fields),
                "expires_at": _moment(one.expires_at),
                "teams": _sorted(one.connection.teams),
                "folders": list(one.connection.folders),
                "environments": _sorted(one.connection.environments),
                "runner_alone": one.connection.logs_in_to_tracking,
            }
            for one in checked
        ],
    }


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _sorted(names: frozenset[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)
