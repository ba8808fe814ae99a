"""Brings one folder of the spool to MLflow, a round at a time, as often as it takes.

Every round goes on where the last one ended, also when that was in another process. What may have
arrived although nobody confirmed it is looked up before it is sent again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from dagbook.execution.result import MetricPoint
from dagbook.recorder.calls import has_calls
from dagbook.sinks.author_calls import AuthorCalls
from dagbook.sinks.doubt import Doubt
from dagbook.sinks.mlflow import (
    BATCH,
    MlflowError,
    MlflowRun,
    create_run,
    embedded_store,
    find_experiment,
    find_run,
    identity,
    is_final,
    metric_name,
    one_line,
    without_login,
)
from dagbook.sinks.place_of_files import confirm_place
from dagbook.sinks.spool import MOST_WAITING_SECONDS, End, Head, Spool, is_uploading

#: How long a metric must be known before it is decided whose it is, in seconds.
SETTLE_SECONDS = 2.0
#: How long to wait after the first failure, in seconds; each one doubles it.
FIRST_WAIT = 2.0
#: How long at most, while somebody may be watching the run, and later.
LONGEST_WAIT_LIVE, LONGEST_WAIT = 60.0, 600.0

# What is measured of the run's processes stands under "System metrics".
_SYSTEM = "system/"


class Delivery:
    """One folder on its way."""

    def __init__(self, spool: Spool, *, uris: Iterable[str] = ()) -> None:
        """Prepare it.

        Args:
            spool: the folder.
            uris: addresses as they are used, with their logins: the spool knows them without.
        """
        self.spool = spool
        self._uris = tuple(uris)
        #: Whether to leave the folder, marked as delivered, for somebody who waits for it.
        self.with_receipt = False
        self._lock: int | None = None
        self._state: dict[str, Any] = {}
        self._run: MlflowRun | None = None
        self._calls: AuthorCalls | None = None
        self._doubt = Doubt()
        self._first_seen: dict[str, float] = {}
        #: Whether the run had ended by the last round.
        self.saw_end = False
        self._retry_at = 0.0
        #: What could not be recorded, once it is over.
        self.notes: list[str] = []
        #: Whether it was over before this process could do anything for it.
        self.was_somebody_elses = False
        #: Whether this process has tried in vain.
        self.has_failed = False

    @property
    def problem(self) -> str | None:
        """Why the last round did not get through."""
        problem = self._state.get("problem")
        return None if problem is None else str(problem)

    @property
    def name(self) -> str:
        """The name of the folder."""
        return self.spool.folder.name

    @property
    def is_uploading(self) -> bool:
        """Whether a large file is on its way, which may take minutes."""
        return is_uploading(self._state)

    def advance(self) -> bool:
        """Send what there is; True when there is nothing left to do."""
        if not (self.spool.folder.is_dir() and self._take()):
            self.was_somebody_elses = not self.spool.folder.is_dir()
            return self.was_somebody_elses
        if self._state.get("delivered"):
            self.spool.remove()
            self.was_somebody_elses = True
            return True
        head = self.spool.head
        if head is None:
            if self.spool.is_stillborn:
                self.spool.remove()
            return False
        uri = self._uri(head)
        try:
            end, late_points = self._end(head)
            if not self._is_due(end):
                return False
            run = self._open(head, uri)
            self._send_calls(run, uri)
            self._send_new_points(run, uri, live=end is None)
            if end is not None:
                # The recorder has taken more until the end was written.
                self._send_calls(run, uri)
                self._send_rest(run, uri, end, late_points)
        except Exception as error:
            return self._failed(error, uri, head)
        if end is None:
            self._save(problem=None)
            return False
        self._over()
        return True

    def give_up_lock(self) -> None:
        """Let another process go on with it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _take(self) -> bool:
        """Become the one who sends; False while, or because, somebody else is."""
        if self._lock is not None:
            return True
        try:
            self._lock = self.spool.take_for_sending()
        except FileNotFoundError:
            return False
        if self._lock is None:
            return False
        self._state, self._run, self._calls = self.spool.state, None, None
        self._doubt.arise()
        wait = min(self._state.get("retry_after", 0.0) - time.time(), LONGEST_WAIT)
        self._retry_at = time.monotonic() + wait
        return True

    def _is_due(self, end: End | None) -> bool:
        if end is not None and not self.saw_end:
            # Whatever went wrong before, the end is worth another try at once.
            self.saw_end = True
            return True
        return time.monotonic() >= self._retry_at

    def _uri(self, head: Head) -> str:
        if head.tracking_uri is None:
            return embedded_store(self.spool.state_folder)
        known = (*self._uris, os.environ.get("MLFLOW_TRACKING_URI", ""))
        return next((u for u in known if without_login(u) == head.tracking_uri), head.tracking_uri)

    def _end(self, head: Head) -> tuple[End | None, list[MetricPoint]]:
        end = self.spool.end
        if end is not None or self.spool.is_owned:
            return end, []
        from dagbook.sinks.vanished import find_vanished_end

        return find_vanished_end(self.spool, head)

    def _open(self, head: Head, uri: str) -> MlflowRun:
        if self._run is not None:
            return self._run
        import mlflow  # noqa: F401

        # Seconds have passed, for which nobody is to blame.
        self._save(imported=True)
        client, experiment = find_experiment(uri, head.experiment, self.spool.state_folder)
        known = self._state.get("run_id")
        if known is not None:
            self._run = MlflowRun(client, str(known), experiment, uri)
            return self._run
        # Made before, without an answer.
        if self._state.get("tried"):
            self._run = find_run(client, experiment, uri=uri, recording=self.name)
        if self._run is None:
            self._save(tried=True, experiment_id=experiment)
            self._run = create_run(
                client,
                experiment,
                uri=uri,
                run_name=head.run_name,
                tags=head.tags,
                notebook=head.notebook,
                started_at=head.started_at,
                recording=self.name,
            )
            self._doubt.end()
        self._save(run_id=self._run.run_id, experiment_id=experiment, problem=None)
        return self._run

    def _send_calls(self, run: MlflowRun, uri: str) -> None:
        """Send what the notebook told MLflow itself since the last round."""
        if not has_calls(self.spool.folder):
            return
        if self._calls is None:
            self._calls = AuthorCalls(self.spool.folder, run, self._uploading)

        def refused(what: str, error: Exception) -> None:
            self._note_or_raise(what, error, uri)

        try:
            for offset in self._calls.send(self._state.get("calls", 0), refused):
                self._save(calls=offset)
        finally:
            if self.is_uploading:
                self._save(uploading_until=0)

    def _uploading(self, seconds: float) -> None:
        self._save(uploading_until=time.time() + seconds)

    def _send_new_points(self, run: MlflowRun, uri: str, *, live: bool) -> None:
        """Send the points that were added since the last round, those of the author left out."""
        for points, offset in self._batches(self._state.get("offset", 0)):
            if not self._know_whose(run, points, live=live):
                return
            self._log(run, uri, points)
            self._save(offset=offset)
        if live:
            self._doubt.end()

    def _batches(self, offset: int) -> Iterator[tuple[list[MetricPoint], int]]:
        while True:
            points, after = self.spool.points(offset)
            if after == offset:
                return
            yield points, after
            offset = after

    def _know_whose(self, run: MlflowRun, points: list[MetricPoint], *, live: bool) -> bool:
        """Find out which metrics the notebook sends itself: its own series is the one to keep.

        Returns:
            Whether that is known. Who reports a metric in both ways does so at about the same
            time, so a new one is looked up a moment later.
        """
        decided = {*self._state.get("ours", ()), *self._state.get("theirs", ())}
        new = {metric_name(point.name) for point in points} - decided
        if not new:
            return True
        now = time.monotonic()
        first = [self._first_seen.setdefault(name, now) for name in new]
        if live and now - max(first) < SETTLE_SECONDS:
            return False
        logged, _ = run.logged()
        if self._calls is not None:
            logged |= {metric_name(name) for name in self._calls.metrics}
        self._save(
            ours=sorted({*self._state.get("ours", ()), *(new - logged)}),
            theirs=sorted({*self._state.get("theirs", ()), *(new & logged)}),
        )
        return True

    def _log(self, run: MlflowRun, uri: str, points: Iterable[MetricPoint]) -> None:
        theirs = set(self._state.get("theirs", ()))
        remaining = iter([p for p in points if metric_name(p.name) not in theirs])
        while batch := list(islice(remaining, BATCH)):
            try:
                run.log_points(self._doubt.left_out(run, batch))
            except Exception as error:
                self._doubt.arise()
                self._note_or_raise("some metrics were not recorded", error, uri)

    def _send_rest(
        self, run: MlflowRun, uri: str, end: End, late_points: list[MetricPoint]
    ) -> None:
        """Send what a run leaves when it has ended, and say how it did."""
        if late_points:
            known = {identity(p) for points, _ in self._batches(0) for p in points}
            late = [p for p in late_points if identity(p) not in known]
            self._know_whose(run, late, live=False)
            self._log(run, uri, late)
        if not self._state.get("measured"):
            measured = [
                MetricPoint(_SYSTEM + name, value, 0, end.ended_at)
                for name, value in end.measurements.items()
            ]
            self._log(run, uri, measured)
            self._save(measured=True)
        if not self._state.get("parameters"):
            try:
                run.log_parameters(end.parameters)
            except Exception as error:
                self._note_or_raise("the parameters were not recorded", error, uri)
            self._save(parameters=True)
        for file in end.files:
            self._send_file(run, uri, Path(file))
        try:
            run.end(end.status, end.ended_at)
        except Exception as error:
            self._note_or_raise("the end was not recorded", error, uri)

    def _send_file(self, run: MlflowRun, uri: str, path: Path) -> None:
        sent = self._state.get("files", [])
        if str(path) in sent:
            return
        try:
            if not path.is_file():
                raise MlflowError(f"{path} is gone")
            confirm_place(run.artifact_uri(), run.tracking_uri)
            run.log_file(path)
        except Exception as error:
            self._note_or_raise("the notebook was not recorded", error, uri)
        self._save(files=[*sent, str(path)])

    def _note_or_raise(self, what: str, error: Exception, uri: str) -> None:
        if not is_final(error, uri):
            raise error
        note = f"{what}: {one_line(error)}"
        notes = self._state.get("notes", [])
        if note not in notes:
            self._save(notes=[*notes, note])

    def _failed(self, error: Exception, uri: str, head: Head) -> bool:
        reason = one_line(error)
        if is_final(error, uri):
            self._over(reason)
            return True
        if time.time() - head.started_at > MOST_WAITING_SECONDS and self.saw_end:
            self._over(f"tried for {MOST_WAITING_SECONDS / 86400:g} days, the last time: {reason}")
            return True
        # A connection may be what went wrong.
        self._run = self._calls = None
        self._doubt.arise()
        self.has_failed = True
        failures = self._state.get("failures", 0) + 1
        longest = LONGEST_WAIT if self.saw_end else LONGEST_WAIT_LIVE
        wait = min(longest, FIRST_WAIT * 2 ** min(failures - 1, 20))
        self._retry_at = time.monotonic() + wait
        self._save(problem=reason, failures=failures, retry_after=time.time() + wait)
        return False

    def _over(self, reason: str | None = None) -> None:
        self.notes = [*self._state.get("notes", []), *([] if reason is None else [reason])]
        try:
            if self.notes:
                self._state["notes"] = self.notes
                self.spool.set_aside(self._state)
            elif self.with_receipt:
                self._save(delivered=True)
            else:
                self.spool.remove()
        finally:
            self.give_up_lock()

    def _save(self, **changes: Any) -> None:
        if changes.get("problem", "") is None and self._state.get("problem") is None:
            del changes["problem"]
        if not changes or all(self._state.get(k, ...) == v for k, v in changes.items()):
            return
        self._state.update(changes)
        if "problem" in changes and changes["problem"] is None:
            self._state.update(failures=0, retry_after=0)
        self.spool.save(self._state)
