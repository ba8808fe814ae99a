"""What a trial on a researcher's own machine is given: decided, and fetched from where it may be."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from dagbook.context import DEFAULT_ENVIRONMENT, ENVIRONMENT_VARIABLE
from dagbook.credentials.delivery import Delivery
from dagbook.credentials.own import not_own, trial_delivery
from dagbook.errors import DagbookError
from dagbook.policy.connections import Entitlement
from dagbook.policy.entitlement import entitle
from dagbook.policy.platform import Platform
from dagbook.policy.request import Request


def trial_credentials(
    request: Request, platform: Platform, root: Path
) -> tuple[Entitlement, Delivery]:
    """Fetch what the notebook may have: the own first, then what the platform's providers give.

    Where a connection may be used is judged of the platform's alone: what is somebody's own is
    not the deployment's.

    Args:
        request: what was decided about, for no deployment.
        platform: the policy in force.
        root: the project.

    Raises:
        DagbookError: a connection is not allowed here, or there is no way to it.
    """
    entitled = entitle(request, platform)
    # Whoever logs in to the tracking server does so for a run that is recorded, which this is not.
    connections = {k: c for k, c in entitled.connections.items() if not c.logs_in_to_tracking}
    entitlement = Entitlement(connections, entitled.values)
    theirs = not_own(entitlement, root)
    if theirs:
        named = request.attributes["resources"]
        here = os.environ.get(ENVIRONMENT_VARIABLE) or DEFAULT_ENVIRONMENT
        rest = {**request.attributes, "resources": {key: named[key] for key in theirs}}
        try:
            entitle(replace(request, attributes=rest, environment=here), platform)
        except DagbookError as error:
            names = " ".join(sorted({connections[key].name for key in theirs}))
            raise DagbookError(
                f"{error}; or give your own: `dagbook platform keep {names.split()[0]}`"
            ) from None
    return entitlement, trial_delivery(entitlement, platform, root)
