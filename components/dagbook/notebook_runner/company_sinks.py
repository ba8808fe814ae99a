"""Keeps the sinks of a company's component out of the way of the run they are told of."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from dagbook.execution.result import ExecutionResult, MetricPoint
from dagbook.notebook_runner.run_values import RunValues
from dagbook.sinks.sink import FINISH_SECONDS, Sink, SinkRun

if TYPE_CHECKING:
    from dagbook.notebook_runner.asset import NotebookAsset

#: Calls that wait for a slow sink; what comes on top is counted and told at the end.
_MOST_WAITING = 10_000

Call = Callable[[Sink], None]


class CompanySinks:
    """The sinks of one try of one run. Whatever goes wrong in them ends nothing."""

    def __init__(self, log: logging.Logger, asset: NotebookAsset) -> None:
        self._log = log
        self._asset = asset
        self._threads: list[_SinkThread] = []

    def start(self, values: RunValues) -> None:
        """Begin each of them."""
        try:
            sinks: Sequence[Sink] = list(self._asset.component.sinks())
        except Exception as error:
            self._log.warning(f"the sinks of {self._component} cannot be made: {_said(error)}")
            return
        run = SinkRun(
            run_id=values.run_id,
            asset="/".join(self._asset.key.path),
            notebook=self._asset.component.notebook,
            partition=values.partition_key,
            environment=values.environment,
            attempt=values.attempt,
        )
        self._threads = [_SinkThread(sink) for sink in sinks]
        for thread in self._threads:
            thread.put(lambda sink: sink.start(run))

    def log(self, points: Iterable[MetricPoint]) -> None:
        """Hand measurements on."""
        if not self._threads:
            return
        kept = tuple(points)
        for thread in self._threads:
            thread.put(lambda sink: sink.log(kept))

    def finish(self, result: ExecutionResult, *, at_most: float | None = None) -> None:
        """Tell them the end, wait for them, and say in the log what went wrong.

        Args:
            result: what came out.
            at_most: how long to wait, in seconds, where that is shorter than usual.
        """
        threads, self._threads = self._threads, []
        for thread in threads:
            thread.end(lambda sink: sink.finish(result))
        deadline = time.monotonic() + (FINISH_SECONDS if at_most is None else at_most)
        for thread in threads:
            thread.join(max(deadline - time.monotonic(), 0))
            for problem in thread.problems:
                self._log.warning(f"the sink {thread.label} {problem}; the run goes on without it")

    @property
    def _component(self) -> str:
        return type(self._asset.component).__name__


class _SinkThread(threading.Thread):
    """Calls one sink, in order. A daemon: one that hangs must not keep the worker alive."""

    def __init__(self, sink: Sink) -> None:
        self.label = type(sink).__name__
        super().__init__(name=f"dagbook-sink-{self.label}", daemon=True)
        self._sink = sink
        # None is the last.
        self._calls: queue.Queue[Call | None] = queue.Queue()
        self._lost = 0
        self._problem: str | None = None
        self.start()

    def put(self, call: Call) -> None:
        """Have the sink called when its turn comes."""
        if self._problem is not None:
            return
        if self._calls.qsize() >= _MOST_WAITING:
            self._lost += 1
            return
        self._calls.put(call)

    def end(self, call: Call) -> None:
        """The last call."""
        self._calls.put(call)
        self._calls.put(None)

    @property
    def problems(self) -> list[str]:
        """What went wrong so far, as the end of a sentence about the sink."""
        found = [] if self._problem is None else [self._problem]
        if self._lost:
            found.append(f"was too slow: {self._lost} calls were left out")
        if self.is_alive() and self._problem is None:
            found.append("did not finish in time, and may not have all of the run")
        return found

    def run(self) -> None:
        """Call the sink until the end, or until it fails."""
        while (call := self._calls.get()) is not None:
            try:
                call(self._sink)
            except BaseException as error:  # also SystemExit: a sink ends no worker
                self._problem = f"failed: {_said(error)}"
                return


def _said(error: BaseException) -> str:
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}" if words else type(error).__name__
