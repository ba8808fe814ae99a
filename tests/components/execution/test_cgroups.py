"""Control groups: what is found on machines of either version, and what is made of it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dagbook.execution.cgroups import (
    CPU,
    MEMORY,
    PROCESSES,
    Controller,
    find_controllers,
    is_group,
    make_groups,
)

GIB = 1024**3


class Machine:
    """A made-up /proc/self and control group file systems, as files in a folder."""

    def __init__(self, folder: Path) -> None:
        self.proc = folder / "proc"
        self.proc.mkdir()
        self.top = folder / "cgroup"
        self.mounts: list[str] = ["22 1 0:5 / /proc rw - proc proc rw"]

    def mount(self, name: str, *, version: int, root: str = "/") -> Path:
        point = self.top / name
        point.mkdir(parents=True)
        kind, options = ("cgroup2", "rw") if version == 2 else ("cgroup", f"rw,{name}")
        self.mounts.append(f"35 31 0:3 {root} {point} rw,relatime - {kind} {kind} {options}")
        return point

    def find(self, cgroup: str, **options) -> dict[str, Controller]:
        (self.proc / "mountinfo").write_text("\n".join(self.mounts) + "\n", "utf-8")
        (self.proc / "cgroup").write_text(cgroup, "utf-8")
        return find_controllers(self.proc, **options)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def group_v1(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cgroup.procs").write_text("", "utf-8")
    return folder


def group_v2(
    folder: Path, *, controllers="memory pids cpu", enabled="", procs="", is_root=False
) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in {
        "cgroup.procs": procs,
        "cgroup.controllers": controllers,
        "cgroup.subtree_control": enabled,
    }.items():
        (folder / name).write_text(text, "utf-8")
    if not is_root:
        (folder / "cgroup.type").write_text("domain\n", "utf-8")
    return folder


def test_version_1_is_found_controller_by_controller_at_our_own_group(machine):
    memory = group_v1(machine.mount("memory", version=1) / "jobs" / "7")
    shared = group_v1(machine.mount("cpu,cpuacct", version=1))
    found = machine.find("4:memory:/jobs/7\n2:cpu,cpuacct:/\n1:name=systemd:/\n0::/\n")
    assert found == {
        MEMORY: Controller(MEMORY, 1, memory),
        CPU: Controller(CPU, 1, shared),
    }


def test_a_container_sees_version_1_from_its_own_group_on(machine):
    memory = group_v1(machine.mount("memory", version=1, root="/docker/abc"))
    assert machine.find("4:memory:/docker/abc\n")[MEMORY].parent == memory


def test_a_group_outside_of_what_is_mounted_is_not_used(machine):
    group_v1(machine.mount("memory", version=1, root="/docker/abc"))
    assert machine.find("4:memory:/docker/other\n") == {}
    assert machine.find("4:memory:/../up\n") == {}


def test_mount_points_with_spaces_are_read(machine):
    point = machine.mount("memory", version=1)
    group_v1(point)
    spaced = point.with_name("the memory")
    point.rename(spaced)
    machine.mounts[-1] = machine.mounts[-1].replace(str(point), f"{point.parent}/the\\040memory")
    assert machine.find("4:memory:/\n")[MEMORY].parent == spaced


def test_a_delegated_parent_without_processes_is_the_place_on_version_2(machine):
    unit = group_v2(machine.mount("unified", version=2) / "system.slice" / "dagster.service")
    group_v2(unit / "supervisor", procs="17\n")
    os.setxattr(unit, "user.delegate", b"1")
    found = machine.find("0::/system.slice/dagster.service/supervisor\n")
    assert found == {name: Controller(name, 2, unit) for name in (MEMORY, CPU, PROCESSES)}


@pytest.mark.parametrize(
    ("mark", "procs", "controllers"),
    [
        (None, "", "memory pids cpu"),
        (b"1", "5\n", "memory pids cpu"),
        (b"1", "", "hugetlb"),
    ],
    ids=["not-delegated", "processes-in-it", "no-such-controller"],
)
def test_another_parent_is_not(machine, mark, procs, controllers):
    point = machine.mount("unified", version=2)
    unit = group_v2(point / "system.slice" / "x.service", procs=procs, controllers=controllers)
    group_v2(unit / "supervisor", procs="17\n")
    if mark is not None:
        os.setxattr(unit, "user.delegate", mark)
    assert machine.find("0::/system.slice/x.service/supervisor\n") == {}


def test_the_root_a_container_sees_is_the_place_when_its_processes_moved_below(machine):
    point = group_v2(machine.mount("unified", version=2))
    group_v2(point / "init", procs="1\n")
    assert machine.find("0::/init\n")[MEMORY].parent == point
    (point / "cgroup.procs").write_text("1\n", "utf-8")
    assert machine.find("0::/init\n") == {}


def test_only_the_machines_own_root_group_may_hold_processes_and_groups(machine):
    point = group_v2(machine.mount("unified", version=2), procs="1\n2\n", is_root=True)
    assert machine.find("0::/\n")[MEMORY].parent == point
    (point / "cgroup.type").write_text("domain\n", "utf-8")
    assert machine.find("0::/\n") == {}


def test_a_machine_with_both_versions_is_told_by_controllers(machine):
    memory = group_v1(machine.mount("memory", version=1))
    point = group_v2(machine.mount("unified", version=2), controllers="pids", is_root=True)
    assert machine.find("4:memory:/\n0::/\n") == {
        MEMORY: Controller(MEMORY, 1, memory),
        PROCESSES: Controller(PROCESSES, 2, point),
    }


def test_a_machine_without_control_groups_has_none(machine, tmp_path):
    assert machine.find("") == {}
    assert find_controllers(tmp_path / "nowhere") == {}


def test_limits_of_version_1_are_written_where_the_system_reads_them(tmp_path, monkeypatch):
    controllers = {
        name: Controller(name, 1, group_v1(tmp_path / name)) for name in (MEMORY, CPU, PROCESSES)
    }
    groups = make_groups(controllers, "dagbook-1", memory_bytes=4 * GIB, cpus=2)
    assert groups is not None
    written = {
        str(path.relative_to(tmp_path)): path.read_text("utf-8")
        for path in tmp_path.glob("*/dagbook-1/*")
    }
    assert written == {
        "memory/dagbook-1/memory.limit_in_bytes": "4294967296",
        "memory/dagbook-1/memory.swappiness": "0",
        "cpu/dagbook-1/cpu.cfs_period_us": "100000",
        "cpu/dagbook-1/cpu.cfs_quota_us": "200000",
        "pids/dagbook-1/pids.max": "4096",
    }


def test_limits_of_version_2_are_written_into_one_group(tmp_path):
    parent = group_v2(tmp_path / "unit", enabled="memory pids")
    controllers = {name: Controller(name, 2, parent) for name in (MEMORY, PROCESSES, CPU)}
    groups = make_groups(controllers, "dagbook-1", memory_bytes=GIB, cpus=3)
    assert groups is not None
    assert set(groups.folders.values()) == {parent / "dagbook-1"}
    written = {path.name: path.read_text("utf-8") for path in (parent / "dagbook-1").iterdir()}
    assert written == {"memory.max": "1073741824", "cpu.max": "300000 100000", "pids.max": "6144"}
    # Only what was not on yet is switched on, one at a time as the system wants it.
    assert (parent / "cgroup.subtree_control").read_text("utf-8") == "+cpu"


def test_a_controller_the_system_refuses_is_left_out(tmp_path):
    missing = Controller(MEMORY, 1, tmp_path / "nowhere")
    pids = Controller(PROCESSES, 1, group_v1(tmp_path / "pids"))
    groups = make_groups({MEMORY: missing, PROCESSES: pids}, "dagbook-1", memory_bytes=GIB, cpus=1)
    assert groups is not None
    assert set(groups.folders) == {PROCESSES}
    assert make_groups({MEMORY: missing}, "dagbook-2", memory_bytes=GIB, cpus=1) is None


@pytest.mark.parametrize(
    ("charged", "kills", "told"), [(GIB, 2, 2), (GIB // 2, 1, 0), (GIB, 0, 0)],
    ids=["our-limit", "the-machines", "none"],
)  # fmt: skip
def test_version_1_tells_our_limit_from_the_machines(tmp_path, charged, kills, told):
    parent = group_v1(tmp_path / "memory")
    groups = make_groups(
        {MEMORY: Controller(MEMORY, 1, parent)}, "dagbook-1", memory_bytes=GIB, cpus=1
    )
    control, peak = groups.counters
    control.write_text(f"oom_kill_disable 0\nunder_oom 0\noom_kill {kills}\n", "utf-8")
    peak.write_text(f"{charged}\n", "utf-8")
    assert groups.oom_kills == told
    assert groups.most_charged_bytes == charged


def test_version_2_tells_our_limit_from_the_machines(tmp_path):
    parent = group_v2(tmp_path / "unit", enabled="memory")
    groups = make_groups(
        {MEMORY: Controller(MEMORY, 2, parent)}, "dagbook-1", memory_bytes=GIB, cpus=1
    )
    events, peak = groups.counters
    assert groups.most_charged_bytes is None
    events.write_text("low 0\nhigh 0\nmax 9\noom 0\noom_kill 1\noom_group_kill 0\n", "utf-8")
    assert groups.oom_kills == 0
    events.write_text("low 0\nhigh 0\nmax 9\noom 2\noom_kill 1\noom_group_kill 0\n", "utf-8")
    assert groups.oom_kills == 1
    # Once the group is gone, what the guardian read last counts.
    for file in (parent / "dagbook-1").iterdir():
        file.unlink()
    groups.final = {events: "low 0 high 0 max 9 oom 1 oom_kill 3", peak: "1073741824"}
    assert groups.oom_kills == 3
    assert groups.most_charged_bytes == GIB


def test_only_groups_of_ours_are_ever_removed(machine):
    point = machine.mount("memory", version=1)
    machine.find("")
    assert is_group(point / "jobs" / "dagbook-1", machine.proc)
    assert not is_group(point / "jobs", machine.proc)
    assert not is_group(point / ".." / "dagbook-1", machine.proc)
    assert not is_group(machine.top.parent / "dagbook-1", machine.proc)
