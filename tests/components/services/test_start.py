"""Starting Dagster's processes where one of them is slow."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from threading import Thread

import pytest

from dagbook.errors import DagbookError
from dagbook.project import Project, create_project
from dagbook.services import start_services, stop_services
from dagbook.services.record import CODE_SERVER, read_record
from dagbook.services.webserver import LoadError, ask_state


def code_server(project: Project) -> int:
    record = read_record(project)
    process = record and record.process(CODE_SERVER)
    assert process
    return process.pid


def go_on_once_given_up(project: Project, pid: int) -> None:
    """Let the code server go on when the web page has said that it cannot be reached."""
    deadline = time.monotonic() + 150
    try:
        while time.monotonic() < deadline:
            record = read_record(project)
            try:
                error = ask_state(record.url).load_error if record else None
            except OSError:
                error = None
            if error is not None and error.is_unreachable:
                return
            time.sleep(0.2)
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_code_server_that_comes_late_is_asked_again(tmp_path: Path) -> None:
    project = create_project(tmp_path / "slow", name="slow_project")
    waiting: list[Thread] = []

    def hold(step: str) -> None:
        if step == "starting the web page and the scheduler":
            pid = code_server(project)
            os.kill(pid, signal.SIGSTOP)
            waiting.append(Thread(target=go_on_once_given_up, args=(project, pid)))
            waiting[0].start()

    try:
        started = start_services(project, progress=hold)
        assert waiting, "it was never held"
        assert ask_state(started.services.url).load_error is None
    finally:
        for thread in waiting:
            thread.join()
        stop_services(project)


def test_a_code_server_that_has_ended_is_told_as_that(tmp_path: Path) -> None:
    project = create_project(tmp_path / "gone", name="gone_project")

    def end(step: str) -> None:
        if step == "starting the web page and the scheduler":
            os.kill(code_server(project), signal.SIGKILL)

    with pytest.raises(DagbookError) as caught:
        start_services(project, progress=end)
    assert "code-server" in str(caught.value)
    assert "UNAVAILABLE" not in str(caught.value)


def test_an_error_of_the_definitions_is_none_of_the_connection() -> None:
    assert not LoadError("ValueError", "no such column", ()).is_unreachable
    assert LoadError("DagsterUserCodeUnreachableError", "Could not reach it", ()).is_unreachable
