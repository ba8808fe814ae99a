"""What a run is entitled to: its connections and plain values, decided before anything is fetched."""

from __future__ import annotations

from types import MappingProxyType

from dagbook.errors import DagbookError
from dagbook.policy.connection_judges import judge_resources, resources_asked_for
from dagbook.policy.connections import TRACKING_KEY, Connection, Entitlement
from dagbook.policy.objections import Case
from dagbook.policy.platform import Platform
from dagbook.policy.request import Request
from dagbook.policy.tracking_judges import judge_tracking_login, tracking_login

#: What a run without connections is entitled to.
NO_ENTITLEMENT = Entitlement()


def entitle(request: Request, platform: Platform) -> Entitlement:
    """Say what a run may have of what its component names, and how the runner logs in.

    The platform's login to its tracking server is among the connections by `TRACKING_KEY`, also
    where the YAML names none; it is left out where runs are recorded on no server that it is bound
    to. A kernel sees nothing of it.

    Args:
        request: what is asked for, as it was decided about.
        platform: the policy in force.

    Raises:
        DagbookError: something of it is not allowed; the text is what `decide` says of it.
    """
    case = Case(request, platform, platform.team_of(request.notebook))
    asked = resources_asked_for(case)
    if not asked and platform.tracking.connection is None:
        return NO_ENTITLEMENT
    for objection in (*judge_resources(case), *judge_tracking_login(case)):
        raise DagbookError(objection.text)
    connections: dict[str, Connection] = {}
    values: dict[str, str] = {}
    for key, name in asked.items():
        connection = platform.connections.get(str(name))
        if connection is None:
            if key != TRACKING_KEY:
                values[platform.resources[key].plain_variable] = str(name)
        elif not connection.logs_in_to_tracking:
            connections[key] = connection
    login = tracking_login(case)
    if login is not None:
        connections[login[0]] = login[1]
    return Entitlement(MappingProxyType(connections), MappingProxyType(values))
