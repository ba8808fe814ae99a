"""A real MLflow server, and a proxy before it that can be down in every way there is."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import suppress
from pathlib import Path
from threading import Lock, Thread

from harness import LASTING

#: Ways of a server that is not well. A `slow` one takes a second for each request.
WAYS = ("refuses", "500", "503", "hangs", "slow")
SLOW_SECONDS = 1.0


#: Trials come side by side, and the cache alone lets two of them start a server each.
_ONE_SERVER = Lock()


def mlflow_server() -> str:
    """The address of a server over SQLite; one for this process, for it starts slowly."""
    with _ONE_SERVER:
        return _start_server()


@functools.cache
def _start_server() -> str:
    folder = Path(tempfile.mkdtemp(prefix="mlflow-server-"))
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)),
        *("--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--workers", "1"),
        *("--artifacts-destination", str(folder / "artifacts"), "--serve-artifacts"),
    ]
    # Without its job queue, which is seven more processes.
    quiet = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
    environment = {**os.environ, **quiet}
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=environment, cwd=folder, start_new_session=True
        )

    def stop() -> None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(30)
        shutil.rmtree(folder, ignore_errors=True)

    LASTING.callback(stop)
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return url
        except OSError:
            time.sleep(0.2)
    raise AssertionError((folder / "log").read_text())


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Proxy:
    """Stands before a server; `way` says how the server seems, `well` by default."""

    def __init__(self, server: str, way: str = "well") -> None:
        host, _, port = server.removeprefix("http://").partition(":")
        self._server = (host, int(port))
        self._port = free_port()
        self._lock = Lock()
        self._connections: set[socket.socket] = set()
        self._listener: socket.socket | None = None
        self._way = ""
        self.be(way)

    @property
    def url(self) -> str:
        """Where it is reached."""
        return f"http://127.0.0.1:{self._port}"

    def be(self, way: str) -> None:
        """Change how the server seems; what is under way is cut off."""
        self._way = way
        self._cut()
        if way == "refuses":
            if self._listener is not None:
                # Wakes the thread that accepts as well.
                self._listener.shutdown(socket.SHUT_RDWR)
                self._listener.close()
                self._listener = None
        elif self._listener is None:
            self._listener = socket.create_server(("127.0.0.1", self._port), backlog=64)
            Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        self.be("refuses")

    def _cut(self) -> None:
        with self._lock:
            connections, self._connections = self._connections, set()
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            with self._lock:
                self._connections.add(client)
            Thread(target=self._serve, args=(client, self._way), daemon=True).start()

    def _serve(self, client: socket.socket, way: str) -> None:
        with client, suppress(OSError):
            if way == "hangs":
                while client.recv(65536):  # takes everything and says nothing
                    pass
            elif way in {"500", "503"}:
                client.recv(65536)
                head = f"HTTP/1.1 {way} Not Well\r\nRetry-After: 3600\r\n"
                client.sendall(f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
            else:
                self._forward(client, SLOW_SECONDS if way == "slow" else 0.0)

    def _forward(self, client: socket.socket, delay: float) -> None:
        with socket.create_connection(self._server) as server:
            with self._lock:
                self._connections.add(server)
            back = Thread(target=_copy, args=(server, client, 0.0), daemon=True)
            back.start()
            _copy(client, server, delay)
            back.join()


def _copy(source: socket.socket, target: socket.socket, delay: float) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            time.sleep(delay)
            target.sendall(data)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
