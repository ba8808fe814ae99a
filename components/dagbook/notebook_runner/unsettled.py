"""Settles runs that have ended in Dagster and that their worker could not settle itself."""

from __future__ import annotations

from datetime import UTC

import dagster as dg

from dagbook.execution.result import Cause, RunStatus
from dagbook.ledger.budgets import End, Launched, unsettled
from dagbook.ledger.database import Ledger
from dagbook.ledger.instance_database import ledger_of_instance
from dagbook.ledger.lost import settle_found, settle_lost
from dagbook.notebook_runner.heartbeat import BEAT_SECONDS, read_beat
from dagbook.run_tags import VANISHED_TAG, read_tag

_ENDED = {
    dg.DagsterRunStatus.SUCCESS: RunStatus.SUCCEEDED,
    dg.DagsterRunStatus.FAILURE: RunStatus.FAILED,
    dg.DagsterRunStatus.CANCELED: RunStatus.CANCELLED,
}


def settle_unsettled(instance: dg.DagsterInstance) -> list[str]:
    """Settle what has ended and was not settled; returns a line for each.

    A run whose worker vanished costs what it took until it would have been heard of again, another
    what it took until Dagster wrote its end down.
    """
    if instance.is_ephemeral:
        return []
    ledger = ledger_of_instance(instance)
    return [*_settle_ended(instance, ledger), *settle_lost(ledger)]


def _settle_ended(instance: dg.DagsterInstance, ledger: Ledger) -> list[str]:
    with ledger.read() as reading:
        known = [] if reading is None else unsettled(reading)
    ended = [
        (launch, end)
        for launch in known
        if not launch.worker and (end := _end_of(instance, launch)) is not None
    ]
    if not ended:
        return []
    with ledger.write() as connection:
        lines = [settle_found(connection, launch, end) for launch, end in ended]
    return [line for line in lines if line is not None]


def _end_of(instance: dg.DagsterInstance, launch: Launched) -> End | None:
    record = instance.get_run_record_by_id(launch.run)
    if record is None or record.dagster_run.status not in _ENDED:
        return None
    run = record.dagster_run
    end = record.end_time or record.update_timestamp.replace(tzinfo=UTC).timestamp()
    beat = read_beat(run)
    if read_tag(run.tags, VANISHED_TAG, run.run_id) is not None and beat is not None:
        # It may have lived until it would have been heard of again, and no longer.
        seconds = max(0.0, min(end, beat.at + BEAT_SECONDS) - launch.started)
        return End(str(RunStatus.KILLED), str(Cause.RUNNER), seconds)
    return End(str(_ENDED[run.status]), "", max(0.0, end - launch.started))
