"""Brings to MLflow what runs could not: a sensor of the location, on wherever a notebook is.

Measurements wait in the project's spool while MLflow does not answer, and those of a run whose
worker vanished wait for somebody to close it. The next run sends them too; this does where none
comes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import dagster as dg

from dagbook.notebook_runner.shared_sensor import SharedSensor
from dagbook.policy.package_platform import platform_of
from dagbook.policy.platform import Platform
from dagbook.sinks.mlflow import is_installed
from dagbook.sinks.replay import replay_spools

#: How often it is looked for what waits, in seconds.
LOOK_SECONDS = 60
#: For how long it is sent at a time: Dagster gives a sensor's tick a minute.
SEND_SECONDS = 40.0

# The projects whose components this process has loaded, each with the addresses its YAML names and
# the classes of its components, whose packages may have platform files.
_projects: dict[Path, set[str]] = {}
_classes: dict[Path, set[type]] = {}


def deliver_from(
    project_root: Path, tracking_uri: str | None, component: type | None = None
) -> dg.SensorDefinition:
    """Have what waits in a project delivered; returns the sensor that does it.

    Args:
        project_root: the project.
        tracking_uri: an address that a component's YAML names. Its login, if it has one, is
            written down nowhere else.
        component: a component's class, whose package may know the connection that logs in.
    """
    if component is not None:
        _classes.setdefault(project_root, set()).add(component)
    uris = _projects.setdefault(project_root, set())
    if tracking_uri is not None:
        uris.add(tracking_uri)
    return delivery_sensor


def deliver_once(context: dg.SensorEvaluationContext) -> dg.SkipReason:
    """What the sensor does at each of its ticks."""
    lines: list[str] = []
    if is_installed():
        until = time.monotonic() + SEND_SECONDS
        for root, uris in sorted(_projects.items()):
            left = until - time.monotonic()
            if left <= 0:
                break  # what is left waits for the next tick
            lines += replay_spools(
                root, uris=sorted(uris), seconds=left, platforms=partial(_platforms, root)
            )
    for line in lines:
        context.log.info(line)
    return dg.SkipReason("; ".join(lines) or "Nothing waits for MLflow.")


def _platforms(root: Path) -> Iterator[Platform]:
    yield platform_of(root)
    for component in list(_classes.get(root, ())):
        yield platform_of(root, component)


delivery_sensor = SharedSensor(
    name="dagbook_delivery",
    evaluation_fn=deliver_once,
    minimum_interval_seconds=LOOK_SECONDS,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Brings to MLflow what runs could not, because it did not answer.",
)
