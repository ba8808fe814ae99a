"""Where a project's Dagster instance lies, and how it comes to be without being broken."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dagbook.atomic_write import write_atomically
from dagbook.errors import DagbookError
from dagbook.private_mode import make_private_folder
from dagbook.project import Project
from dagbook.services.explain import one_line

if TYPE_CHECKING:
    from dagster import DagsterInstance

HOME_VARIABLE = "DAGSTER_HOME"
#: Says that the databases exist. In the home, so that it goes when somebody removes that.
READY_FILE_NAME = ".made-by-dagbook"

SETTINGS = """\
# Dagster's settings for this project. dagbook wrote them once; they are yours to change.
telemetry:
  enabled: false
nux:
  enabled: false

# Runs wait for their turn: a backfill of a year must not start 365 kernels at once.
run_queue:
  max_concurrent_runs: {runs}
  dequeue_interval_seconds: 2

# Ends what outlives the run tag `dagster/max_runtime` or does not react to a cancel.
run_monitoring:
  enabled: true
  cancel_timeout_seconds: 60
"""


def instance_home(project: Project) -> Path:
    """Where Dagster keeps this project's runs: what ``DAGSTER_HOME`` must be set to."""
    return project.state_folder / "dagster_home"


def prepare_instance(project: Project) -> Path:
    """Make the project's Dagster instance ready for use, and return its home.

    Two processes that open a fresh SQLite instance at once can break it for good, so whoever
    starts Dagster for a project calls this first: one makes it, the others wait.

    Raises:
        DagbookError: Dagster is not installed, or the home cannot be made or opened.
    """
    require_dagster()
    home = instance_home(project)
    ready = home / READY_FILE_NAME
    try:
        with locked(project, "instance"):
            if not ready.exists():
                make_private_folder(home)
                settings = home / "dagster.yaml"
                if not settings.exists():
                    write_atomically(settings, SETTINGS.format(runs=_concurrent_runs()))
                _make_databases(home)
                ready.touch()
    except OSError as error:
        raise DagbookError(
            f"cannot make Dagster's home: {error.filename or home}: {error.strerror}"
        ) from error
    return home


@contextmanager
def open_instance(project: Project) -> Iterator[DagsterInstance | None]:
    """Open the project's Dagster instance to read from it; None if nothing has run yet."""
    require_dagster()
    home = instance_home(project)
    if not (home / READY_FILE_NAME).exists():
        yield None
        return
    with load_instance(home) as instance:
        yield instance


def require_dagster() -> None:
    """Say how to install Dagster if it is missing.

    Raises:
        DagbookError: it is missing.
    """
    for module in ("dagster", "dagster_webserver"):
        if importlib.util.find_spec(module) is None:
            raise DagbookError(
                f"{module} is not installed in {sys.prefix}: pip install 'dagbook[dagster]'"
            )


@contextmanager
def locked(project: Project, name: str) -> Iterator[None]:
    """Keep all other processes out that lock the same name in the same project."""
    make_private_folder(project.state_folder)
    with (project.state_folder / f"{name}.lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def load_instance(home: Path) -> DagsterInstance:
    """Open the Dagster instance of a home.

    Raises:
        DagbookError: it cannot be opened.
    """
    # Slow, and only those who come here need it.
    from dagster import DagsterInstance

    before = os.environ.get(HOME_VARIABLE)
    os.environ[HOME_VARIABLE] = str(home)
    try:
        return DagsterInstance.get()
    except Exception as error:
        # Most likely somebody's change to dagster.yaml.
        raise DagbookError(
            f"cannot open Dagster's instance in {home}: {one_line(error)}"
        ) from error
    finally:
        if before is None:
            del os.environ[HOME_VARIABLE]
        else:
            os.environ[HOME_VARIABLE] = before


def _make_databases(home: Path) -> None:
    with load_instance(home) as instance:
        try:
            # Each of the three databases is made when it is first asked something.
            instance.get_runs_count()
            instance.get_asset_keys(limit=1)
            instance.all_instigator_state()
        except Exception as error:
            raise DagbookError(
                f"cannot make Dagster's databases in {home}: {one_line(error)}"
            ) from error


def _concurrent_runs() -> int:
    # The smallest size of a run is two CPUs.
    return max(2, (os.cpu_count() or 1) // 2)
