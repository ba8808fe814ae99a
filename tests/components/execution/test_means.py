"""What a run may be held with, and that it is."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from tests.components.execution.conftest import code_cells, text_of

from dagbook.errors import DagbookError
from dagbook.execution import Cause, RunStatus, run_notebook
from dagbook.execution.cgroups import GROUP_PREFIX, MEMORY, find_controllers
from dagbook.execution.guardian import remove_groups
from dagbook.execution.means import WITHOUT_VARIABLE, find_means
from dagbook.policy import Size

ALL_CAPABILITIES = "CapEff:\t000001ffffffffff\n"
FLOOR = {WITHOUT_VARIABLE: "cgroups,namespaces"}
TINY = Size("tiny", cpus=1, memory_bytes=300 * 1024**2, max_runtime_seconds=60)


def proc_of(folder: Path, *, capabilities: str = ALL_CAPABILITIES, mounts: str = "") -> Path:
    (folder / "status").write_text(f"Name:\tx\n{capabilities}", "utf-8")
    (folder / "mountinfo").write_text(f"22 1 0:5 / /proc rw - proc proc rw\n{mounts}", "utf-8")
    (folder / "cgroup").write_text("0::/\n", "utf-8")
    return folder


def groups_left(shown: str) -> list[Path]:
    """Those of the groups a notebook showed of itself that are still there."""
    names = set(re.findall(rf"{GROUP_PREFIX}\w+", shown))
    parents = {controller.parent for controller in find_controllers().values()}
    return [parent / name for parent in parents for name in names if (parent / name).exists()]


def test_namespaces_need_the_right_to_make_them(tmp_path):
    assert find_means({}, proc_of(tmp_path)).namespaces
    ordinary = proc_of(tmp_path, capabilities="CapEff:\t0000000000000000\n")
    assert not find_means({}, ordinary).namespaces


def test_a_proc_with_covered_parts_is_left_as_it_is(tmp_path):
    usual = "30 22 0:9 / /proc/sys/fs/binfmt_misc rw - autofs systemd-1 rw\n"
    masked = "31 22 0:5 / /proc/kcore rw - tmpfs tmpfs rw\n"
    assert find_means({}, proc_of(tmp_path, mounts=usual)).namespaces
    assert not find_means({}, proc_of(tmp_path, mounts=usual + masked)).namespaces


def test_a_machine_may_do_without(tmp_path):
    assert find_means(FLOOR) == find_means({WITHOUT_VARIABLE: " namespaces, cgroups,"})
    without = find_means(FLOOR, proc_of(tmp_path))
    assert not without.namespaces
    assert without.controllers == {}
    assert find_means({WITHOUT_VARIABLE: "cgroups"}, proc_of(tmp_path)).namespaces


def test_an_unknown_word_is_refused_before_a_kernel_starts(make_notebook, monkeypatch):
    monkeypatch.setenv(WITHOUT_VARIABLE, "cgroup,namespaces")
    with pytest.raises(DagbookError) as refused:
        run_notebook(make_notebook("1"))
    assert str(refused.value) == (
        "DAGBOOK_WITHOUT: 'cgroup' cannot be left out. "
        "Did you mean `cgroups`? Known: cgroups, namespaces"
    )


@pytest.mark.parametrize("without", ["", "cgroups", "namespaces", "cgroups,namespaces"])
def test_a_run_says_by_what_it_was_held(make_notebook, monkeypatch, without):
    monkeypatch.setenv(WITHOUT_VARIABLE, without)
    means = find_means()
    result = run_notebook(
        make_notebook("import os, sys\nprint(os.getppid(), open('/proc/self/cgroup').read())"),
        size=TINY,
    )
    assert result.status is RunStatus.SUCCEEDED, result.reason
    parent, _, groups = text_of(code_cells(result.executed_notebook)[0].outputs).partition(" ")
    told = result.resources.means
    version = means.controllers[MEMORY].version if MEMORY in means.controllers else None
    assert told["memory"] == ("sampling" if version is None else f"cgroup v{version}")
    assert result.resources.enforced_by == told["memory"]
    assert (GROUP_PREFIX in groups) == bool(means.controllers)
    assert told["processes"] == ("pid namespace" if means.namespaces else "guardian")
    assert (parent == "0") == means.namespaces
    assert told["time"] == "clock"
    assert groups_left(groups) == []


def test_a_run_without_a_size_has_no_limits_and_is_ended_completely_all_the_same(make_notebook):
    result = run_notebook(make_notebook("1"), size=None)
    processes = "pid namespace" if find_means().namespaces else "guardian"
    assert result.resources.means == {
        "memory": "none", "cpu": "none", "processes": processes, "process_limit": "none",
        "time": "none",
    }  # fmt: skip


def test_numbers_of_processes_are_not_the_same_in_every_run(make_notebook):
    source = make_notebook("import os\nprint(os.getpid())")
    numbers = [
        int(text_of(code_cells(run_notebook(source).executed_notebook)[0].outputs))
        for _ in range(2)
    ]
    assert numbers[0] != numbers[1]


def test_a_notebook_sees_its_own_processes_as_everywhere(make_notebook):
    result = run_notebook(
        make_notebook(
            "import multiprocessing, os, subprocess, psutil\n"
            "def square(x):\n    return x * x\n"
            "with multiprocessing.get_context('fork').Pool(2) as pool:\n"
            "    print(pool.map(square, range(3)))\n"
            "child = subprocess.Popen(['sleep', '60'], start_new_session=True)\n"
            "me = psutil.Process()\n"
            "print(child.pid in [c.pid for c in me.children()], os.readlink('/proc/self') == "
            "str(os.getpid()), psutil.Process(child.pid).ppid() == os.getpid())\n"
            "os.killpg(child.pid, 15)\nprint(child.wait())"
        )
    )
    assert result.status is RunStatus.SUCCEEDED, result.reason
    printed = text_of(code_cells(result.executed_notebook)[0].outputs)
    assert printed == "[0, 1, 4]\nTrue True True\n-15\n"


def test_files_that_are_read_and_mapped_are_no_memory_in_use(make_notebook, tmp_path):
    code = (
        "import mmap\n"
        f"with open({str(tmp_path / 'big')!r}, 'w+b') as file:\n"
        "    for _ in range(40):\n        file.write(bytes(10_000_000))\n"
        "    file.flush()\n"
        "    mapped = mmap.mmap(file.fileno(), 0)\n"
        "    print(sum(mapped[at] for at in range(0, len(mapped), 4096)), len(mapped))\n"
        "import time\ntime.sleep(0.7)"
    )
    result = run_notebook(make_notebook(code), size=TINY)
    assert result.status is RunStatus.SUCCEEDED, result.reason
    assert text_of(code_cells(result.executed_notebook)[0].outputs) == "0 400000000\n"


@pytest.mark.needs("control-groups")
def test_too_many_processes_are_refused_by_the_system_not_by_the_machine(make_notebook):
    result = run_notebook(
        make_notebook(
            "import threading\nhold = threading.Event()\nstarted = []\n"
            "try:\n"
            "    for _ in range(3000):\n"
            "        thread = threading.Thread(target=hold.wait, daemon=True)\n"
            "        thread.start()\n        started.append(thread)\n"
            "except RuntimeError as error:\n    print(error, 1500 < len(started) < 2048)\n"
            "hold.set()"
        ),
        size=TINY,
    )
    assert result.status is RunStatus.SUCCEEDED, result.reason
    printed = text_of(code_cells(result.executed_notebook)[0].outputs)
    assert printed == "can't start new thread True\n"


@pytest.mark.needs("control-groups")
def test_a_kernel_too_big_for_its_size_from_the_start_says_so(make_notebook):
    minute = Size("minute", cpus=1, memory_bytes=12 * 1024**2, max_runtime_seconds=60)
    result = run_notebook(make_notebook("1"), size=minute)
    assert result.status is RunStatus.KILLED
    assert result.cause is Cause.MEMORY
    assert result.reason == "exceeded 12 MiB of size minute, peak 12 MiB"
    assert [str(cell.status) for cell in result.cells] == ["not_run"]
    assert code_cells(result.executed_notebook)[0].metadata.dagbook.status == "not_run"


@pytest.mark.needs("control-groups")
def test_a_child_the_system_ended_for_memory_ends_the_run_however_the_cell_takes_it(
    make_notebook,
):
    code = (
        "import subprocess, sys\n"
        "subprocess.run([sys.executable, '-c', 'bytearray(2_000_000_000)'])\nprint('went on')"
    )
    result = run_notebook(make_notebook(code, "1"), size=TINY)
    assert result.status is RunStatus.KILLED
    assert result.cause is Cause.MEMORY
    assert result.reason == "exceeded 300 MiB of size tiny, peak 300 MiB"
    assert [str(cell.status) for cell in result.cells] == ["killed", "not_run"]


def test_a_killed_guardian_takes_everything_with_it_and_the_groups_are_removed(make_notebook):
    """Its own end is told as the kernel's, which died with it."""
    code = (
        "import os, subprocess, time\n"
        "subprocess.Popen(['sleep', '300'], start_new_session=True)\n"
        "print(open('/proc/self/cgroup').read(), flush=True)\ntime.sleep(300)"
    )
    ours = psutil.Process()
    before = {child.pid for child in ours.children()}

    def kill_guardian(event):
        if type(event).__name__ == "CellStarted":
            guardian = next(c for c in ours.children() if c.pid not in before)
            # A moment later, when the cell has begun.
            subprocess.Popen(
                ["sh", "-c", f"sleep 1; kill -9 {guardian.pid}"], start_new_session=True
            )

    result = run_notebook(
        make_notebook(code), environment={"TRIAL": "guardian"}, on_event=kill_guardian
    )
    assert result.status is RunStatus.KILLED
    assert result.reason == "kernel killed (signal 9) in cell 1"
    means = result.resources.means
    if "guardian" not in means["processes"] or means["memory"] != "sampling":
        left = [p for p in psutil.process_iter() if _marked(p, "guardian")]
        assert left == []
    assert groups_left(text_of(code_cells(result.executed_notebook)[0].outputs)) == []


def _marked(process: psutil.Process, marker: str) -> bool:
    try:
        return process.environ().get("TRIAL") == marker
    except psutil.Error:
        return False


@pytest.mark.needs("control-groups")
def test_what_lives_on_in_a_group_is_ended_when_the_group_is_removed():
    controllers = find_controllers()
    folder = next(iter(controllers.values())).parent / f"{GROUP_PREFIX}test-{os.getpid()}"
    (folder / "below").mkdir(parents=True)
    sleeper = subprocess.Popen(["sleep", "300"], start_new_session=True)
    (folder / "below" / "cgroup.procs").write_text(str(sleeper.pid), "utf-8")
    remove_groups([str(folder)])
    assert sleeper.wait(10) == -signal.SIGKILL
    assert not folder.exists()
