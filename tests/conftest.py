"""What a test may need that pip cannot install, and the table of what was left out for it.

``@pytest.mark.needs("r")`` leaves a test out where there is no R, and the table at the end of the
run says so. Names in the environment variable ``DAGBOOK_REQUIRE`` (separated by commas) must be
there: with them an absence fails the test instead.
"""

from __future__ import annotations

import collections
import functools
import importlib.util
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

REQUIRE_VARIABLE = "DAGBOOK_REQUIRE"
LEFT_OUT = "left out"


@dataclass(frozen=True)
class Need:
    """Something outside the Python environment. `absence` says why it is not there, or None."""

    absence: Callable[[], str | None]
    remedy: str


def _r_absence() -> str | None:
    rscript = shutil.which("Rscript")
    if rscript is None:
        return "no Rscript on the PATH"
    asked = [rscript, "-e", "quit(status = !requireNamespace('IRkernel', quietly = TRUE))"]
    if subprocess.run(asked, capture_output=True, stdin=subprocess.DEVNULL).returncode:
        return "R has no IRkernel package"
    from jupyter_client.kernelspec import KernelSpecManager

    if "ir" not in KernelSpecManager().find_kernel_specs():
        return "Jupyter knows no kernel named ir"
    return None


def _nvidia_absence() -> str | None:
    try:
        import pynvml

        pynvml.nvmlInit()
        try:
            return None if pynvml.nvmlDeviceGetCount() else "NVML lists no GPU"
        finally:
            pynvml.nvmlShutdown()
    except Exception as error:
        return f"NVML does not answer ({error})"


def _other_uid_absence() -> str | None:
    return None if os.geteuid() == 0 else "only root may start a process as another user"


def _plain_user_absence() -> str | None:
    if os.geteuid() != 0:
        return "only root may start a process as another user"
    from tests.plain_user import plain_python

    return None if plain_python() else "no Python here that another user may run"


def _mount_absence() -> str | None:
    if os.geteuid() != 0:
        return "only root may mount"
    tried = ["unshare", "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    done = subprocess.run(tried, capture_output=True, text=True)
    return (done.stderr.strip() or "mount failed") if done.returncode else None


def _control_groups_absence() -> str | None:
    from dagbook.execution.cgroups import MEMORY, PROCESSES, find_controllers

    missing = {MEMORY, PROCESSES} - find_controllers().keys()
    return f"this process may not limit {' and '.join(sorted(missing))}" if missing else None


def _dagstermill_absence() -> str | None:
    found = importlib.util.find_spec("dagstermill")
    return None if found else "it holds jupyter-client below 8, so it lives apart"


NEEDS = {
    "control-groups": Need(_control_groups_absence, "run as root, or in a delegated group"),
    "dagstermill": Need(_dagstermill_absence, "`make test-dagstermill`, which `make test` runs"),
    "r": Need(_r_absence, "apt install r-base-core r-cran-irkernel"),
    "nvidia": Need(_nvidia_absence, "a machine with an NVIDIA GPU and its driver"),
    "other-uid": Need(_other_uid_absence, "run the tests as root"),
    "plain-user": Need(_plain_user_absence, "run the tests as root, with a Python all can read"),
    "mount": Need(_mount_absence, "run the tests as root, where mounting is allowed"),
}


@functools.cache
def absence(name: str) -> str | None:
    """Why `name` is not there, found out once a session; None when it is."""
    return NEEDS[name].absence()


def required() -> frozenset[str]:
    """The names that must be there."""
    named = os.environ.get(REQUIRE_VARIABLE, "").split(",")
    return frozenset(name.strip() for name in named if name.strip())


def _needs_of(item: pytest.Item) -> Iterator[str]:
    for mark in item.iter_markers("needs"):
        yield from mark.args


def pytest_configure(config: pytest.Config) -> None:
    # A shell has its background jobs ignore it, and what they start; Dagster then has SIGTERM
    # ignored as well.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Projects that tests make must not be written into the file of whoever runs them. Tests of
    # trust itself take it out again.
    os.environ["DAGBOOK_TRUST"] = "1"
    unknown = required() - NEEDS.keys()
    if unknown:
        raise pytest.UsageError(
            f"{REQUIRE_VARIABLE} names {', '.join(sorted(unknown))}; known: {', '.join(NEEDS)}"
        )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # A file is run by one process, and one that is begun last has the others wait for it.
    items.sort(key=lambda item: item.get_closest_marker("early") is None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name in _needs_of(item):
        if name not in NEEDS:
            pytest.fail(f"needs {name!r}; known: {', '.join(NEEDS)}", pytrace=False)
        reason = absence(name)
        if reason is None:
            continue
        if name in required():
            pytest.fail(f"needs {name}, which {REQUIRE_VARIABLE} names: {reason}", pytrace=False)
        # It travels with the test's report, from whatever process runs the test.
        item.user_properties.append((LEFT_OUT, (name, reason)))
        pytest.skip(f"needs {name}: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    left_out = [
        value
        for report in terminalreporter.stats.get("skipped", [])
        for key, value in getattr(report, "user_properties", ())
        if key == LEFT_OUT
    ]
    if not left_out:
        return
    reasons = dict(left_out)
    counts = collections.Counter(name for name, _ in left_out)
    rows = [("needs", "tests", "why it is not here", "how to get it")]
    for name, need in NEEDS.items():
        if name in counts:
            rows.append((name, str(counts[name]), reasons[name], need.remedy))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    terminalreporter.section("left out")
    for row in rows:
        padded = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        terminalreporter.write_line(padded.rstrip())
