"""Try the notebook now, exactly as production would run it, and say what came of it."""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Mapping
from typing import Any

from dagbook.errors import DagbookError
from dagbook_magics.live import LiveNote
from dagbook_magics.note import Note, Row
from dagbook_magics.said import number, seconds, size
from dagbook_magics.situation import Situation

#: A trial takes as long as its size allows; the bridge ends it, not we. Seconds.
_LONGEST = 7 * 86400.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What may be different from what is scheduled."""
    parser.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="NAME=VALUE",
        help="a value for a parameter; may be repeated",
    )  # fmt: skip
    parser.add_argument("--size", metavar="NAME", help="another size than the scheduled one")
    parser.add_argument(
        "--component", metavar="NAME", help="which one, where several run the notebook"
    )
    parser.add_argument("--partition", metavar="KEY", help="which partition; default: the last")


def run(situation: Situation, args: argparse.Namespace) -> None:
    """Run it, showing the cell it is at; interrupt the cell to cancel it."""
    arguments: dict[str, Any] = {"parameters": values_of(args.parameter)}
    situation.show(*situation.version_note)
    live = LiveNote(situation.shell, Note(f"Trying {situation.name} …"))

    def progress(event: Mapping[str, Any]) -> None:
        if "cell" in event:
            live.update(_at(situation.name, int(event["cell"]), int(event["of"])))

    if args.component is not None:
        arguments["component"] = args.component
    if args.size is not None:
        arguments["size"] = args.size
    if args.partition is not None:
        arguments["partition"] = args.partition
    try:
        if not _is_scheduled(situation):
            live.update(outcome(situation, _by_command(situation, args)))
            return
        told = situation.ask("trial", on_event=progress, timeout=_LONGEST, **arguments)
    except KeyboardInterrupt:
        live.update(Note(f"The trial of {situation.name} was cancelled.", is_warning=True))
        return
    except DagbookError:
        live.update(Note(f"{situation.name} was not tried."))
        raise
    live.update(outcome(situation, told))


def _is_scheduled(situation: Situation) -> bool:
    return situation.project is not None and bool(situation.ask("state")["components"])


def _by_command(situation: Situation, args: argparse.Namespace) -> dict[str, Any]:
    """Run a notebook that nothing was decided about yet, as `dagbook run` does.

    Raises:
        DagbookError: it was refused.
    """
    python = situation.python
    words = [word for each in args.parameter for word in ("-p", each)]
    words += ["--size", args.size] if args.size is not None else []
    process = subprocess.Popen(
        [python, "-m", "dagbook", "run", str(situation.notebook), "--json", "--html", *words],
        cwd=situation.root,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said, complained = process.communicate()
    except KeyboardInterrupt:
        # It stores the notebook as cancelled, and then tells of it.
        process.terminate()
        said, complained = process.communicate()
    try:
        told = json.loads(said)
    except ValueError:
        lines = complained.strip().splitlines() or [f"dagbook run ended with {process.returncode}"]
        raise DagbookError(lines[-1].removeprefix("dagbook: ")) from None
    if told["status"] == "refused":
        raise DagbookError(told["reason"])
    return _as_run(told)


def _as_run(told: Mapping[str, Any]) -> dict[str, Any]:
    """A result of `dagbook run --json`, as a recorded run is told."""
    last = {point["name"]: point["value"] for point in told["metrics"]}
    return {
        "state": told["status"].replace("_", " "),
        "reason": told["reason"],
        "duration_seconds": told["duration_seconds"],
        "peak_memory_bytes": told["resources"]["peak_memory_bytes"],
        "size": told["size"],
        "cost": None,
        "currency": None,
        "metrics": {name: value for name, value in last.items() if not isinstance(value, str)},
        "checks": {
            check["name"]: "passed" if check["passed"] else f"failed: {check['message']}"
            for check in told["checks"]
        },
        "different_from_last_good": [],
        "executed_notebook": told["executed_notebook"],
        "executed_html": told["executed_html"],
    }


def _at(name: str, cell: int, of: int) -> Note:
    done = round(cell / of * 10) if of else 0
    return Note(f"Trying {name}: {'▓' * done}{'░' * (10 - done)} cell {cell} of {of}")


def outcome(situation: Situation, told: Mapping[str, Any]) -> Note:
    """What a run came to, with the files where it can be read."""
    took = told["duration_seconds"]
    words = f" after {seconds(took)}" if took is not None else ""
    worked = told["state"] == "succeeded"
    title = f"✓ Worked{words}." if worked else f"{told['state'].capitalize()}{words}."
    if told["reason"]:
        title = f"{title.rstrip('.')}: {told['reason']}"
    rows = []
    if told["peak_memory_bytes"] is not None:
        of_size = f" of size {told['size']}" if told["size"] else ""
        rows.append(Row(("memory", f"peak {size(told['peak_memory_bytes'])}{of_size}")))
    if told["cost"] is not None:
        rows.append(Row(("cost", f"{told['cost']:.2f} {told['currency'] or ''}".rstrip())))
    rows += [Row((name, number(value))) for name, value in told["metrics"].items()]
    rows += [Row((f"check {name}", str(said))) for name, said in told["checks"].items()]
    rows += [Row(("different", text)) for text in told["different_from_last_good"]]
    links = [told[key] for key in ("executed_notebook", "executed_html") if told[key]]
    rows += [Row(("result", path)) for path in links]
    return Note(title, rows, is_warning=not worked, links=links, folder=situation.notebook.parent)


def values_of(words: list[str]) -> dict[str, str]:
    """The values of ``-p NAME=VALUE``, by name.

    Raises:
        DagbookError: one has no value.
    """
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or not name:
            raise DagbookError(f"-p {word}: give NAME=VALUE, such as country=DE")
        found[name] = value
    return found
