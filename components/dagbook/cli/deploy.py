"""Put a notebook into service on this machine.

Checks its component, has the running Dagster read the project anew (or starts it), sees to it
that the schedule is on, and says where to look.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dagbook.cli.progress import say
from dagbook.errors import DagbookError

if TYPE_CHECKING:
    from dagbook.component_index import Component

EXAMPLES = """\
  dagbook deploy churn.ipynb
  dagbook deploy shop/defs/churn/defs.yaml --json

`dagbook schedule churn.ipynb "daily 06:00"` writes the component that this one deploys.
"""

SCHEMA_ID = "dagbook.deploy/1"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dagbook deploy` takes."""
    parser.add_argument("file", type=Path, metavar="FILE", help="a notebook or a component file")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Check, load, switch on; nothing is touched when the check finds something."""
    from dagbook.sample_run import components_in, schedule_name
    from dagbook.scheduling import next_runs, said_schedule
    from dagbook.services import find_services, reload_services, start_services
    from dagbook.services.instance import require_dagster
    from dagbook.services.schedules import switch_on

    require_dagster()
    project, components = components_in(args.file)
    tell = (lambda _: None) if args.json else print
    for component in components:
        tell(f"✓ valid: {component.notebook}, {component.name}")
    services = find_services(project)
    if services is None:
        services = start_services(project, progress=(lambda _: None) if args.json else say).services
        tell(f"✓ Dagster is up: {services.url}")
    else:
        reload_services(project)
        tell("✓ Dagster has read the project")
    deployed: list[dict[str, Any]] = []
    for component in components:
        words = said_schedule(component.document.attributes)
        moments = next_runs(component.document.attributes, 1)
        url = f"{services.url}/assets/{component.key}"
        if words is None:
            tell(f"  {component.key} has no schedule: it runs when it is launched")
        else:
            if not switch_on(services.url, project.module, schedule_name(component.key)):
                raise DagbookError(
                    f"Dagster knows no schedule of {component.key}: `dagbook validate` says what "
                    "keeps it from loading"
                )
            after = f", next run {moments[0].strftime('%a %d %b %Y %H:%M %Z')}" if moments else ""
            tell(f"✓ schedule on: {component.key}, {words}{after}{_trial(component)}")
        tell(f"  {url}")
        deployed.append(
            {
                "component": component.name,
                "notebook": component.notebook,
                "asset": component.key,
                "schedule": words,
                "next_run": moments[0].isoformat() if moments else None,
                "url": url,
            }
        )
    if args.json:
        answer = {"schema": SCHEMA_ID, "url": services.url, "deployed": deployed}
        print(json.dumps(answer, indent=1, ensure_ascii=False))
    return 0


def _trial(component: Component) -> str:
    from dagbook.checked_things import TRIAL
    from dagbook.component_types import find_component_type
    from dagbook.platform_in_force import platform_in_force

    document, project = component.document, component.project
    class_ = find_component_type(document.type, document.file.path, project)
    return TRIAL if platform_in_force(project, class_).rules.require_trial else ""
