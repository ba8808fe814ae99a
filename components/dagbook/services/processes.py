"""Find, start and end the processes that belong to a project's services."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import psutil

from dagbook.private_mode import make_private_folder
from dagbook.report import RUN_FOLDER_VARIABLE
from dagbook.services.instance import HOME_VARIABLE
from dagbook.services.record import ServiceProcess

#: Every process we start, and every one that starts in turn, carries the instance's home in this
#: variable. So all can be found, also those whose parent is gone. `DAGSTER_HOME` would not do:
#: a `dg launch` in somebody's terminal has it too.
MARKER_VARIABLE = "DAGBOOK_SERVICES"

PROJECT_VARIABLE = "DAGBOOK_PROJECT"

#: The process that has the project loaded and starts its runs. When the code server above it is
#: gone it ends by itself, after its runs.
CODE_SERVER_CHILD = "dagster api grpc"

#: How far two readings of one process's start may lie apart, in seconds: the system computes it
#: from the clock, which may have been set meanwhile.
_START_TOLERANCE = 2.0
_POLL_SECONDS = 0.05

# Runs the console script of an installed package, wherever pip has put it. `-P` keeps files of
# the project from being taken for modules of Dagster.
_RUN_SCRIPT = (
    "import sys; from importlib.metadata import entry_points; name = sys.argv[1]; "
    "from dagbook.ledger.locked_files import wait_for_locked_files; wait_for_locked_files(); "
    "del sys.argv[0]; (script,) = entry_points(group='console_scripts', name=name); "
    "sys.exit(script.load()())"
)

# Python complains about a process object that is forgotten while its process runs on. Ours are
# meant to outlive us.
_started: list[subprocess.Popen[bytes]] = []


def start_process(
    name: str, script: str, arguments: Sequence[str], *, home: Path, folder: Path, log: Path
) -> ServiceProcess:
    """Start a service that outlives this process and its terminal, its output in a log file."""
    environment = {
        **os.environ,
        HOME_VARIABLE: str(home),
        MARKER_VARIABLE: str(home),
        # What `dagbook.location` looks at first; another project's may be set here.
        PROJECT_VARIABLE: str(folder),
    }
    # Set where `dagbook up` is typed in a notebook that is itself a run.
    environment.pop(RUN_FOLDER_VARIABLE, None)
    make_private_folder(log.parent)
    if log.exists():
        log.replace(log.with_suffix(".log.1"))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, "-P", "-c", _RUN_SCRIPT, script, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _started.append(process)
    try:
        started_at = psutil.Process(process.pid).create_time()
    except psutil.NoSuchProcess:
        started_at = time.time()
    return ServiceProcess(name, process.pid, started_at)


def find_process(recorded: ServiceProcess | None) -> psutil.Process | None:
    """The live process a record means, None if it is gone or its number is now another's."""
    if recorded is None:
        return None
    try:
        process = psutil.Process(recorded.pid)
        is_same = abs(process.create_time() - recorded.started_at) <= _START_TOLERANCE
        return process if is_same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def listens(recorded: ServiceProcess | None, port: int) -> bool:
    """Whether it is this very process that serves a port, and not somebody else's."""
    process = find_process(recorded)
    try:
        return process is not None and any(
            connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
            for connection in process.net_connections("tcp")
        )
    except psutil.Error:
        return False


def find_family(home: Path) -> list[psutil.Process]:
    """Every live process of this instance's services: themselves, and all they started."""
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARKER_VARIABLE) == str(home):
                # A kernel gets an environment of its own, without the mark.
                for member in (process, *process.children(recursive=True)):
                    found[member.pid] = member
        except (psutil.Error, OSError):
            continue
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    return [p for p in found.values() if p.pid not in ours and _is_running(p)]


def service_command(process: psutil.Process) -> str | None:
    """Which of Dagster's commands this is; None for a run, which a service has started."""
    try:
        command = process.cmdline()
    except psutil.Error:
        return None
    if _RUN_SCRIPT in command:
        return command[command.index(_RUN_SCRIPT) + 1]
    # The code server loads the project in a child of its own.
    return CODE_SERVER_CHILD if command[1:5] == ["-m", "dagster", "api", "grpc"] else None


def is_service(process: psutil.Process) -> bool:
    """Whether this is one of Dagster's services, and not a run that one of them started."""
    return service_command(process) is not None


def send_signal(
    processes: Iterable[psutil.Process], number: signal.Signals
) -> list[psutil.Process]:
    """Send a signal to processes; returns those that were there to get it."""
    reached = []
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)
            reached.append(process)
    return reached


def end_processes(processes: Iterable[psutil.Process], *, grace: float) -> None:
    """Ask processes to end, and kill those that have not after `grace` seconds."""
    alive = _wait_for(send_signal(processes, signal.SIGTERM), seconds=grace)
    _wait_for(send_signal(alive, signal.SIGKILL), seconds=grace)


def _wait_for(processes: list[psutil.Process], *, seconds: float) -> list[psutil.Process]:
    """Wait for processes to end; returns those that did not."""
    deadline = time.monotonic() + seconds
    # Not psutil's own wait: to it a process lives until its parent has asked after it, and the
    # parent of an orphan may take its time.
    while alive := [process for process in processes if _is_running(process)]:
        if time.monotonic() > deadline:
            break
        time.sleep(_POLL_SECONDS)
    return alive


def _is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False
