"""Control groups: how Linux holds a run's processes together inside limits, exactly.

Versions 1 and 2 differ in names and layout only; what is there is told controller by controller,
as a machine may have some in either. A run gets a group of its own below the one its runner is
in, so the limits around the runner go on to hold for it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

#: What of the system is limited for a run.
MEMORY, CPU, PROCESSES = "memory", "cpu", "pids"
CONTROLLERS = (MEMORY, CPU, PROCESSES)
GROUP_PREFIX = "dagbook-"
#: How many processes and threads a run may have for each CPU of its size: far more than work
#: needs, far fewer than the machine has numbers.
PROCESSES_PER_CPU = 2048
CPU_PERIOD_MICROSECONDS = 100_000
#: How near a group gets to its limit before no more is to be had: what is asked for at once may
#: be a huge page.
LIMIT_MET_WITHIN_BYTES = 4 * 1024**2
# How systemd marks a group whose inside it leaves to others: one for users, one for root.
_DELEGATION_MARKS = ("user.delegate", "trusted.delegate")


@dataclass(frozen=True)
class Controller:
    """A resource this process may limit for groups made in `parent`."""

    name: str
    version: int
    parent: Path


def find_controllers(
    proc: Path = Path("/proc/self"), *, wanted: tuple[str, ...] = CONTROLLERS
) -> dict[str, Controller]:
    """Which of the wanted resources this process may limit by control groups."""
    try:
        mounts = list(_read_mounts((proc / "mountinfo").read_text("utf-8")))
        own = _read_own_groups((proc / "cgroup").read_text("utf-8"))
    except OSError:
        return {}
    found: dict[str, Controller] = {}
    for name in wanted:
        if name in own:
            parent = _own_folder(own[name], [m for m in mounts if name in m.controllers])
            if parent is not None and _may_make_groups(parent[0]):
                found[name] = Controller(name, 1, parent[0])
        elif "" in own:
            parent = _own_folder(own[""], [m for m in mounts if m.version == 2])
            if parent is not None and (folder := _delegated(*parent, name)) is not None:
                found[name] = Controller(name, 2, folder)
    return found


def is_group(path: Path, proc: Path = Path("/proc/self")) -> bool:
    """Whether a path lies in a control group file system and has the name of a group of ours."""
    if not path.name.startswith(GROUP_PREFIX) or ".." in path.parts:
        return False
    try:
        mounts = _read_mounts((proc / "mountinfo").read_text("utf-8"))
        return any(mount.point in path.parents for mount in mounts)
    except OSError:
        return False


class _Mount(NamedTuple):
    version: int
    controllers: frozenset[str]
    root: str
    point: Path


def _read_mounts(mountinfo: str) -> Iterator[_Mount]:
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        fields, (kind, _source, options) = before.split(), after.split(" ", 2)
        version = {"cgroup": 1, "cgroup2": 2}.get(kind)
        if version is not None:
            controllers = frozenset(options.split(",")) if version == 1 else frozenset[str]()
            yield _Mount(version, controllers, _unescaped(fields[3]), Path(_unescaped(fields[4])))


def _read_own_groups(cgroup: str) -> dict[str, str]:
    """This process's group by controller; that of version 2 by the empty name."""
    own: dict[str, str] = {}
    for line in cgroup.splitlines():
        _, controllers, path = line.split(":", 2)
        own |= dict.fromkeys(controllers.split(","), path)
    return own


def _own_folder(path: str, mounts: list[_Mount]) -> tuple[Path, Path] | None:
    """Where this process's group lies, and where its file system is mounted."""
    for mount in mounts:
        # In a container the mount may begin at its own group, or the path lead out of it.
        if ".." not in Path(path).parts and Path(path).is_relative_to(mount.root):
            folder = mount.point / Path(path).relative_to(mount.root)
            if folder.is_dir():
                return folder, mount.point
    return None


def _may_make_groups(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK) and os.access(folder / "cgroup.procs", os.W_OK)


def _delegated(own: Path, top: Path, controller: str) -> Path | None:
    """Where on version 2 groups with this controller may be made, by its rules and good manners.

    A group with processes in it cannot limit groups below it, unless it is the machine's root
    group. So the place is beside ours, in a parent without processes that was handed over:
    marked as delegated by systemd (``Delegate=yes`` with ``DelegateSubgroup=``), or the root a
    container sees. Anywhere else the run would leave limits that somebody put around us.
    """
    if own == top and not (own / "cgroup.type").exists():
        place = own
    else:
        place = own.parent
        if own == top or not (_is_delegated(place) or (place == top and _has_type(place))):
            return None
        if (place / "cgroup.procs").read_text("utf-8").strip():
            return None
    controllers, enabled = (
        (place / name).read_text("utf-8").split()
        for name in ("cgroup.controllers", "cgroup.subtree_control")
    )
    if controller not in controllers or not _may_make_groups(place):
        return None
    if controller not in enabled and not os.access(place / "cgroup.subtree_control", os.W_OK):
        return None
    return place


