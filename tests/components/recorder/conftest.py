"""Recorders as a run starts them, and what one does with them."""

from __future__ import annotations

import json
import os
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from dagbook.execution.result import RunStatus
from dagbook.recorder.calls import Call, read_calls
from dagbook.recorder.names import new_experiment_id, new_run_id
from dagbook.recorder.start import Recorder
from dagbook.sinks.delivery import Delivery
from dagbook.sinks.spool import SPOOL_FOLDER, End, Head, OwnSpool, Spool

STARTED = 4_000_000_000.0  # far away: what is old is set aside


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MLFLOW_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "2")
    monkeypatch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")


class Recording:
    """One run with its recorder."""

    def __init__(self, state_folder: Path, uri: str, name: str, **options: Any) -> None:
        self.uri = uri
        head = Head(
            experiment="churn",
            run_name="2026-01-01",
            tags={"team": "growth"},
            notebook="churn.ipynb",
            tracking_uri=None if uri.startswith("sqlite") else uri,
            started_at=STARTED,
            output_folder=str(state_folder.parent / "runs"),
        )
        self.spool = OwnSpool(state_folder / SPOOL_FOLDER / name, head)
        self.woken = threading.Event()
        self.recorder = Recorder(self.spool.owner)
        self.run_id, self.experiment_id = new_run_id(), new_experiment_id()
        managed = {
            "run": self.run_id,
            "experiment": self.experiment_id,
            "experiment_name": "churn",
            "name": "2026-01-01",
            "user": "me",
            "tags": {"team": "growth"},
            "time": int(STARTED * 1000),
        }
        self.recorder.begin(
            self.spool.folder,
            managed=managed,
            uri=uri,
            artifacts=(state_folder / "mlartifacts").as_uri(),
            variables=options.get("login", {}),
            masked=options.get("masked", []),
            wake=self.woken.set,
        )

    @property
    def client(self) -> Any:
        """MLflow's own, as the notebook has it."""
        from mlflow import MlflowClient

        return MlflowClient(tracking_uri=self.recorder.uri)

    @property
    def calls(self) -> list[Call]:
        return [call for call, _ in read_calls(self.spool.folder)]

    def post(self, path: str, body: Any, *, method: str = "POST") -> tuple[int, Any]:
        """Call it without MLflow's client."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(
            f"{self.recorder.uri}/api/2.0{path}",
            data,
            {"Content-Type": "application/json"},
            method=method,
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def end(self, status: RunStatus = RunStatus.SUCCEEDED) -> None:
        """What a run does at its end."""
        self.recorder.end()
        self.spool.close(End(status, STARTED + 10))

    def deliver(self, uri: str | None = None) -> Delivery:
        """One round in this process."""
        delivery = Delivery(Spool(self.spool.folder))
        delivery.with_receipt = True
        delivery.advance()
        delivery.give_up_lock()
        return delivery


@pytest.fixture
def record(tmp_path: Path, state_folder: Path) -> Iterator[Callable[..., Recording]]:
    """Starts recorders, and ends them."""
    made: list[Recording] = []

    def start(uri: str | None = None, **options: Any) -> Recording:
        from dagbook.sinks.mlflow import embedded_store

        name = f"{tmp_path.name}-{len(made)}"
        made.append(Recording(state_folder, uri or embedded_store(state_folder), name, **options))
        return made[-1]

    yield start
    for recording in made:
        recording.recorder.end()


@pytest.fixture(scope="session")
def state_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One project's folder of state: making the tables of its store takes seconds."""
    return tmp_path_factory.mktemp("project") / ".dagbook"


class Stranger:
    """An HTTP server that is told what to answer, and remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: tuple[int, dict[str, str], bytes] = (200, {}, b"{}")
        self.seconds = 0.0
        stranger = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                headers = {name.lower(): value for name, value in self.headers.items()}
                stranger.asked.append((self.command, self.path, headers, body))
                time.sleep(stranger.seconds)
                status, more, data = stranger.answer
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", **more}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_POST = do_PUT = do_PATCH = do_DELETE = do_GET

            def log_message(self, *_: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.uri = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    stranger = Stranger()
    yield stranger
    stranger.server.shutdown()
    stranger.server.server_close()
