"""A kernel held inside its size: started, watched, ended when it takes too much, and accounted for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from dagbook.execution.environment import kernel_environment
from dagbook.execution.kernel import Kernel
from dagbook.execution.plan import Plan
from dagbook.execution.resources import ResourceSampler
from dagbook.execution.result import Resources
from dagbook.execution.words import in_bytes
from dagbook.report import RUN_FOLDER_VARIABLE

if TYPE_CHECKING:
    from dagbook.execution.handover import Handover


class HeldKernel:
    """The kernel of one plan, with what watches over its memory."""

    def __init__(
        self,
        plan: Plan,
        run_folder: Path,
        on_exceeded: Callable[[str], None],
        handover: Handover | None = None,
    ) -> None:
        """Start it.

        Args:
            plan: what it runs on, with which environment, and how much it may use.
            run_folder: what the runner shares with it.
            on_exceeded: called from another thread with the reason, once it holds more memory
                than its size.
            handover: its credentials; their files are there.

        Raises:
            DagbookError: it cannot be started.
        """
        self._plan = plan
        environment = kernel_environment(
            os.environ,
            kernelspec=plan.kernelspec.env,
            extra={**plan.environment, RUN_FOLDER_VARIABLE: str(run_folder)},
            project_root=plan.project_root,
        )
        self.kernel = Kernel(
            plan.kernelspec,
            cwd=plan.working_folder,
            environment=environment,
            size=plan.size,
            means=plan.means,
            secrets=None if handover is None else handover.environment,
            secret_folder=None if handover is None else handover.folder,
            rules=plan.kernel_rules,
            user=plan.kernel_user,
            masker=plan.masker,
        )
        self._sampler = ResourceSampler(
            self.kernel.guardian_pid,
            limit_bytes=None if plan.size is None else plan.size.memory_bytes,
            oom_kills=lambda: self.kernel.oom_kills,
            on_exceeded=lambda memory: on_exceeded(self._too_much(memory)),
        )
        self._sampler.start()

    def over_size(self) -> str | None:
        """Why the run is over its size, if the system has ended a process of it for that."""
        return self._too_much(self._sampler.limit_met()) if self.kernel.oom_kills else None

    def used(self) -> Resources:
        """What it has used, and by what means it was held."""
        plan, groups = self._plan, self.kernel.groups
        limited_time = plan.run_seconds is not None or plan.cell_seconds is not None
        return self._sampler.measured(
            cpu_seconds=self.kernel.cpu_seconds,
            peak_process_bytes=self.kernel.peak_process_bytes,
            most_charged_bytes=None if groups is None else groups.most_charged_bytes,
            means={**self.kernel.means, "time": "clock" if limited_time else "none"},
        )

    def stop_sampling(self) -> None:
        """Take a last look; what comes now is the kernel's own end."""
        self._sampler.stop()

    def close(self) -> None:
        """End the kernel and everything it started. Safe to call twice."""
        self._sampler.stop()
        self.kernel.close()

    def _too_much(self, memory: int) -> str:
        size = self._plan.size
        assert size is not None
        return (
            f"exceeded {in_bytes(size.memory_bytes)} of size {size.name}, peak {in_bytes(memory)}"
        )
