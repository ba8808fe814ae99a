"""Find a project's running services, and have them read the project anew."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from dagbook.errors import DagbookError
from dagbook.project import Project
from dagbook.services.explain import explain_load_error
from dagbook.services.processes import listens
from dagbook.services.record import CODE_SERVER, WEBSERVER, Services, log_file, read_record
from dagbook.services.webserver import answers, ask_state, reload_definitions

#: How long reading a project may take, in seconds.
LOAD_SECONDS = 180.0

_POLL_SECONDS = 0.1


def find_services(project: Project) -> Services | None:
    """The services of a project if its web page answers, None otherwise."""
    record = read_record(project)
    return record if record is not None and is_served(record) else None


def is_served(services: Services) -> bool:
    """Whether the web page answers, and it is this project's that does."""
    return listens(services.process(WEBSERVER), services.port) and answers(services.url)


def reload_services(project: Project) -> Services | None:
    """Have the running services read the project anew, after its YAML was changed.

    The web page shows the change at once; the scheduler follows within a minute.

    Returns:
        The services, None if they do not run: then the next start reads everything anyway.

    Raises:
        DagbookError: the definitions do not load.
    """
    services = find_services(project)
    if services is not None:
        _reload(project, services)
    return services


def heal_definitions(project: Project, services: Services) -> None:
    """Read the definitions anew if they did not load the last time.

    Raises:
        DagbookError: they still do not.
    """
    with _repair_named(services):
        has_failed = ask_state(services.url).load_error is not None
    if has_failed:
        _reload(project, services)


def _reload(project: Project, services: Services) -> None:
    with _repair_named(services):
        reload_definitions(services.url, project.module)
        deadline = time.monotonic() + LOAD_SECONDS
        while (state := ask_state(services.url)).is_loading and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
    if state.load_error is not None:
        log = log_file(project, CODE_SERVER)
        raise DagbookError(explain_load_error(project, state.load_error, log))


@contextmanager
def _repair_named(services: Services) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DagbookError(
            f"Dagster at {services.url} does not answer ({error}): `dagbook down`, then "
            "`dagbook up` repairs it"
        ) from None
