"""Verbs about a notebook as it is: no component's code is needed to answer them."""

from __future__ import annotations

import dataclasses
from typing import Any

from dagbook.bridge.verbs import Asked
from dagbook.cron import next_ticks
from dagbook.errors import DagbookError
from dagbook.notebook import Notebook, read_notebook
from dagbook.project import find_project
from dagbook.schedule_words import describe, parse_schedule
from dagbook.time_zones import find_zone, local_zone_name

_MOST_TICKS = 100


def parameters(asked: Asked, notebook: str) -> dict[str, Any]:
    """What a notebook takes, and the roles of its cells."""
    found = read_of(asked, notebook)
    return {
        "language": found.language,
        "kernel": found.kernel_name,
        "parameters": [dataclasses.asdict(parameter) for parameter in found.parameters],
        "cells": [
            {
                "cell": cell.index,
                "id": cell.id,
                "role": str(cell.role) if cell.role is not None else None,
                "results": list(cell.results),
            }
            for cell in found.cells
            if cell.role is not None or cell.results
        ],
        "notes": list(found.notes),
        "hash": found.file_hash,
    }


def ticks(
    asked: Asked, schedule: str, timezone: str | None = None, count: int = 3
) -> dict[str, Any]:
    """When a schedule comes next, in words or as cron."""
    zone = timezone or local_zone_name()
    if not 0 < count <= _MOST_TICKS:
        raise DagbookError(f"count: at least 1 and at most {_MOST_TICKS}")
    cron = parse_schedule(schedule)
    moments = next_ticks(cron, find_zone(zone), count)
    return {
        "cron": cron,
        "timezone": zone,
        "words": describe(cron),
        "next": [moment.isoformat() for moment in moments],
    }


def read_of(asked: Asked, notebook: str) -> Notebook:
    """A notebook of the folder; one of a project may not lie outside of it."""
    project = find_project(asked.root)
    return read_notebook(asked.root / notebook, within=None if project is None else project.root)
