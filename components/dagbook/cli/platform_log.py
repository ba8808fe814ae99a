"""Show who launched what under which rules, and whether anybody changed the record of it."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.cli.table import print_table
from dagbook.errors import DagbookError
from dagbook.project import require_project

if TYPE_CHECKING:
    from dagbook.ledger.audit import Entry, Verified

EXAMPLES = """\
  dagbook platform log
  dagbook platform log --since 2026-11-01 --asset models/churn
  dagbook platform log --connection analytics_prod   which runs had it, and what changed
  dagbook platform log --csv > audit.csv
  dagbook platform log --verify
  dagbook platform log --verify --known 120:5f3c…   with a hash kept elsewhere

exit status: 0 all is well, 2 the record was changed"""

#: What the process exits with when an entry is not as it was written.
CHANGED = 2

_EMPTY = "nothing is in the record yet"

_COLUMNS = ("number", "at", "kind", "asset", "who", "policy", "run", "detail", "previous", "hash")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dagbook platform log` takes."""
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print one JSON object")
    form.add_argument("--csv", action="store_true", help="print comma-separated values")
    parser.add_argument("--since", metavar="DATE", help="only from this day (UTC) on: 2026-11-01")
    parser.add_argument("--asset", metavar="KEY", help="only what is about this asset")
    parser.add_argument(
        "--connection", metavar="NAME",
        help="only what is about this connection: runs that had it, refusals, changes",
    )  # fmt: skip
    parser.add_argument(
        "--verify", action="store_true", help="look through all entries for one that was changed"
    )
    parser.add_argument(
        "--known", metavar="NUMBER:HASH",
        help="with --verify: an entry that has to be there, as an earlier --verify told it",
    )  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Print the entries, or what looking through them found."""
    from dagbook.services.ledger import open_ledger

    since, known = _day(args.since), _known(args)
    chosen = since is not None or args.asset is not None or args.connection is not None
    if args.verify and (args.csv or chosen):
        raise DagbookError(
            "--verify looks through all entries: leave out --csv, --since, --asset, --connection"
        )
    with open_ledger(require_project(Path.cwd()).root).read() as connection:
        if connection is None:
            entries: Iterable[Entry] = ()
            verified = _nothing(known) if args.verify else None
        else:
            from dagbook.ledger.audit import read_entries, verify

            verified = verify(connection, known=known) if args.verify else None
            entries = read_entries(connection, since=since, asset=args.asset, about=args.connection)
        if verified is not None and not args.json:
            return _print_verified(verified)
        if args.csv:
            _print_csv(entries)
        elif args.json:
            return _print_json(list(entries), verified)
        else:
            _print(list(entries), "no entry is like that" if chosen else _EMPTY)
    return 0


def _print(entries: list[Entry], none: str) -> None:
    if not entries:
        print(none)
        return
    rows = [
        (entry.at[:19], entry.kind, entry.asset, entry.who, _in_words(entry.detail))
        for entry in entries
    ]
    print_table(("WHEN (UTC)", "WHAT", "ASSET", "WHO", "HOW"), rows)


def _in_words(detail: Any) -> str:
    """The part of an entry's details that a reader looks for first."""
    texts = detail.get("texts")
    if texts:
        return str(texts[0])
    if "keys" in detail:
        names = list(detail["keys"])
        more = len(names) - 3 + int(detail.get("more_keys", 0))
        rest = f" and {more} more" if more > 0 else ""
        return f"{detail['from']} → {detail['to']}: {', '.join(names[:3])}{rest}"
    shown = ("status", "cause", "size", "team", "trigger", "expected", "cost", "by", "until")
    told = {**detail, "status": str(detail.get("status") or "").replace("_", " ")}
    words = [f"{told[name]}" for name in shown if told.get(name)]
    connections = detail.get("connections")
    return ", ".join([*words, *([f"with {' and '.join(connections)}"] if connections else [])])


def _print_csv(entries: Iterable[Entry]) -> None:
    writer = csv.writer(sys.stdout)
    writer.writerow(_COLUMNS)
    for entry in entries:
        values = entry.to_json()
        values["detail"] = json.dumps(values["detail"], sort_keys=True)
        writer.writerow([_harmless(values[name]) for name in _COLUMNS])


def _harmless(value: Any) -> Any:
    # A spreadsheet would take such a text for a formula.
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value


def _print_json(entries: list[Entry], verified: Verified | None) -> int:
    answer: dict[str, Any] = {
        "schema": "dagbook.audit/1",
        "entries": [entry.to_json() for entry in entries],
    }
    if verified is not None:
        answer["verified"] = {
            "valid": verified.problem is None,
            "entries": verified.entries,
            "hash": verified.hash,
            "problem": verified.problem,
        }
    print(json.dumps(answer, indent=1, ensure_ascii=False))
    return 0 if verified is None or verified.problem is None else CHANGED


def _print_verified(verified: Verified) -> int:
    if verified.problem is not None:
        print(f"✕ {verified.problem}")
        return CHANGED
    if not verified.entries:
        print(f"✓ {_EMPTY}")
        return 0
    one = verified.entries == 1
    said = "entry is as it was" if one else "entries are as they were"
    print(f"✓ {verified.entries} {said} written")
    print(
        f"  keep {verified.entries}:{verified.hash} elsewhere: whoever may write the database "
        "could write all of it anew"
    )
    return 0


def _nothing(known: tuple[int, str] | None) -> Verified:
    from dagbook.ledger.audit import Verified
    from dagbook.ledger.database import NO_HASH

    return Verified(0, NO_HASH, None if known is None else f"entry {known[0]} is missing")


def _day(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        raise DagbookError(f"--since {text}: give a day as YYYY-MM-DD") from None


def _known(args: argparse.Namespace) -> tuple[int, str] | None:
    if args.known is None:
        return None
    if not args.verify:
        raise DagbookError("--known goes with --verify")
    number, _, text = args.known.partition(":")
    if not number.isdecimal() or len(text) != 64:
        raise DagbookError(
            f"--known {args.known}: give NUMBER:HASH as `dagbook platform log --verify` told it"
        )
    return int(number), text
