"""Switch the notebook's schedule off, or on again."""

from __future__ import annotations

import argparse

from dagbook.errors import DagbookError
from dagbook_magics.note import Note
from dagbook_magics.situation import Situation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whether it is switched on again."""
    parser.add_argument("--resume", action="store_true", help="switch it on again")
    parser.add_argument(
        "--component", metavar="NAME", help="which one, where several run the notebook"
    )


def run(situation: Situation, args: argparse.Namespace) -> None:
    """Switch, and say so."""
    situation.require_project('%dagster schedule "daily 06:00"')
    if not situation.ask_project("services")["running"]:
        raise DagbookError(
            "nothing is running schedules here, so there is nothing to switch: "
            "`%dagster schedule --start` starts it"
        )
    told = situation.ask("resume" if args.resume else "pause", component=args.component)
    if told["paused"]:
        text = f"❚❚ {situation.name} is paused. `%dagster pause --resume` switches it on again."
    else:
        text = f"✓ {situation.name} runs on its schedule again."
    situation.show(Note(text))
