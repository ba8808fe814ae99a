"""Watches what a kernel's process tree uses, and ends it when it takes more than its size."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dagbook.execution.guardian import descendants
from dagbook.execution.result import GpuUse, Resources

SAMPLE_SECONDS = 0.5
#: Near the limit memory is looked at more often: a big allocation takes fractions of a second.
NEAR_SAMPLE_SECONDS = 0.05
NEAR_SHARE = 0.6


class ResourceSampler:
    """Samples memory, CPU and GPU of every process below `root` until stopped."""

    def __init__(
        self,
        root: int,
        *,
        limit_bytes: int | None,
        oom_kills: Callable[[], int],
        on_exceeded: Callable[[int], None],
    ) -> None:
        """Get ready.

        Args:
            root: the process whose descendants are meant.
            oom_kills: how many of them the system has ended because the limit was met.
            on_exceeded: called once, from another thread, with the peak so far.
        """
        self._root = root
        self._limit = limit_bytes
        self._oom_kills = oom_kills
        self._on_exceeded = on_exceeded
        self._stop = threading.Event()
        self._peak = 0
        self._sum_byte_seconds = 0.0
        self._seconds = 0.0
        self._cpu: dict[int, float] = {}
        self._gpu = _GpuMeter.if_present()
        self._thread = threading.Thread(target=self._watch, name="dagbook-resources", daemon=True)

    def start(self) -> None:
        """Start sampling in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Take a last sample and stop."""
        if not self._stop.is_set():
            self._stop.set()
            self._thread.join()
            if self._gpu is not None:
                self._gpu.close()

    @property
    def peak_memory_bytes(self) -> int:
        """The most memory seen in use at once so far."""
        return self._peak

    def limit_met(self) -> int:
        """Note that the system found the limit met; returns the peak, which is no less."""
        self._peak = max(self._peak, self._limit or 0)
        return self._peak

    def measured(
        self,
        *,
        cpu_seconds: float | None,
        peak_process_bytes: int | None,
        most_charged_bytes: int | None,
        means: dict[str, str],
    ) -> Resources:
        """What was used in all.

        Args:
            cpu_seconds: the exact figure over all processes that have ended, where known.
            peak_process_bytes: the most a single process held, as the system counted it: it
                sees what comes and goes between two samples, but files it had mapped as well.
            most_charged_bytes: the most the run's control group was ever charged, with the
                page cache of all files it touched: no peak by itself, but never below it.
            means: what held the run.
        """
        process = peak_process_bytes or 0
        if most_charged_bytes is not None:
            process = min(process, most_charged_bytes)
        if self._limit is None:
            means = {**means, "memory": "none"}
        return Resources(
            peak_memory_bytes=max(self._peak, process),
            mean_memory_bytes=int(self._sum_byte_seconds / self._seconds) if self._seconds else 0,
            cpu_seconds=cpu_seconds if cpu_seconds is not None else sum(self._cpu.values()),
            gpu=self._gpu.measured() if self._gpu is not None else None,
            limit_bytes=self._limit,
            enforced_by=means["memory"],
            means=means,
        )

    def _watch(self) -> None:
        before = time.monotonic()
        while True:
            memory = self._sample()
            now = time.monotonic()
            self._sum_byte_seconds += memory * (now - before)
            self._seconds += now - before
            before = now
            if self._oom_kills():
                self._on_exceeded(self.limit_met())
                return
            if self._limit is not None and memory > self._limit:
                self._on_exceeded(memory)
                return
            near = self._limit is not None and memory > NEAR_SHARE * self._limit
            if self._stop.wait(NEAR_SAMPLE_SECONDS if near else SAMPLE_SECONDS):
                return

    def _sample(self) -> int:
        pids = descendants(self._root)
        memory = tree_memory(pids)
        self._peak = max(self._peak, memory)
        for pid in pids:
            if (used := _cpu_seconds(pid)) is not None:
                self._cpu[pid] = used
        if self._gpu is not None:
            self._gpu.sample(set(pids))
        return memory


def tree_memory(pids: list[int]) -> int:
    """Bytes of memory a group of processes holds, what they share counted once.

    Pages of files do not count, mapped ones neither: the system takes them back when it needs
    memory. One process is read cheaply; several share pages after a fork, so their proportional
    shares are added, which costs the system a walk over their pages.
    """
    if len(pids) <= 1:
        return sum(_resident(pid) for pid in pids)
    return sum(_proportional(pid) for pid in pids)


def _resident(pid: int) -> int:
    try:
        return _fields(f"/proc/{pid}/status", "RssAnon:", "RssShmem:")
    except (OSError, IndexError, ValueError):
        return 0


def _proportional(pid: int) -> int:
    try:
        return _fields(f"/proc/{pid}/smaps_rollup", "Pss_Anon:", "Pss_Shmem:")
    except (OSError, IndexError, ValueError):
        return _resident(pid)


def _fields(path: str, *names: str) -> int:
    lines = [line for line in Path(path).read_text("utf-8").splitlines() if line.startswith(names)]
    if not lines:
        raise ValueError(f"{path} has none of {names}")  # of a process that has just ended
    return sum(int(line.split()[1]) for line in lines) * 1024


def _cpu_seconds(pid: int) -> float | None:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    except (OSError, IndexError, ValueError):
        return None


class _GpuMeter:
    """GPU memory and load of some processes, where NVIDIA's NVML answers."""

    def __init__(self, nvml: Any) -> None:
        self._nvml = nvml
        self._devices = [
            nvml.nvmlDeviceGetHandleByIndex(i) for i in range(nvml.nvmlDeviceGetCount())
        ]
        self._peak = 0
        self._loads: list[float] = []
        self._names: set[str] = set()

    @classmethod
    def if_present(cls) -> _GpuMeter | None:
        if not (Path("/dev/nvidiactl").exists() or Path("/proc/driver/nvidia").exists()):
            return None  # spares every run on a machine without GPUs the import
        try:
            import pynvml

            pynvml.nvmlInit()
            return cls(pynvml)
        except Exception:
            # No library, no driver, no permission: the run goes on, unmeasured on the GPU.
            return None

    def sample(self, pids: set[int]) -> None:
        memory = 0
        loads = []
        for device in self._devices:
            try:
                ours = [
                    process
                    for process in self._nvml.nvmlDeviceGetComputeRunningProcesses(device)
                    if process.pid in pids
                ]
                if ours:
                    memory += sum(process.usedGpuMemory or 0 for process in ours)
                    loads.append(float(self._nvml.nvmlDeviceGetUtilizationRates(device).gpu))
                    name = self._nvml.nvmlDeviceGetName(device)
                    self._names.add(name if isinstance(name, str) else name.decode())
            except self._nvml.NVMLError:
                continue
        self._peak = max(self._peak, memory)
        if loads:
            self._loads.append(sum(loads) / len(loads))

    def measured(self) -> GpuUse | None:
        if not self._names:
            return None
        mean = sum(self._loads) / len(self._loads) if self._loads else None
        return GpuUse(
            peak_memory_bytes=self._peak,
            mean_utilization_percent=None if mean is None else round(mean, 1),
            names=sorted(self._names),
        )

    def close(self) -> None:
        try:
            self._nvml.nvmlShutdown()
        except self._nvml.NVMLError:
            pass
