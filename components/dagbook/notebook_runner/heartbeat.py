"""A sign of life of the process that runs a run, and the word from Dagster that it is to stop.

Every few seconds the worker writes into a tag of its run that it lives, where every machine of
the instance can see it, and reads what became of the run meanwhile. A run that was ended from
outside (declared dead while its worker was silent, cancelled while nobody could reach the worker)
stops here: its worker materialises nothing and reports no end of its own.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

import dagster as dg

from dagbook.notebook_runner.patience import patiently
from dagbook.run_tags import HEARTBEAT_TAG, read_tag, told_of
from dagbook.worker import Life, Worker, worker_of

#: How often a worker says that it lives, in seconds.
BEAT_SECONDS = 10.0
#: How long nothing may be heard of a worker that is at work, in seconds.
SILENT_SECONDS = 30.0
#: How long nothing may be heard between two steps of a run, or before its first, in seconds.
BETWEEN_SECONDS = 180.0

#: For how long what a beat has shown needs not be asked again, in seconds.
_FRESH_SECONDS = 1.0
#: How long the process of a run may take to react to an interrupt, in seconds.
_ANSWER_SECONDS = 5.0

# Names of Dagster's executors. The default one is either, as the run's config says.
_IN_PROCESS = frozenset({"in_process", "execute_in_process_executor"})
_EITHER = "multi_or_in_process_executor"
_ENDED = {
    dg.DagsterRunStatus.FAILURE: "failed",
    dg.DagsterRunStatus.CANCELED: "cancelled",
    dg.DagsterRunStatus.SUCCESS: "succeeded",
}


@dataclass(frozen=True)
class Beat:
    """The last word of a run's worker.

    Attributes:
        at: when, in Unix time by its own clock.
        within: how long nothing need be heard of it from then on, in seconds.
        is_over: whether the step that wrote it has ended.
        worker: the process the whole run depends on, where that is known.
    """

    at: float
    within: float
    is_over: bool
    worker: Worker | None

    def to_text(self, run_id: str) -> str:
        """The beat as the tag's value, which people see too."""
        words = [
            datetime.fromtimestamp(self.at, UTC).isoformat(timespec="milliseconds"),
            f"within={self.within:g}",
            f"over={int(self.is_over)}",
        ]
        if self.worker is not None:
            words += [
                f"host={self.worker.host}",
                f"pid={self.worker.pid}",
                f"started={self.worker.started}",
                f"machine={self.worker.machine}",
            ]
        return told_of(run_id, " ".join(words))


def read_beat(run: dg.DagsterRun) -> Beat | None:
    """What a run's worker said last; None before its first word, and when it is unreadable."""
    text = read_tag(run.tags, HEARTBEAT_TAG, run.run_id)
    if text is None:
        return None
    at, *words = text.split(" ")
    values = dict(word.partition("=")[::2] for word in words)
    try:
        worker = None
        if "pid" in values:
            worker = Worker(
                values["host"], values["machine"], int(values["pid"]), int(values["started"])
            )
        return Beat(
            datetime.fromisoformat(at).timestamp(),
            float(values["within"]),
            values["over"] == "1",
            worker,
        )
    except (KeyError, ValueError):
        return None


