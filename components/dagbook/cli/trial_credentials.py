"""What `dagbook run` hands a notebook of the connections that its component names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.context import DEFAULT_ENVIRONMENT, ENVIRONMENT_VARIABLE
from dagbook.errors import DagbookError, did_you_mean
from dagbook.policy.platform import Platform
from dagbook.policy.request import Request

if TYPE_CHECKING:
    from dagbook.credentials.delivery import Delivery
    from dagbook.policy.connections import Entitlement


def resources_of(
    root: Path, notebook: str, platform: Platform, chosen: str | None
) -> Mapping[str, Any]:
    """What the notebook's component names under ``resources``, with the platform's defaults.

    Args:
        root: the project.
        notebook: relative to it, with forward slashes.
        platform: the policy in force; one that gives no connections spares the search.
        chosen: the component's name or asset key, where several run the notebook.

    Raises:
        DagbookError: several that differ in it run the notebook, or none is called so.
    """
    if not platform.resources and chosen is None:
        return {}
    from dagbook.component_index import components_of
    from dagbook.policy.attribute_defaults import with_defaults
    from dagbook.project import find_project

    project = find_project(root)
    components = [] if project is None else components_of(project, notebook)
    if chosen is not None:
        known = [component.name for component in components]
        components = [c for c in components if chosen.strip("/") in (c.name, c.key)]
        if not components:
            raise DagbookError(
                f"no component `{chosen[:60]}` runs {notebook}. {did_you_mean(chosen, known)}"
            )
    found = [with_defaults(c.document.attributes, platform).get("resources") for c in components]
    named = [dict(each) if isinstance(each, Mapping) else {} for each in found]
    if any(each != named[0] for each in named):
        names = ", ".join(f"`{component.name}`" for component in components)
        raise DagbookError(
            f"{notebook} is run by the components {names}, whose `resources` differ: say which one "
            "with --component"
        )
    return named[0] if named else {}


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
    from dagbook.credentials.own import not_own, trial_delivery
    from dagbook.policy.connections import Entitlement
    from dagbook.policy.entitlement import entitle

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
