"""Show what ran: how it ended, how long it took, what it cost and what it measured."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dagbook.errors import DagbookError
from dagbook_magics.note import Note, Row
from dagbook_magics.said import clock, number, seconds, size, sparkline, trend
from dagbook_magics.situation import Situation

#: So many runs are looked through for one by its name.
_LOOKED_THROUGH = 200
_SHORT = 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """How many, or which two to compare."""
    parser.add_argument(
        "what", nargs="*", metavar="diff A B",
        help="compare two runs, by the beginnings of their names",
    )  # fmt: skip
    parser.add_argument("--limit", type=int, default=10, help="how many (default: 10)")


def run(situation: Situation, args: argparse.Namespace) -> None:
    """Show the last runs, the newest first, or what differs between two."""
    situation.require_project('%dagster schedule "daily 06:00"')
    words = args.what
    if words and (words[0] != "diff" or len(words) != 3):
        raise DagbookError(
            "`%dagster runs` lists them, `%dagster runs diff A B` compares two by the beginnings "
            "of their names"
        )
    limit = _LOOKED_THROUGH if words else args.limit
    found = situation.ask("runs", limit=limit)["runs"]
    if words:
        one, other = (_named(found, word) for word in words[1:])
        situation.show(_difference(one, other))
        return
    if not found:
        situation.show(Note(f"{situation.name} has not run yet. `%dagster run` tries it."))
        return
    links = [run["executed_notebook"] for run in found if run["executed_notebook"]]
    folder = situation.notebook.parent
    notes = [Note("Runs, the newest first:", list(_rows(found)), links=links, folder=folder)]
    series = list(_series(found))
    if series:
        notes.append(Note("Metrics, the oldest first:", series))
    situation.show(*notes)


def _rows(runs: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    for run in runs:
        checks = [f"{name} {said}" for name, said in run["checks"].items() if said != "passed"]
        passed = sum(said == "passed" for said in run["checks"].values())
        if passed:
            checks.append(f"{passed} passed")
        took, peak = run["duration_seconds"], run["peak_memory_bytes"]
        yield Row(
            (
                run["run"][:_SHORT],
                run["state"],
                clock(run["started_at"] or run["created_at"]),
                "" if took is None else seconds(took),
                "" if peak is None else size(peak),
                "" if run["cost"] is None else f"{run['cost']:.2f} {run['currency'] or ''}".strip(),
                run["partition"] or _values(run["parameters"]),
                ", ".join(checks),
                run["reason"] or "",
                run["executed_notebook"] or "",
            )
        )


def _series(runs: Sequence[Mapping[str, Any]]) -> Iterator[Row]:
    oldest_first = list(reversed(runs))
    names = dict.fromkeys(name for run in oldest_first for name in run["metrics"])
    for name in names:
        values = [float(run["metrics"][name]) for run in oldest_first if name in run["metrics"]]
        yield Row((name, sparkline(values), trend(values)))


def _values(parameters: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in parameters.items())


def _named(runs: Sequence[Mapping[str, Any]], word: str) -> Mapping[str, Any]:
    fitting = [run for run in runs if run["run"].startswith(word)]
    if len(fitting) == 1:
        return fitting[0]
    known = ", ".join(run["run"][:_SHORT] for run in runs[:8]) or "there are none"
    said = "begins the name of no run" if not fitting else "begins the names of several runs"
    raise DagbookError(f"{word} {said} of this notebook. The last ones: {known}")


def _difference(one: Mapping[str, Any], other: Mapping[str, Any]) -> Note:
    rows = []
    pairs: list[tuple[str, Any, Any]] = [
        (key.replace("_", " "), one[key], other[key]) for key in ("state", "size")
    ]
    pairs.append(("took", _took(one), _took(other)))
    for group, label in (("parameters", ""), ("metrics", ""), ("checks", "check ")):
        names = dict.fromkeys([*one[group], *other[group]])
        pairs += [(f"{label}{n}", one[group].get(n), other[group].get(n)) for n in names]
    pairs.append(("code", _code(one), _code(other)))
    for name, before, after in pairs:
        if before != after:
            rows.append(Row((name, _shown(before), "→", _shown(after))))
    named = f"{one['run'][:_SHORT]} → {other['run'][:_SHORT]}"
    if not rows:
        return Note(f"{named}: nothing that is recorded differs.")
    return Note(f"{named}, what differs:", rows)


def _took(run: Mapping[str, Any]) -> str:
    return "" if run["duration_seconds"] is None else seconds(run["duration_seconds"])


def _code(run: Mapping[str, Any]) -> str:
    return str(run["code_version"] or "")[:_SHORT]


def _shown(value: Any) -> str:
    if value is None:
        return "—"
    return number(value) if isinstance(value, float) else str(value)
