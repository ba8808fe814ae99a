"""What is written down about running services, and what is believed of it."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from dagbook.project import Project, create_project
from dagbook.services.processes import find_process
from dagbook.services.record import (
    ServiceProcess,
    Services,
    read_record,
    record_file,
    write_record,
)
from dagbook.services.sockets import known_sockets
from dagbook.services.start import forget_services


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "shop", name="shop")


def test_what_is_written_is_read(project: Project) -> None:
    services = Services(3000, "/tmp/dagbook-x/code.sock", 12.5)
    services = services.with_process(ServiceProcess("webserver", 41, 13.25))
    services = services.with_process(ServiceProcess("webserver", 42, 14.0))
    write_record(project, services)
    assert read_record(project) == services
    assert services.process("webserver") == ServiceProcess("webserver", 42, 14.0)
    assert services.process("daemon") is None


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", "{}", '{"port": "x"}', '{"port": 1, "socket": "s"}']
)
def test_what_cannot_be_understood_counts_as_nothing(project: Project, text: str) -> None:
    project.state_folder.mkdir()
    record_file(project).write_text(text)
    assert read_record(project) is None


def test_a_process_is_told_from_a_later_one_of_its_number() -> None:
    own = psutil.Process()
    found = find_process(ServiceProcess("daemon", own.pid, own.create_time()))
    assert found == own
    assert find_process(ServiceProcess("daemon", own.pid, own.create_time() - 60)) is None
    assert find_process(ServiceProcess("daemon", 2**22 + 1, own.create_time())) is None


def test_a_record_cannot_have_a_foreign_folder_removed(project: Project, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    for name in ("code.sock", "thesis.tex"):
        (precious / name).write_text("years of work")
    prefixed = tmp_path / "dagbook-code-precious"
    prefixed.mkdir()
    (prefixed / "thesis.tex").write_text("years of work")
    for socket in (precious / "code.sock", precious / "thesis.tex", prefixed / "code.sock"):
        services = Services(3000, str(socket), 12.5)
        write_record(project, services)
        forget_services(project, known_sockets(project))
    assert sorted(p.name for p in precious.iterdir()) == ["code.sock", "thesis.tex"]
    assert [p.name for p in prefixed.iterdir()] == ["thesis.tex"]
    assert read_record(project) is None
