"""What is written down about the running services, so that anybody can find and stop them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from dagbook.atomic_write import write_atomically
from dagbook.project import Project

CODE_SERVER = "code-server"
WEBSERVER = "webserver"
DAEMON = "daemon"

FILE_NAME = "services.json"
VERSION = 1


@dataclass(frozen=True)
class ServiceProcess:
    """One process we started. `started_at` tells it from a later one of the same number."""

    name: str
    pid: int
    started_at: float


@dataclass(frozen=True)
class Services:
    """Dagster's processes of one project, and where to reach them."""

    port: int
    socket: str
    started_at: float
    processes: tuple[ServiceProcess, ...] = field(default=())

    @property
    def url(self) -> str:
        """The address of Dagster's web page."""
        return f"http://127.0.0.1:{self.port}"

    def with_process(self, process: ServiceProcess) -> Services:
        """The same services with this process in the place of an earlier one of its name."""
        others = [p for p in self.processes if p.name != process.name]
        return replace(self, processes=(*others, process))

    def process(self, name: str) -> ServiceProcess | None:
        """The process of one service, if it was started."""
        return next((p for p in self.processes if p.name == name), None)


def read_record(project: Project) -> Services | None:
    """What was written down last; None if nothing was, or if it cannot be understood."""
    try:
        record: Any = json.loads(record_file(project).read_bytes())
        return Services(
            port=int(record["port"]),
            socket=str(record["socket"]),
            started_at=float(record["started_at"]),
            processes=tuple(
                ServiceProcess(str(p["name"]), int(p["pid"]), float(p["started_at"]))
                for p in record["processes"]
            ),
        )
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_record(project: Project, services: Services) -> None:
    """Write down what runs."""
    text = json.dumps({"version": VERSION, "url": services.url, **asdict(services)}, indent=2)
    write_atomically(record_file(project), text + "\n")


def remove_record(project: Project) -> None:
    """Forget the services, because none is left."""
    record_file(project).unlink(missing_ok=True)


def record_file(project: Project) -> Path:
    """Where the record lies."""
    return project.state_folder / FILE_NAME


def log_file(project: Project, name: str) -> Path:
    """Where a service writes what it does."""
    return project.state_folder / "logs" / f"{name}.log"
