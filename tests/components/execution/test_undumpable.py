"""A notebook cannot read the environment or the memory of the runner, which has its user."""

from __future__ import annotations

import ctypes
import json
import subprocess
import sys
import threading
from pathlib import Path

import nbformat
import pytest
from tests.plain_user import ONE, folder_of, run_as

from dagbook.execution.undumpable import undumpable
from dagbook.service_mark import MARKER_VARIABLE, marked_name

#: The kernel looks at everybody above it.
LOOK = """
import ctypes, json, os
from pathlib import Path
def stat(pid):
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
guardian = os.getppid()
runner = int(stat(guardian)[1])
def tried(action):
    try:
        return action()
    except OSError as error:
        return type(error).__name__
libc = ctypes.CDLL(None, use_errno=True)
Path("told.json").write_text(json.dumps({
    "runner": Path(f"/proc/{runner}/cmdline").read_text(),
    "environ": tried(lambda: Path(f"/proc/{runner}/environ").read_text()),
    "memory": tried(lambda: open(f"/proc/{runner}/mem", "rb").close()),
    "maps": tried(lambda: Path(f"/proc/{runner}/maps").read_text()),
    "files": tried(lambda: os.listdir(f"/proc/{runner}/fd")),
    "folder": tried(lambda: os.readlink(f"/proc/{runner}/cwd")),
    "traced": libc.ptrace(16, runner, 0, 0),
    "name": Path(f"/proc/{runner}/comm").read_text(),
    "guardian": tried(lambda: Path(f"/proc/{guardian}/environ").read_text()),
    "own": os.environ.get("DB_PASSWORD"),
}))
"""
RUNNER = """

from dagbook.credentials.delivery import Delivery, Secret
from dagbook.execution import run_notebook
given = Delivery({"DB_PASSWORD": "in-the-kernel"}, secrets=(Secret("in-the-kernel", "x"),))
result = run_notebook("look.ipynb", credentials=given)
print(result.status, result.reason)
print(sorted(result.resources.means.items()))
print(result.resources.peak_memory_bytes > 1_000_000, result.resources.cpu_seconds > 0)
print("after", open("/proc/self/environ").read().count("of-the-deployment"))
"""


@pytest.fixture(autouse=True)
def open_at_first():
    """A test before, in this very process, may have closed it for good, as a sender does itself."""
    ctypes.CDLL(None).prctl(4, 1, 0, 0, 0)


@pytest.mark.needs("plain-user")
def test_a_kernel_of_the_same_user_reads_nothing_of_the_runner():
    with folder_of(ONE) as folder:
        cells = [nbformat.v4.new_code_cell(LOOK)]
        nbformat.write(nbformat.v4.new_notebook(cells=cells), folder / "look.ipynb")
        said = run_as(
            ONE, RUNNER, folder=folder,
            VAULT_TOKEN="of-the-deployment", DAGBOOK_SERVICES="/home/of/services",
        )  # fmt: skip
        told = json.loads((folder / "told.json").read_text("utf-8"))
    assert said.splitlines() == [
        "succeeded ",
        "[('cpu', 'none'), ('memory', 'sampling'), ('process_limit', 'none'), "
        "('processes', 'guardian'), ('time', 'clock')]",
        "True True",
        "after 1",
    ]
    assert "run_notebook" in told.pop("runner")  # it looked at the right process
    guardian = told.pop("guardian")
    assert "PATH=" in guardian
    assert "of-the-deployment" not in guardian
    assert "in-the-kernel" not in guardian
    assert told == {
        "environ": "PermissionError", "memory": "PermissionError", "maps": "PermissionError",
        "files": "PermissionError", "folder": "PermissionError", "traced": -1,
        "name": f"{marked_name('/home/of/services')}\n", "own": "in-the-kernel",
    }  # fmt: skip


def dumpable() -> int:
    return ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has it")
def test_it_is_closed_as_long_as_anybody_is_inside():
    assert dumpable() == 1
    inside, leave = threading.Event(), threading.Event()

    def other_run() -> None:
        with undumpable():
            inside.set()
            leave.wait(10)

    other = threading.Thread(target=other_run)
    with undumpable():
        other.start()
        inside.wait(10)
        assert dumpable() == 0
    assert dumpable() == 0
    leave.set()
    other.join()
    assert dumpable() == 1


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has it")
def test_one_that_was_closed_already_stays_so():
    code = (
        "import ctypes; p = ctypes.CDLL(None).prctl; p(4, 0, 0, 0, 0)\n"
        "from dagbook.execution.undumpable import undumpable\n"
        "with undumpable(): pass\n"
        "print(p(3, 0, 0, 0, 0))"
    )
    assert subprocess.check_output([sys.executable, "-c", code]) == b"0\n"


def test_what_it_starts_is_open_again():
    """Else nobody could look at a kernel of their own."""
    with undumpable():
        code = "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))"
        assert subprocess.check_output([sys.executable, "-c", code]) == b"1\n"


def test_a_process_of_services_is_known_by_its_name_meanwhile(monkeypatch):
    monkeypatch.setenv(MARKER_VARIABLE, "/a/home")
    before = Path("/proc/self/comm").read_text("utf-8")
    with undumpable():
        assert Path("/proc/self/comm").read_text("utf-8") == f"{marked_name('/a/home')}\n"
    assert Path("/proc/self/comm").read_text("utf-8") == before
    assert marked_name("/a/home") != marked_name("/another")
    assert len(marked_name("/a/home")) == 15  # the system keeps no more


@pytest.mark.needs("plain-user")
def test_services_find_a_run_that_is_closed_to_them():
    """An ordinary user's `dagbook down` ends also a run whose parent is gone."""
    code = """
import os, subprocess, sys
from pathlib import Path
from dagbook.services.processes import find_family
inside = "import sys\\nfrom dagbook.execution.undumpable import undumpable\\nwith undumpable():\\n  print(flush=True); sys.stdin.read()"
def start(home):
    process = subprocess.Popen([sys.executable, "-c", inside], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "DAGBOOK_SERVICES": home})
    process.stdout.readline()
    return process
one, other = start("/a/home"), start("/another")
try:
    Path(f"/proc/{one.pid}/environ").read_bytes()
except PermissionError:
    print("closed")
print([p.pid for p in find_family(Path("/a/home"))] == [one.pid])
for process in (one, other):
    process.communicate()
"""
    with folder_of(ONE) as folder:
        assert run_as(ONE, code, folder=folder).split() == ["closed", "True"]