class Heartbeat:
    """Beats while a step runs; `reason_to_stop` says when the run was ended meanwhile."""

    def __init__(self, context: dg.AssetExecutionContext) -> None:
        self._instance = context.instance
        self._run_id = context.run.run_id
        self._worker = _find_worker(context)
        self._stop: str | None = None
        self._is_cancelling = False
        self._ended = Event()
        self._last = -math.inf
        self._has_missed = False
        self._thread: Thread | None = None

    def __enter__(self) -> Self:
        # An instance in memory is seen by nobody else, and is gone with this process.
        if not self._instance.is_ephemeral:
            self._thread = Thread(target=self._beat_on, name="dagbook-heartbeat", daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._thread is None:
            return
        self._ended.set()
        self._thread.join()
        if self._stop is None:
            # A retry may wait for long, and nobody beats meanwhile.
            delay = getattr(error, "seconds_to_wait", None) or 0.0
            last = Beat(time.time(), BETWEEN_SECONDS + delay, True, self._worker)
            self._try(last)
            if self._has_missed and (error is None or isinstance(error, Exception)):
                # Dagster writes the run's end next, and does not wait long for a locked database:
                # a run that succeeded would be told as failed. A cancel does not wait.
                with contextlib.suppress(Exception):
                    patiently(lambda: self._beat(last))
            if self._stop is not None and error is None:
                # Ended in this very moment. What was yielded stays; the run's end does too.
                raise dg.DagsterExecutionInterruptedError(self._stop)
        elif self._worker is not None and self._worker.pid != os.getpid():
            _interrupt(self._worker)

    def reason_to_stop(self) -> str | None:
        """Why the run is not to go on, once that is known. Costs nothing: ask often."""
        return self._stop

    def confirm(self) -> None:
        """Find out whether the run still is this worker's, waiting for a locked database.

        Raises:
            DagsterExecutionInterruptedError: it was ended from outside. For an interrupted worker
                of a run that has ended Dagster writes down no second end.
        """
        is_fresh = time.monotonic() - self._last < _FRESH_SECONDS
        if self._thread is not None and self._stop is None and not is_fresh:
            patiently(lambda: self._beat(self._at_work()))
        if self._stop is not None:
            raise dg.DagsterExecutionInterruptedError(self._stop)

    def _beat_on(self) -> None:
        while not self._ended.wait(BEAT_SECONDS) and self._stop is None:
            self._try(self._at_work())

    def _at_work(self) -> Beat:
        return Beat(time.time(), SILENT_SECONDS, False, self._worker)

    def _try(self, beat: Beat) -> None:
        try:
            self._beat(beat)
            self._has_missed = False
        except Exception:
            # The database is locked, or away for a moment. The next beat gets through, or the
            # run's own end tells.
            self._has_missed = True

    def _beat(self, beat: Beat) -> None:
        # First what became of the run: one that has ended is not touched again.
        self._stop = self._stop or self._why_stop(self._instance.get_run_by_id(self._run_id))
        if self._stop is None:
            self._instance.add_run_tags(self._run_id, {HEARTBEAT_TAG: beat.to_text(self._run_id)})
            self._last = time.monotonic()

    def _why_stop(self, run: dg.DagsterRun | None) -> str | None:
        if run is None:
            return "this run was deleted in Dagster"
        if run.status in _ENDED:
            return f"this run had been ended in Dagster as {_ENDED[run.status]}"
        # A cancel reaches a worker as a signal. One that has not by the next beat never will.
        was, self._is_cancelling = (
            self._is_cancelling,
            run.status is dg.DagsterRunStatus.CANCELING,
        )
        return "this run was cancelled in Dagster" if was and self._is_cancelling else None


def _find_worker(context: dg.AssetExecutionContext) -> Worker | None:
    """The process without which the run cannot go on."""
    executor = context.job_def.executor_def.name
    run_config: Any = context.run.run_config
    config = (run_config.get("execution") or {}).get("config") or {}
    if executor in _IN_PROCESS or (executor == _EITHER and "in_process" in config):
        return worker_of(os.getpid())
    parent = multiprocessing.parent_process()
    if executor in ("multiprocess", _EITHER) and parent is not None and parent.pid is not None:
        # Each step has a process of its own, which the run survives.
        return worker_of(parent.pid)
    return None


def _interrupt(executor: Worker) -> None:
    """Have the process above this one end its run as interrupted, and not as failed anew."""
    if executor.life is not Life.ALIVE:
        return
    with contextlib.suppress(OSError):
        os.kill(executor.pid, signal.SIGINT)
        # It answers by interrupting its steps, us among them.
        time.sleep(_ANSWER_SECONDS)
