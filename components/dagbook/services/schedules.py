"""Switches the schedules of a running Dagster on and off."""

from __future__ import annotations

from typing import Any

from dagbook.errors import DagbookError
from dagbook.services.webserver import ask

_SCHEDULES = """
query DagbookSchedules {
  workspaceOrError {
    ... on Workspace {
      locationEntries {
        name
        locationOrLoadError {
          ... on RepositoryLocation {
            repositories { name schedules { name scheduleState { id status } } }
          }
        }
      }
    }
  }
}
"""

_START = """
mutation DagbookStartSchedule($selector: ScheduleSelector!) {
  startSchedule(scheduleSelector: $selector) {
    __typename
    ... on ScheduleStateResult { scheduleState { status } }
    ... on PythonError { message }
    ... on UnauthorizedError { message }
  }
}
"""

_STOP = """
mutation DagbookStopSchedule($id: String!) {
  stopRunningSchedule(id: $id) {
    __typename
    ... on ScheduleStateResult { scheduleState { status } }
    ... on PythonError { message }
    ... on UnauthorizedError { message }
  }
}
"""


def switch_on(url: str, location: str, name: str) -> bool:
    """See to it that a schedule is on.

    Args:
        url: where Dagster answers.
        location: the name of the code location.
        name: the schedule's.

    Returns:
        False when Dagster knows no such schedule.

    Raises:
        DagbookError: Dagster does not answer, or refuses.
    """
    return _switch(url, location, name, "RUNNING")


def switch_off(url: str, location: str, name: str) -> bool:
    """See to it that a schedule is off. It stays off until it is switched on again.

    Returns:
        False when Dagster knows no such schedule.

    Raises:
        DagbookError: Dagster does not answer, or refuses.
    """
    return _switch(url, location, name, "STOPPED")


def _switch(url: str, location: str, name: str, wanted: str) -> bool:
    try:
        found = _find(ask(url, _SCHEDULES, {}), location, name)
        if found is None:
            return False
        repository, state = found
        if state["status"] == wanted:
            return True
        if wanted == "RUNNING":
            selector = {
                "repositoryLocationName": location,
                "repositoryName": repository,
                "scheduleName": name,
            }
            answer = ask(url, _START, {"selector": selector})["startSchedule"]
        else:
            answer = ask(url, _STOP, {"id": state["id"]})["stopRunningSchedule"]
    except OSError as error:
        raise DagbookError(f"Dagster at {url} does not answer ({error})") from None
    if answer["__typename"] != "ScheduleStateResult":
        word = "on" if wanted == "RUNNING" else "off"
        text = answer.get("message", "")
        raise DagbookError(f"Dagster did not switch the schedule {word}: {text}")
    return True


def _find(data: dict[str, Any], location: str, name: str) -> tuple[str, dict[str, str]] | None:
    entries = data["workspaceOrError"].get("locationEntries", [])
    for entry in entries:
        if entry["name"] != location:
            continue
        for repository in (entry["locationOrLoadError"] or {}).get("repositories", ()):
            for schedule in repository["schedules"]:
                if schedule["name"] == name:
                    return repository["name"], schedule["scheduleState"]
    return None
