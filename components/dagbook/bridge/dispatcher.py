"""Hands questions to the worker one at a time, and replaces it when it has to be.

One at a time: so it is clear whose code hung or crashed, and nobody else's question suffers.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.bridge.answering import error_json
from dagbook.bridge.code_watch import CodeWatch, Snapshot
from dagbook.bridge.culprit import Culprit
from dagbook.bridge.worker_process import Ended, TooSlow, WorkerProcess
from dagbook.bridge_protocol import BridgeError, Code
from dagbook.errors import DagbookError
from dagbook.trust import is_trusted

if TYPE_CHECKING:
    from dagbook.bridge.front import Front, Question

#: How long code may take over one question, and over its import, in seconds.
CALL_VARIABLE, _CALL_SECONDS = "DAGBOOK_BRIDGE_CALL_SECONDS", 10.0
IMPORT_VARIABLE, _IMPORT_SECONDS = "DAGBOOK_BRIDGE_IMPORT_SECONDS", 20.0

#: After how long without a question the worker gives its memory back, in seconds.
IDLE_VARIABLE, _IDLE_SECONDS = "DAGBOOK_BRIDGE_IDLE_SECONDS", 900.0

#: How often a question is asked anew because its answer was out of date, or a module was left out.
_MOST_TRIES = 4
_LONGEST_WAIT = 30.0


class Dispatcher:
    """The questions for the worker, in the order they came."""

    def __init__(self, root: Path, front: Front) -> None:
        self._root = root
        self._front = front
        self._questions: queue.Queue[Question | None] = queue.Queue()
        self._watch = CodeWatch(root)
        self._worker: WorkerProcess | None = None
        self._snapshot: Snapshot | None = None
        self._trusted = False
        self._left_out: dict[str, str] = {}
        self._crashes = 0
        self._not_before = 0.0
        self._current: Question | None = None
        self._runs: dict[Any, Any] = {}
        self._thread = threading.Thread(target=self._work, daemon=True, name="dispatcher")
        self._thread.start()

    @property
    def doing(self) -> str:
        """What the worker is at, in words, with how long; empty while it does nothing."""
        worker, current = self._worker, self._current
        if current is None:
            return ""
        if worker is None or not worker.is_ready:
            return "Dagster is being loaded"
        what = worker.doing or f"`{current.verb.name}`"
        return f"{what}, for {time.monotonic() - current.began:.0f} s"

    def put(self, question: Question) -> None:
        """Have a question answered."""
        self._questions.put(question)

    def cancel(self, question: Question) -> None:
        """Nobody waits for it any more. What the worker is at comes to its end all the same."""
        run = self._runs.get(question.id)
        if run is not None:
            run.cancel()

    def run(self, question: Question) -> None:
        """Answer a question by a process of its own."""
        from dagbook.bridge.trial_process import TrialProcess

        try:
            if not is_trusted(self._root):
                from dagbook.trust import untrusted_text

                raise BridgeError(Code.UNTRUSTED, untrusted_text(self._root))
            run = self._runs[question.id] = TrialProcess(self._root, question.arguments)
            if question.is_over:
                run.cancel()  # it was given up before there was anything to cancel
            told = run.follow(lambda event: self._front.tell(question, event))
        except DagbookError as error:
            known = (
                error if isinstance(error, BridgeError) else BridgeError(Code.REFUSED, str(error))
            )
            told = {"error": known.to_json()}
        except BaseException as error:
            told = {"error": error_json(error)}
        finally:
            self._runs.pop(question.id, None)
        self._front.answer(question, told)

    def end(self) -> None:
        """End the worker. Runs are told by the end of their input, which comes with ours."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()

    def _work(self) -> None:
        while True:
            try:
                question = self._questions.get(timeout=_seconds(IDLE_VARIABLE, _IDLE_SECONDS))
            except queue.Empty:
                self._replace()
                continue
            if question is None:
                return
            if question.is_over:
                continue
            self._current = question
            question.began = min(question.began, time.monotonic())
            try:
                told = self._answer(question)
            except DagbookError as error:
                known = (
                    error
                    if isinstance(error, BridgeError)
                    else BridgeError(Code.REFUSED, str(error))
                )
                told = {"error": known.to_json()}
            except BaseException as error:
                told = {"error": error_json(error)}
            self._current = None
            self._front.answer(question, told)

    def _answer(self, question: Question) -> dict[str, Any]:
        for _ in range(_MOST_TRIES):
            worker = self._ready_worker()
            snapshot = self._snapshot
            assert snapshot is not None
            try:
                told = worker.ask(
                    question.verb.name,
                    question.arguments,
                    lambda event: self._front.tell(question, event),
                    call_seconds=_seconds(CALL_VARIABLE, _CALL_SECONDS),
                    import_seconds=_seconds(IMPORT_VARIABLE, _IMPORT_SECONDS),
                )
            except (TooSlow, Ended) as error:
                culprit = worker.culprit(error)
                self._replace()
                if self._leave_out(culprit) and not question.verb.changes:
                    continue
                self._back_off(error)
                raise culprit.as_error(question.verb.name) from None
            self._watch.imported |= worker.imported
            if self._watch.has_changed(snapshot) and not question.verb.changes:
                # The answer may be of the old code, of the new, or of both.
                self._replace()
                continue
            self._crashes = 0
            return told
        raise BridgeError(
            Code.COMPONENT_CODE,
            "the code of the components keeps changing or failing: try again once it is at rest",
        )

    def _ready_worker(self) -> WorkerProcess:
        trusted = is_trusted(self._root)
        worker, snapshot = self._worker, self._snapshot
        if snapshot is None or self._watch.has_changed(snapshot):
            # What was left out may work now.
            self._left_out.clear()
            self._crashes, self._not_before = 0, 0.0
            worker = None
        if worker is not None and worker.is_alive and trusted == self._trusted:
            return worker
        left = self._not_before - time.monotonic()
        if left > 0:
            raise BridgeError(
                Code.DOWN,
                f"code of a component ended its process {self._crashes} times in a row: it is "
                f"started again in {left:.0f} s",
            )
        self._replace()
        self._snapshot, self._trusted = self._watch.look(), trusted
        self._worker = WorkerProcess(self._root, trusted=trusted, left_out=self._left_out)
        self._worker.await_ready()
        return self._worker

    def _leave_out(self, culprit: Culprit) -> bool:
        """Leave a module out that cannot even be imported; says whether it was one."""
        if culprit.module is None or culprit.module in self._left_out:
            return False
        self._left_out[culprit.module] = culprit.text
        return True

    def _back_off(self, error: TooSlow | Ended) -> None:
        if isinstance(error, Ended):
            self._crashes += 1
            if self._crashes > 1:
                self._not_before = time.monotonic() + min(2.0 ** (self._crashes - 1), _LONGEST_WAIT)

    def _replace(self) -> None:
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()


def _seconds(variable: str, default: float) -> float:
    try:
        return max(0.1, float(os.environ.get(variable, default)))
    except ValueError:
        return default
