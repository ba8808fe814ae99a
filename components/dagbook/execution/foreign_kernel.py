"""Watches a kernel that somebody else starts, and ends it when its time or memory is over.

For a runner of others, that starts its kernel in this process's tree and waits for it here
without a limit. It is found, with everything that it starts, by a variable in its environment,
which every process inherits, also one that leaves the tree.
"""

from __future__ import annotations

import os
import secrets
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import psutil

from dagbook.execution.result import Cause, Resources, RunStatus
from dagbook.execution.words import in_bytes, in_time
from dagbook.policy.sizes import Size

MARK = "DAGBOOK_FOREIGN_KERNEL"
SAMPLE_SECONDS = 0.5
NEAR_SAMPLE_SECONDS = 0.05
NEAR_SHARE = 0.6


class ForeignKernelWatch:
    """Around a call that runs a kernel: `status` and `reason` say why it was ended, if it was.

    A signal that would have interrupted the call ends the kernel instead, so that the runner comes
    back with an error of its own and stores what there is; `cancelled` then tells the caller to go
    on with the interruption. A second signal is not held back.

    Args:
        size: what the run may use. Its CPUs and GPUs are not held to, its memory is, by sampling.
        seconds: how long the call may take.
        time_label: whose limit that is.
        time_cause: of what kind it is.
        environment: variables the kernel gets besides those of this process.
        should_stop: asked several times a second; once it gives a reason, the kernel is ended.
    """

    def __init__(
        self,
        size: Size,
        seconds: float,
        time_label: str,
        environment: Mapping[str, str],
        should_stop: Callable[[], str | None] = lambda: None,
        time_cause: Cause = Cause.TIME,
    ) -> None:
        self.status: RunStatus | None = None
        self.reason = ""
        self.cause = Cause.NONE
        self._should_stop = should_stop
        self._size = size
        self._seconds = seconds
        self._time_label = time_label
        self._time_cause = time_cause
        self._mark = secrets.token_hex(16)
        self._environment = {**environment, MARK: self._mark}
        self._before: dict[str, str | None] = {}
        self._handlers: dict[signal.Signals, Any] = {}
        self._wake = threading.Event()
        self._over = False
        self.cancelled = False
        self._peak = 0
        self._byte_seconds = 0.0
        self._sampled_seconds = 0.0
        self._cpu: dict[int, float] = {}
        self._thread = threading.Thread(target=self._watch, name="dagbook-watch", daemon=True)

    def __enter__(self) -> ForeignKernelWatch:
        self._began = time.monotonic()
        self._before = {name: os.environ.get(name) for name in self._environment}
        os.environ.update(self._environment)
        self._listen_for_signals()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._over = True
        self._wake.set()
        self._thread.join()
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        # Nothing is left behind: not the kernel, not what it started, wherever it went.
        self._kill_all()

    def measured(self) -> Resources:
        """What the kernel's processes used, sampled."""
        mean = self._byte_seconds / self._sampled_seconds if self._sampled_seconds else 0
        return Resources(
            peak_memory_bytes=self._peak,
            mean_memory_bytes=int(mean),
            cpu_seconds=round(sum(self._cpu.values()), 3),
            limit_bytes=self._size.memory_bytes,
            enforced_by="sampling",
            means={"memory": "sampling", "cpu": "none", "process_limit": "none", "time": "clock"},
        )

    def _listen_for_signals(self) -> None:
        # An exception raised by the signal does not do: asyncio drops it if it comes in a callback
        # of its loop, and dagstermill runs one more cell before it lets it through, in a kernel
        # that is still busy, and stores nothing then.
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            handler = signal.getsignal(number)
            if callable(handler):
                self._handlers[number] = handler
                signal.signal(number, self._on_signal)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.cancelled:
            self._handlers[signal.Signals(number)](number, frame)
        self.cancelled = True
        self._wake.set()

    def _watch(self) -> None:
        last = time.monotonic()
        while not self._over:
            kernel = self._kernel()
            now = time.monotonic()
            memory = self._sample(kernel, now - last)
            last = now
            if memory > self._size.memory_bytes:
                limit = in_bytes(self._size.memory_bytes)
                self._stop(
                    RunStatus.KILLED,
                    f"exceeded {limit} of size {self._size.name}, peak {in_bytes(memory)}",
                    Cause.MEMORY,
                )
                self._keep_killing()
                return
            if self.cancelled:
                self._end(kernel)
                return
            if now - self._began >= self._seconds:
                self._stop(
                    RunStatus.TIMED_OUT,
                    f"ended after {in_time(self._seconds)}, {self._time_label}",
                    self._time_cause,
                )
                self._end(kernel)
                return
            if (reason := self._should_stop()) is not None:
                self._stop(RunStatus.CANCELLED, reason, Cause.CANCELLED)
                self._end(kernel)
                return
            near = memory > NEAR_SHARE * self._size.memory_bytes
            left = max(self._seconds - (now - self._began), 0.0)
            self._wake.wait(min(left, NEAR_SAMPLE_SECONDS if near else SAMPLE_SECONDS))

    def _stop(self, status: RunStatus, reason: str, cause: Cause) -> None:
        self.status, self.reason, self.cause = status, reason, cause

    def _end(self, kernel: psutil.Process | None) -> None:
        """Interrupt the cell, so that its traceback says where it was; then kill."""
        if kernel is not None:
            with suppress(psutil.Error):
                kernel.send_signal(signal.SIGINT)
        until = time.monotonic() + self._size.grace_seconds / 2
        while not self._over and time.monotonic() < until:
            time.sleep(0.05)
        self._keep_killing()

    def _keep_killing(self) -> None:
        # A kernel that dies while it starts is started again, some times over.
        while not self._over:
            self._kill_all()
            time.sleep(0.05)

    def _kernel(self) -> psutil.Process | None:
        with suppress(psutil.Error):
            for child in psutil.Process().children():
                if self._is_marked(child.pid):
                    return child
        return None

    def _sample(self, kernel: psutil.Process | None, seconds: float) -> int:
        if kernel is None:
            return 0
        memory = 0
        try:
            processes = [kernel, *kernel.children(recursive=True)]
        except psutil.Error:
            return 0
        for process in processes:
            with suppress(psutil.Error):
                # What processes share after a fork is counted once.
                memory += (
                    process.memory_info().rss
                    if len(processes) == 1
                    else process.memory_full_info().pss
                )
                times = process.cpu_times()
                self._cpu[process.pid] = times.user + times.system
        self._peak = max(self._peak, memory)
        self._byte_seconds += memory * seconds
        self._sampled_seconds += seconds
        return memory

    def _kill_all(self) -> None:
        until = time.monotonic() + 5
        while (left := list(self._marked())) and time.monotonic() < until:
            for pid in left:
                with suppress(OSError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.02)

    def _marked(self) -> Iterator[int]:
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and self._is_marked(int(entry.name)):
                yield int(entry.name)

    def _is_marked(self, pid: int) -> bool:
        # This process itself is not: there one finds what it was started with. A process that
        # has ended and waits for its parent shows nothing.
        try:
            return f"{MARK}={self._mark}".encode() in Path(f"/proc/{pid}/environ").read_bytes()
        except OSError:
            return False