def _has_type(folder: Path) -> bool:
    # The machine's own root group has none.
    return (folder / "cgroup.type").exists()


def _is_delegated(folder: Path) -> bool:
    for mark in _DELEGATION_MARKS:
        try:
            if os.getxattr(folder, mark) == b"1":
                return True
        except OSError:
            continue
    return False


def _unescaped(text: str) -> str:
    for code in ("\\040", "\\011", "\\012", "\\134"):
        text = text.replace(code, chr(int(code[1:], 8)))
    return text


@dataclass
class RunGroups:
    """The control groups of one run, by controller, and what their counters say.

    They are removed by the run's guardian. Until then counters are read from the files, later
    they are what the guardian read last (`final`).
    """

    memory_bytes: int
    folders: dict[str, Path] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)
    final: dict[Path, str] = field(default_factory=dict)

    @property
    def counters(self) -> list[Path]:
        """The files that tell afterwards what happened."""
        if MEMORY not in self.folders:
            return []
        names = _COUNTERS[self.versions[MEMORY]]
        return [self.folders[MEMORY] / name for name in names]

    @property
    def oom_kills(self) -> int:
        """How many processes were ended because the memory of this very run was used up.

        A process of the run that was ended because the whole machine, or what surrounds the
        runner, had no memory left does not count.
        """
        if MEMORY not in self.folders:
            return 0
        if self.versions[MEMORY] == 2:
            events = self._fields("memory.events")
            return events.get("oom_kill", 0) if events.get("oom") else 0
        kills = self._fields("memory.oom_control").get("oom_kill", 0)
        # `memory.failcnt` would tell, but stays 0 in the newest kernels.
        met = (self.most_charged_bytes or 0) >= self.memory_bytes - LIMIT_MET_WITHIN_BYTES
        return kills if met else 0

    @property
    def most_charged_bytes(self) -> int | None:
        """The most that was ever charged to the run, page cache of files included."""
        if MEMORY not in self.folders:
            return None
        name = {1: "memory.max_usage_in_bytes", 2: "memory.peak"}[self.versions[MEMORY]]
        text = self._read(name).strip()
        return int(text) if text.isdigit() else None

    def _read(self, name: str) -> str:
        path = self.folders[MEMORY] / name
        try:
            return path.read_text("utf-8")
        except OSError:
            return self.final.get(path, "")

    def _fields(self, name: str) -> dict[str, int]:
        words = self._read(name).split()
        return {key: int(value) for key, value in zip(words[::2], words[1::2], strict=False)}


_COUNTERS = {
    1: ("memory.oom_control", "memory.max_usage_in_bytes"),
    2: ("memory.events", "memory.peak"),
}


def make_groups(
    controllers: Mapping[str, Controller], name: str, *, memory_bytes: int, cpus: int
) -> RunGroups | None:
    """Make a run's groups and set their limits; None where no controller would have it."""
    groups = RunGroups(memory_bytes)
    for controller in controllers.values():
        folder = controller.parent / name
        try:
            if controller.version == 2:
                _enable(controller)
            folder.mkdir(exist_ok=controller.parent / name in groups.folders.values())
            for file, value in _limits(controller, folder, memory_bytes, cpus):
                (folder / file).write_text(value, "utf-8")
        except OSError:
            # The probe said yes and the system no: the run is held by the means that remain.
            if folder.is_dir() and folder not in groups.folders.values():
                folder.rmdir()
            continue
        groups.folders[controller.name] = folder
        groups.versions[controller.name] = controller.version
    return groups if groups.folders else None


def _enable(controller: Controller) -> None:
    control = controller.parent / "cgroup.subtree_control"
    if controller.name not in control.read_text("utf-8").split():
        control.write_text(f"+{controller.name}", "utf-8")


def _limits(
    controller: Controller, folder: Path, memory_bytes: int, cpus: int
) -> Iterator[tuple[str, str]]:
    """Files and what to write to them. Memory is limited with the swap it might move to."""
    if controller.name == PROCESSES:
        yield "pids.max", str(cpus * PROCESSES_PER_CPU)
    elif controller.name == CPU and controller.version == 1:
        yield "cpu.cfs_period_us", str(CPU_PERIOD_MICROSECONDS)
        yield "cpu.cfs_quota_us", str(cpus * CPU_PERIOD_MICROSECONDS)
    elif controller.name == CPU:
        yield "cpu.max", f"{cpus * CPU_PERIOD_MICROSECONDS} {CPU_PERIOD_MICROSECONDS}"
    elif controller.version == 1:
        yield "memory.limit_in_bytes", str(memory_bytes)
        if (folder / "memory.memsw.limit_in_bytes").exists():
            yield "memory.memsw.limit_in_bytes", str(memory_bytes)
        else:
            yield "memory.swappiness", "0"
    else:
        yield "memory.max", str(memory_bytes)
        if (folder / "memory.swap.max").exists():
            yield "memory.swap.max", "0"
        # All of it at once, where the kernel can: half a run is of no use.
        if (folder / "memory.oom.group").exists():
            yield "memory.oom.group", "1"
