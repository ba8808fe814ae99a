"""Ask a project's running webserver how its services are."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from typing import Any

#: How long the webserver may take over one answer, in seconds.
ANSWER_SECONDS = 30.0

#: How long it may take to read a whole project anew.
RELOAD_SECONDS = 180.0

_STATE = """
query DagbookState {
  workspaceOrError {
    __typename
    ... on Workspace {
      locationEntries {
        name
        loadStatus
        locationOrLoadError {
          __typename
          ... on PythonError { className message stack causes { className message stack } }
        }
      }
    }
    ... on PythonError { className message stack causes { className message stack } }
  }
  instance {
    daemonHealth { allDaemonStatuses { daemonType required lastHeartbeatTime } }
  }
}
"""

_RELOAD = """
mutation DagbookReload($name: String!) {
  reloadRepositoryLocation(repositoryLocationName: $name) { __typename }
}
"""

# A proxy from the environment must not get between us and our own machine.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class LoadError:
    """Why the project's definitions do not load: the innermost error, and its stack as lines."""

    name: str
    message: str
    stack: tuple[str, ...]

    @property
    def is_unreachable(self) -> bool:
        """Whether it says nothing of the definitions, but that their server did not answer."""
        return "StatusCode.UNAVAILABLE" in self.message or self.name.endswith("UnreachableError")


@dataclass(frozen=True)
class ServiceState:
    """What the webserver knows. `heartbeats` are Unix times of the daemons that must run."""

    is_loading: bool
    load_error: LoadError | None
    heartbeats: tuple[float | None, ...]

    def daemon_beats_since(self, moment: float) -> bool:
        """Whether every daemon that must run has reported itself after this moment."""
        return all(beat is not None and beat >= moment for beat in self.heartbeats)


def answers(url: str) -> bool:
    """Whether a Dagster webserver answers there."""
    try:
        with _opener.open(f"{url}/server_info", timeout=ANSWER_SECONDS) as reply:
            return "dagster_webserver_version" in json.load(reply)
    except (OSError, ValueError):
        return False


def ask_state(url: str) -> ServiceState:
    """Ask whether definitions are loaded and daemons alive.

    Raises:
        OSError: the webserver does not answer.
    """
    data = ask(url, _STATE, {})
    workspace = data["workspaceOrError"]
    has_workspace = workspace["__typename"] == "Workspace"
    entries = workspace["locationEntries"] if has_workspace else []
    errors = [e["locationOrLoadError"] for e in entries] if has_workspace else [workspace]
    failed = [e for e in errors if e and e["__typename"] == "PythonError"]
    daemons = data["instance"]["daemonHealth"]["allDaemonStatuses"]
    return ServiceState(
        is_loading=has_workspace
        and (not entries or any(e["loadStatus"] != "LOADED" for e in entries)),
        load_error=_innermost(failed[0]) if failed else None,
        heartbeats=tuple(d["lastHeartbeatTime"] for d in daemons if d["required"]),
    )


def reload_definitions(url: str, location_name: str) -> None:
    """Have the project's definitions read anew.

    Raises:
        OSError: the webserver does not answer.
    """
    ask(url, _RELOAD, {"name": location_name}, seconds=RELOAD_SECONDS)


def _innermost(error: dict[str, Any]) -> LoadError:
    last = (error, *error["causes"])[-1]
    return LoadError(last["className"] or "", last["message"], tuple(last["stack"]))


def ask(
    url: str, query: str, variables: dict[str, Any], *, seconds: float = ANSWER_SECONDS
) -> dict[str, Any]:
    """Ask a webserver a question in GraphQL.

    Raises:
        OSError: it does not answer, or refuses the question.
    """
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(
        f"{url}/graphql", body, {"Content-Type": "application/json"}, method="POST"
    )
    with _opener.open(request, timeout=seconds) as reply:
        answer = json.load(reply)
    if answer.get("errors"):
        raise OSError(0, f"Dagster refused a question: {answer['errors'][0]['message']}")
    data: dict[str, Any] = answer["data"]
    return data
