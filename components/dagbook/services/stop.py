"""Stop everything that runs for a project, so that nothing is left."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sized
from dataclasses import dataclass

import psutil

from dagbook.errors import DagbookError
from dagbook.project import Project
from dagbook.services.instance import instance_home, locked, open_instance
from dagbook.services.processes import (
    end_processes,
    find_family,
    is_service,
    send_signal,
    service_command,
)
from dagbook.services.runs_under_way import (
    cancel_runs,
    runs_under_way,
    settle_runs,
    wait_for_end,
)
from dagbook.services.sockets import known_sockets
from dagbook.services.start import DAEMON_COMMAND, END_SECONDS, forget_services

#: How long a run may take to end after it was asked to, in seconds. Its kernel is given ten.
CANCEL_SECONDS = 30.0
#: How long a process may live on after its run has ended, in seconds.
WORKER_SECONDS = 5.0

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Stopped:
    """What was stopped. `cancelled` are the ids of the runs that did not come to their end."""

    was_up: bool
    cancelled: tuple[str, ...] = ()
    waited_for: tuple[str, ...] = ()


def stop_services(
    project: Project, *, wait: bool = False, progress: Progress = lambda _: None
) -> Stopped:
    """End Dagster's processes for a project, their descendants and the runs under way.

    No new run starts from here on. Runs under way are cancelled as from Dagster's page, so their
    notebooks are stored as cancelled, or waited for. Runs in the queue stay there and start after
    the next `start_services`.

    Args:
        project: the project.
        wait: let the runs under way come to their end first, however long that takes.
        progress: is told what happens, a few words at a time.

    Raises:
        DagbookError: a process does not end, not even when it is killed.
    """
    with locked(project, "services"):
        home = instance_home(project)
        sockets = known_sockets(project)
        family = find_family(home)
        if not family:
            forget_services(project, sockets)
            return Stopped(was_up=False)
        # First, so that no schedule and no queue starts another run meanwhile.
        daemons = [p for p in family if service_command(p) == DAEMON_COMMAND]
        end_processes(daemons, grace=END_SECONDS)
        stopped = Stopped(was_up=True)
        if any(not is_service(process) for process in find_family(home)):
            stopped = _end_runs(project, wait, progress)
        progress("stopping the web page and the scheduler")
        end_processes(filter(is_service, find_family(home)), grace=END_SECONDS)
        end_processes(find_family(home), grace=END_SECONDS)
        _refuse_to_leave(find_family(home))
        forget_services(project, sockets)
    return stopped


def _end_runs(project: Project, wait: bool, progress: Progress) -> Stopped:
    with open_instance(project) as instance:
        if instance is None:
            return Stopped(was_up=True)
        waited_for = []
        if wait:
            waited_for = runs_under_way(instance)
            progress(f"waiting for {_count(waited_for)}")
            wait_for_end(instance)
        cancelled, reached = cancel_runs(instance)
        if cancelled:
            progress(f"cancelling {_count(cancelled)}")
            if not reached:
                # What Dagster itself sends to a run; it does not listen to SIGTERM there.
                send_signal(_run_workers(project), signal.SIGINT)
            wait_for_end(instance, seconds=CANCEL_SECONDS)
        end_processes(_run_workers(project), grace=WORKER_SECONDS)
        settle_runs(instance, "canceled", "`dagbook down` ended the processes of this run.")
    return Stopped(
        was_up=True,
        cancelled=tuple(run.run_id for run in cancelled),
        waited_for=tuple(run.run_id for run in waited_for),
    )


def _count(runs: Sized) -> str:
    return "1 run" if len(runs) == 1 else f"{len(runs)} runs"


def _run_workers(project: Project) -> list[psutil.Process]:
    """The processes of runs, without the kernels and helpers below them."""
    runs = [p for p in find_family(instance_home(project)) if not is_service(p)]
    pids = {process.pid for process in runs}
    return [process for process in runs if process.ppid() not in pids]


def _refuse_to_leave(left: list[psutil.Process]) -> None:
    if left:
        numbers = ", ".join(str(process.pid) for process in left)
        raise DagbookError(f"these processes do not end, not even when killed: {numbers}")
