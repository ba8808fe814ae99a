"""Start Dagster's code server, webserver and daemon for a project, or those that are missing."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dagbook.atomic_write import write_atomically
from dagbook.errors import DagbookError
from dagbook.project import Project
from dagbook.services.explain import explain_dead_service, explain_load_error
from dagbook.services.instance import (
    instance_home,
    locked,
    open_instance,
    prepare_instance,
    require_dagster,
)
from dagbook.services.processes import (
    CODE_SERVER_CHILD,
    end_processes,
    find_family,
    find_process,
    service_command,
    start_process,
)
from dagbook.services.record import (
    CODE_SERVER,
    DAEMON,
    WEBSERVER,
    Services,
    log_file,
    read_record,
    remove_record,
    write_record,
)
from dagbook.services.running import heal_definitions, is_served
from dagbook.services.runs_under_way import settle_unheard_runs
from dagbook.services.sockets import known_sockets, make_socket, remove_socket
from dagbook.services.webserver import ServiceState, ask_state, reload_definitions

CODE_SERVER_COMMAND = "dagster"
WEBSERVER_COMMAND = "dagster-webserver"
DAEMON_COMMAND = "dagster-daemon"

DEFAULT_PORT = 3000
_NEXT_PORTS = 20

#: How long all services together may take until they work, in seconds.
START_SECONDS = 180.0
#: How long a service may take to end, in seconds.
END_SECONDS = 15.0

_POLL_SECONDS = 0.1

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Started:
    """The services, all at work. `names` are those that this call had to start."""

    services: Services
    names: tuple[str, ...]

    @property
    def was_up(self) -> bool:
        """Whether everything ran already."""
        return not self.names


def start_services(
    project: Project, *, port: int | None = None, progress: Progress = lambda _: None
) -> Started:
    """Make sure that Dagster runs for a project, and wait until it works.

    What runs already is left alone, so that runs under way go on; what is missing is started.
    The processes outlive this one. If they cannot be made to work, those started here are ended.

    Args:
        project: the project.
        port: for the web page, on this machine only; a free one, 3000 if possible, by default.
        progress: is told what happens, a few words at a time.

    Raises:
        DagbookError: the port is taken, Dagster is not installed or does not start, or the
            project's definitions do not load.
    """
    require_dagster()
    with locked(project, "services"):
        kept = _services_at_work(project)
        if kept is not None and port not in (None, kept.port) and kept.process(WEBSERVER):
            raise DagbookError(
                f"Dagster runs for this project already, at {kept.url}: "
                f"run `dagbook down`, then `dagbook up --port {port}`"
            )
        if kept is not None and len(kept.processes) == 3:
            heal_definitions(project, kept)
            return Started(kept, names=())
        if port is not None:
            _refuse_taken(port)
        sockets = known_sockets(project)
        _end_services(project, but=kept)
        if kept is None:
            forget_services(project, sockets)
        prepare_instance(project)
        start = _Start(project, kept or _fresh_services(), progress)
        try:
            start.all_missing(port)
        except BaseException:
            _end_services(project, but=kept)
            if kept is None:
                forget_services(project, [start.services.socket])
            raise
        return Started(start.services, tuple(start.names))


def forget_services(project: Project, sockets: Iterable[str]) -> None:
    """Remove the traces of services that have ended."""
    for path in sockets:
        remove_socket(path)
    remove_record(project)


def _services_at_work(project: Project) -> Services | None:
    """The recorded services that need no repair; None if the code server is not among them."""
    record = read_record(project)
    if record is None or find_process(record.process(CODE_SERVER)) is None:
        # Without it the others have nothing to show and nothing to start.
        return None
    alive = [process for process in record.processes if find_process(process)]
    if not is_served(record):
        alive = [process for process in alive if process.name != WEBSERVER]
    return replace(record, processes=tuple(alive))


def _end_services(project: Project, *, but: Services | None) -> None:
    # Found by their mark and not by the record, which may be lost. Runs go on, and so does what
    # has started them.
    kept = {process.pid for process in but.processes} if but else set()
    ended = [
        process
        for process in find_family(instance_home(project))
        if service_command(process) not in (None, CODE_SERVER_CHILD) and process.pid not in kept
    ]
    end_processes(ended, grace=END_SECONDS)


def _fresh_services() -> Services:
    return Services(port=0, socket=make_socket(), started_at=time.time())


@dataclass
class _Start:
    """One start of the services that are missing."""

    project: Project
    services: Services
    progress: Progress
    names: list[str] = field(default_factory=list)
    deadline: float = field(default_factory=lambda: time.monotonic() + START_SECONDS)
    moment: float = field(default_factory=time.time)

    def all_missing(self, port: int | None) -> None:
        """Start what is missing, one after the other where one needs the other."""
        workspace = self._write_workspace()
        if self.services.process(CODE_SERVER) is None:
            self.progress("loading the project")
            runs_may_live = bool(find_family(instance_home(self.project)))
            self._start(CODE_SERVER, CODE_SERVER_COMMAND, self._code_server_arguments())
            if not runs_may_live:
                # Meanwhile: it takes about as long as loading the project.
                self._settle_runs()
            self._wait_for(CODE_SERVER, self._code_server_listens)
        if self.services.process(DAEMON) is None:
            self._start(DAEMON, DAEMON_COMMAND, ["run", "-w", str(workspace)])
        if self.services.process(WEBSERVER) is None:
            self.progress("starting the web page and the scheduler")
            self._start_webserver(workspace, port)
        self._wait_for(WEBSERVER, self._is_loaded)
        error = self._state().load_error
        if error is not None:
            log = log_file(self.project, CODE_SERVER)
            raise DagbookError(explain_load_error(self.project, error, log))
        if DAEMON in self.names:
            self._wait_for(DAEMON, lambda: self._state().daemon_beats_since(self.moment))

    def _code_server_arguments(self) -> list[str]:
        arguments = ["code-server", "start", "--socket", self.services.socket]
        arguments += ["--module-name", self.project.target_module]
        arguments += ["--working-directory", str(self.project.root)]
        arguments += ["--location-name", self.project.module, "--log-level", "warning"]
        # The project's `.env` file counts here, as it does for `dg`.
        return [*arguments, "--inject-env-vars-from-instance"]

    def _start_webserver(self, workspace: Path, wanted: int | None) -> None:
        # Between finding a port free and using it somebody else may take it.
        for attempt in (1, 2, 3):
            port = wanted or _choose_port(self.services.port)
            self.services = replace(self.services, port=port)
            address = ["-h", "127.0.0.1", "-p", str(port)]
            self._start(WEBSERVER, WEBSERVER_COMMAND, [*address, "-w", str(workspace)])
            try:
                self._wait_for(WEBSERVER, lambda: is_served(self.services))
                return
            except DagbookError:
                if attempt == 3 or wanted is not None or _is_free(port):
                    raise

    def _start(self, name: str, script: str, arguments: Sequence[str]) -> None:
        process = start_process(
            name,
            script,
            arguments,
            home=instance_home(self.project),
            folder=self.project.root,
            log=log_file(self.project, name),
        )
        # Twice, where somebody else was quicker to take the port.
        if name not in self.names:
            self.names.append(name)
        self.services = self.services.with_process(process)
        # At once: whatever happens to us, `dagbook down` must find it.
        write_record(self.project, self.services)

    def _wait_for(self, name: str, is_reached: Callable[[], bool]) -> None:
        log = log_file(self.project, name)
        while not _holds(is_reached):
            if find_process(self.services.process(name)) is None:
                raise DagbookError(explain_dead_service(name, log))
            if time.monotonic() > self.deadline:
                raise DagbookError(
                    f"Dagster's {name} did not get ready in {START_SECONDS:g} seconds: see {log}"
                )
            time.sleep(_POLL_SECONDS)

    def _settle_runs(self) -> None:
        with open_instance(self.project) as instance:
            if instance is not None:
                settle_unheard_runs(instance)

    def _code_server_listens(self) -> bool:
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(self.services.socket) == 0

    def _is_loaded(self) -> bool:
        state = self._state()
        error = state.load_error
        if state.is_loading or error is None or not error.is_unreachable:
            return not state.is_loading
        # On a busy machine the web page gives up before the code server has come round.
        if find_process(self.services.process(CODE_SERVER)) is None:
            log = log_file(self.project, CODE_SERVER)
            raise DagbookError(explain_dead_service(CODE_SERVER, log))
        reload_definitions(self.services.url, self.project.module)
        return False

    def _state(self) -> ServiceState:
        return ask_state(self.services.url)

    def _write_workspace(self) -> Path:
        # JSON is YAML.
        server = {"socket": self.services.socket, "location_name": self.project.module}
        path = self.project.state_folder / "workspace.yaml"
        write_atomically(path, json.dumps({"load_from": [{"grpc_server": server}]}) + "\n")
        return path


def _holds(condition: Callable[[], bool]) -> bool:
    try:
        return condition()
    except OSError:
        # Asked too early, or of a webserver that has just ended: its process tells.
        return False


def _refuse_taken(port: int) -> None:
    if not 0 < port < 65536:
        raise DagbookError(f"{port} is no port: name one from 1024 to 65535")
    if not _is_free(port):
        raise DagbookError(
            f"port {port} is taken on this machine: name another one, or leave `--port` out to "
            "have a free one chosen"
        )


def _choose_port(preferred: int) -> int:
    usual = list(range(DEFAULT_PORT, DEFAULT_PORT + _NEXT_PORTS))
    for port in [preferred, *usual] if preferred else usual:
        if _is_free(port):
            return port
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])


def _is_free(port: int) -> bool:
    with socket.socket() as server:
        # As the webserver does: a port whose last connections are still closing is free.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
