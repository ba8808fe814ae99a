"""Whose web page it is that answers."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from dagbook.project import create_project
from dagbook.services import find_services, reload_services
from dagbook.services.record import WEBSERVER, ServiceProcess, Services, write_record


class _SomebodysWebserver(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"dagster_webserver_version": "1.13"}')

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    """Where a webserver of this very process answers as Dagster's does."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _SomebodysWebserver) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


def services_on(port: int, pid: int) -> Services:
    process = ServiceProcess(WEBSERVER, pid, psutil.Process(pid).create_time())
    return Services(port, "/nowhere/code.sock", process.started_at, (process,))


def test_the_page_of_another_project_on_our_port_is_not_ours(tmp_path: Path, port: int) -> None:
    project = create_project(tmp_path / "shop", name="shop")
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as ours:
        write_record(project, services_on(port, ours.pid))
        assert find_services(project) is None
        assert reload_services(project) is None
        ours.kill()


def test_the_page_our_own_process_serves_is_ours(tmp_path: Path, port: int) -> None:
    project = create_project(tmp_path / "shop", name="shop")
    services = services_on(port, psutil.Process().pid)
    write_record(project, services)
    assert find_services(project) == services
