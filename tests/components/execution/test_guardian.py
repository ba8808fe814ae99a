"""The guardian by itself: what holds its command, and that nothing of it is left."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dagbook.execution import guardian
from dagbook.execution.means import find_means

ANOTHER_UID = 65534
#: Loads the guardian's file as it is run, and takes one thing from it.
WITHOUT_PROC = """
import runpy, sys
loaded = runpy.run_path(sys.argv[1])
loaded["Guardian"]._mount_proc = lambda self: False
sys.exit(loaded["main"](sys.argv[2:]))
"""


def guard(*command: str, start: list[str], **settings) -> list[list[str]]:
    """Run a command under a guardian to its end; returns what it said, word by word."""
    control_read, control = os.pipe()
    said, status_write = os.pipe()
    given = {
        "control": control_read, "status": status_write, "scratch": ["/nowhere"], "cpus": [],
        "namespace": True, "groups": {}, "counters": [], **settings,
    }  # fmt: skip
    process = subprocess.Popen(
        [*start, *guardian.Settings(**given).words(), "--", *command], pass_fds=(control_read, status_write),
        stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/",
    )  # fmt: skip
    os.close(control_read)
    os.close(status_write)
    try:
        with os.fdopen(said, "rb") as status:
            lines = [line.decode().split() for line in status]
        assert process.wait(30) == 0
    finally:
        os.close(control)
    return lines


def as_run() -> list[str]:
    return [sys.executable, "-I", "-S", guardian.__file__]


def words(lines: list[list[str]], name: str) -> list[str]:
    return next(line[1:] for line in lines if line[0] == name)


def test_what_it_is_told_arrives_whatever_stands_in_it():
    told = {
        "control": 5, "status": 7, "scratch": ["/tmp/a=b c\n--", "/b"], "cpus": [0, 3], "namespace": True,
        "groups": {"memory": "/sys/x=y", "cpu": "/sys/z"}, "counters": ["/sys/x=y/n", "/sys/-- m"], "secrets": 9, "user": "7:8:9",
    }  # fmt: skip
    assert vars(guardian.Settings.read(guardian.Settings(**told).words())) == told
    less = told | {
        "cpus": [], "namespace": False, "groups": {}, "counters": [], "secrets": None, "user": "",
    }  # fmt: skip
    assert vars(guardian.Settings.read(guardian.Settings(**less).words())) == less


@pytest.mark.parametrize("namespace", [True, False])
def test_it_tells_how_its_command_ended(namespace):
    lines = guard("sh", "-c", "sleep 300 & kill -9 $$", start=as_run(), namespace=namespace)
    assert [line[0] for line in lines] == ["pid", "held", "exit", "usage"]
    assert words(lines, "exit") == ["-9"]
    held = namespace and find_means({}).namespaces
    assert words(lines, "held") == (["namespace"] if held else [])
    lines = guard("sh", "-c", "exit 7", start=as_run(), namespace=namespace)
    assert words(lines, "exit") == ["7"]


def test_a_namespace_without_a_proc_of_its_own_is_none(tmp_path):
    """Numbers there would mean other processes; the command is started again without."""
    out = tmp_path / "parent"
    lines = guard(
        "sh", "-c", f"echo $PPID > {out}", start=[sys.executable, "-c", WITHOUT_PROC, guardian.__file__]
    )  # fmt: skip
    assert words(lines, "held") == []
    assert words(lines, "exit") == ["0"]
    assert int(out.read_text("utf-8")) > 1


@pytest.mark.needs("other-uid")
def test_an_ordinary_user_gets_the_floor_by_itself():
    keep_reading = "-all,+dac_read_search"  # the interpreter may lie in root's home
    as_nobody = [
        "setpriv", f"--reuid={ANOTHER_UID}", f"--regid={ANOTHER_UID}", "--clear-groups",
        f"--bounding-set={keep_reading}", f"--inh-caps={keep_reading}",
        f"--ambient-caps={keep_reading}",
    ]  # fmt: skip
    lines = guard("sh", "-c", "exit 3", start=[*as_nobody, *as_run()])
    assert words(lines, "held") == []
    assert words(lines, "exit") == ["3"]


def test_a_group_that_cannot_be_joined_is_not_said_to_hold():
    lines = guard("true", start=as_run(), namespace=False, groups={"memory": "/nowhere/dagbook-1"})
    assert words(lines, "held") == []
    assert words(lines, "exit") == ["0"]


def test_counters_are_read_after_the_end_of_all(tmp_path: Path):
    counter = tmp_path / "counter"
    counter.write_text("oom_kill 0\n", "utf-8")
    lines = guard(
        "sh", "-c", f"echo oom_kill 2 > {counter}", start=as_run(), counters=[str(counter)]
    )
    assert words(lines, "counter") == ["0", "oom_kill", "2"]
