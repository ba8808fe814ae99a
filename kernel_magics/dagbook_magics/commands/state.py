"""Say how the notebook stands, and what comes next."""

from __future__ import annotations

import argparse
from typing import Any

from dagbook_magics.note import Note, Row
from dagbook_magics.said import ago, moment
from dagbook_magics.situation import Situation

_SCHEDULE = '`%dagster schedule "daily 06:00"`'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """It takes nothing of its own."""


def run(situation: Situation, args: argparse.Namespace) -> None:
    """Show the state in one sentence, and the command that leads on."""
    if situation.project is None:
        situation.show(
            Note(f"{situation.notebook.name} is not scheduled. {_SCHEDULE}"),
            *situation.version_note,
        )
        return
    told = situation.ask("state")
    components = told["components"]
    if not components:
        situation.show(Note(f"{situation.name} is not scheduled. {_SCHEDULE}"))
        return
    notes = [note for each in components for note in _notes(each, situation, len(components) > 1)]
    running = situation.ask_project("services") if told["trusted"] else {"running": True}
    if not running["running"] and any(each["schedule"] for each in components):
        notes.append(
            Note(
                "Nothing is running schedules here. `%dagster schedule --start` starts it.",
                is_warning=True,
            )
        )
    situation.show(*notes, *situation.version_note)


def _notes(told: dict[str, Any], situation: Situation, several: bool) -> list[Note]:
    name = f"{situation.name} ({told['component']})" if several else situation.name
    if told["schedule"] is None:
        title = f"{name} is not scheduled: it runs when somebody launches it. {_SCHEDULE}"
    elif told["paused"]:
        title = f"{name} is paused, otherwise {told['schedule']}. `%dagster pause --resume`"
    else:
        title = f"{name} runs {told['schedule']}."
    rows = []
    if told["next_runs"] and not told["paused"]:
        rows.append(Row(("next", ", ".join(moment(each) for each in told["next_runs"]))))
    last = told["last"]
    if last is not None:
        reason = f": {last['reason']}" if last["reason"] else ""
        rows.append(Row(("last", f"{last['state']} {ago(last)}{reason}")))
    if told["edited"]:
        rows.append(Row(("edited", "since its last good run: `%dagster run` tries it")))
    failed = last is not None and last["state"] not in ("succeeded", "running", "queued")
    return [Note(title, rows, is_warning=failed)]
