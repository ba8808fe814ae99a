"""Show what runs have cost in a month: by team, by asset and one by one."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dagbook.cli.table import print_table
from dagbook.errors import DagbookError
from dagbook.policy.cost import in_money
from dagbook.project import require_project

if TYPE_CHECKING:
    from dagbook.ledger.costs import Costs

EXAMPLES = """\
  dagbook platform costs
  dagbook platform costs --month 2026-11 --team growth
  dagbook platform costs --json | jq .teams"""

#: How many runs are listed; `--json` has all of them.
RUNS_SHOWN = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dagbook platform costs` takes."""
    parser.add_argument("--month", metavar="YYYY-MM", help="which (UTC; default: this one)")
    parser.add_argument("--team", metavar="NAME", help="only of this team")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the sums, the budgets they count against, the runs, and what would be cheaper."""
    from dagbook.ledger.costs import read_costs
    from dagbook.policy.platform_file import find_platform
    from dagbook.services.ledger import open_ledger

    month = args.month or datetime.now(UTC).strftime("%Y-%m")
    if not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", month):
        raise DagbookError(f"--month {month}: give a month as YYYY-MM")
    project = require_project(Path.cwd())
    platform = find_platform(project.root)
    costs = read_costs(open_ledger(project.root), platform, month, args.team)
    if args.json:
        print(json.dumps(costs.to_json(), indent=1, ensure_ascii=False))
    else:
        _print(costs, has_prices=platform.has_prices)
    return 0


def _print(costs: Costs, *, has_prices: bool) -> None:
    if not costs.has_prices:
        if has_prices:
            print(f"nothing that has a price ran in {costs.month}")
        else:
            print(
                "no size has a price: `price_per_hour` in the platform file says what an hour costs"
            )
    else:
        _print_sums(costs)
        if costs.advice:
            print()
    for asset, advice in costs.advice.items():
        print(f"{asset}: {advice}")


def _print_sums(costs: Costs) -> None:
    def money(amount: float | None) -> str:
        return "" if amount is None else in_money(amount, costs.currency)

    print_table(
        (f"TEAM, {costs.month}", "SPENT", "RESERVED", "WARNED AT", "STOPPED AT", "RUNS"),
        (
            (
                line.team or "no team",
                money(line.spent),
                money(line.reserved),
                money(line.warn_at),
                money(line.stop_at),
                str(line.runs),
            )
            for line in costs.teams
        ),
    )
    print()
    assets: Iterable[tuple[str, ...]] = (
        (line.name, line.team or "no team", money(line.spent), money(line.reserved), str(line.runs))
        for line in costs.assets
    )
    print_table(("ASSET", "TEAM", "SPENT", "RESERVED", "RUNS"), assets)
    print()
    last = costs.runs[-RUNS_SHOWN:]
    print_table(
        ("STARTED (UTC)", "RUN", "ASSET", "SIZE", "STATE", "COST"),
        (
            (
                datetime.fromtimestamp(run.started, UTC).strftime("%Y-%m-%d %H:%M"),
                run.run[:8] + (f" try {run.attempt}" if run.attempt > 1 else ""),
                run.name,
                run.size,
                run.status.replace("_", " "),
                money(run.cost) if run.cost is not None else f"{money(run.reserved)} reserved",
            )
            for run in reversed(last)
        ),
    )
    if len(costs.runs) > len(last):
        print(f"and {len(costs.runs) - len(last)} earlier runs: --json lists them")
