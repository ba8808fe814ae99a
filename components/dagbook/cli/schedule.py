"""Put a notebook on a schedule, or change what is scheduled: writes its component YAML."""

from __future__ import annotations

import argparse
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from dagbook.cli.diff import coloured
from dagbook.cli.run import split_parameters
from dagbook.cli.size_option import SizeOption
from dagbook.defs_yaml import shown_path
from dagbook.errors import DagbookError, did_you_mean
from dagbook.new_project import project_made_for
from dagbook.policy.presence import has_platform_file
from dagbook.project import Project, find_project
from dagbook.schedule_words import FORMS
from dagbook.scheduling import Plan, Wish, plan_schedule

EXAMPLES = """\
  dagbook schedule churn.ipynb "daily 06:00"
  dagbook schedule churn.ipynb "weekdays 07:30" --timezone Europe/Berlin --size medium
  dagbook schedule churn.ipynb "0 6 * * 1" -p region=DE -p days=30
  dagbook schedule churn.ipynb "daily 06:00" --set owners=[team:growth] --set retries=2
  dagbook schedule churn.ipynb "hourly :15" --dry-run
  dagbook schedule churn.ipynb --size large

when:
  """ + "\n  ".join(FORMS)


#: Attributes that `--set` leaves to what they have of their own.
_OWN_OPTIONS = {
    "notebook": "the first word",
    "schedule": "WHEN, with --timezone,",
    "compute_size": "--size",
    "parameters": "-p",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dagbook schedule` takes."""
    parser.add_argument("notebook", type=Path, help="an .ipynb, or a .py or .md of jupytext")
    parser.add_argument(
        "when", nargs="?", help="in words or as cron; leave it out to change something else"
    )
    parser.add_argument(
        "--timezone", metavar="ZONE", help="such as Europe/Berlin (default: this machine's)"
    )
    parser.add_argument("--size", action=SizeOption, metavar="NAME")
    parser.add_argument(
        "-p", "--parameter", action="append", default=[], metavar="NAME=VALUE",
        help="a value for a name of the parameters cell; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE",
        help="any other attribute of the component, its value as YAML; may be repeated",
    )  # fmt: skip
    parser.add_argument(
        "--component", metavar="NAME",
        help="which component to change where several run the notebook; a new name adds one",
    )  # fmt: skip
    parser.add_argument(
        "--init", action="store_true",
        help="make the project as well, in this folder or the notebook's",
    )  # fmt: skip
    parser.add_argument("--dry-run", action="store_true", help="show what would be written")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Show what changes, write it, and say when the notebook runs next."""
    if not args.notebook.is_file():
        raise DagbookError(f"{args.notebook} {_absence(args.notebook)}")
    wish = Wish(
        schedule=args.when,
        timezone=args.timezone,
        size=args.size,
        parameters=split_parameters(args.parameter),
        attributes=_attributes(args.set),
    )
    with ExitStack() as stack:
        project, is_made = _project_of(args, stack)
        plan = plan_schedule(project, args.notebook, wish, component=args.component)
        diff, changed = plan.file.diff(), plan.file.changed
        written = plan.write() if not args.dry_run else False
    if is_made and not args.json:
        print(f"✓ made the project `{project.module}` in {project.root}")
    if args.json:
        url = _reload(project) if written else None
        answer = {**_as_json(plan, diff, changed, written), "url": url}
        print(json.dumps(answer, indent=1, ensure_ascii=False))
        return 0
    _print(plan, diff, changed, args.dry_run)
    if args.dry_run:
        print("nothing was written")
    else:
        url = _reload(project) if written else None
        print(f"Dagster has read it: {url}" if url else "next: dagbook up")
    return 0


def _attributes(typed: list[str]) -> dict[str, Any]:
    """Values of `--set`, by key."""
    if not typed:
        return {}
    from ruamel.yaml import YAML
    from ruamel.yaml.error import YAMLError

    found: dict[str, Any] = {}
    for text in typed:
        key, equals, value = text.partition("=")
        if not equals or not all(key.split(".")):
            raise DagbookError(f"--set {text}: give KEY=VALUE, such as owners=[team:growth]")
        own = _OWN_OPTIONS.get(key.partition(".")[0])
        if own is not None:
            raise DagbookError(f"--set {key}: {own} says that")
        try:
            found[key] = YAML(typ="safe", pure=True).load(value)
        except YAMLError as error:
            raise DagbookError(f"--set {key}: the value is no YAML: {_first(error)}") from None
        _refuse_credential(key, found[key])
    return found


def _refuse_credential(key: str, value: Any) -> None:
    from dagbook.preflight.credential_patterns import refused_value

    if (reason := refused_value(key.rpartition(".")[2], value)) is not None:
        raise DagbookError(
            f"--set {key}: the value {reason}, and a component file is for everybody to read: name "
            "a connection under `resources`"
        )


def _first(error: Exception) -> str:
    return str(getattr(error, "problem", None) or error).splitlines()[0]


def _reload(project: Project) -> str | None:
    """Have a Dagster that runs for the project read the change; its page, None if none runs."""
    if not project.state_folder.is_dir():
        return None  # nothing was ever started here, and Dagster need not be installed
    from dagbook.services import reload_services

    services = reload_services(project)
    return None if services is None else services.url


def _absence(path: Path) -> str:
    if path.is_dir():
        return "is a folder: name a notebook"
    near = sorted(str(there) for there in path.parent.glob("*.ipynb"))
    return f"does not exist. {did_you_mean(str(path), near)}" if near else "does not exist"


def _project_of(args: argparse.Namespace, stack: ExitStack) -> tuple[Project, bool]:
    """The notebook's project, and whether it was made; what goes wrong later takes it away."""
    project = find_project(args.notebook)
    if project is not None:
        return project, False
    folder = args.notebook.absolute().parent
    root = Path.cwd() if folder.is_relative_to(Path.cwd()) else folder
    if not args.init:
        raise DagbookError(
            f"{args.notebook} is in no dagbook project: repeat with --init to make {root} one, "
            "or run `dagbook init` in the folder that is to be the project"
        )
    if args.dry_run:
        raise DagbookError("--dry-run makes no project: run `dagbook init` first")
    return stack.enter_context(project_made_for(root))


def _print(plan: Plan, diff: str, changed: bool, dry_run: bool) -> None:
    if not changed:
        print(f"✓ nothing to change, {plan.notebook} runs {plan.words}")
    else:
        said = "; ".join(
            str(change) if change.key == "schedule" else f"{change.key} {change}"
            for change in plan.changes
        )
        print(f"{'would write' if dry_run else '✓'} {plan.notebook}: {said}")
        print()
        print(_new_file(plan) if plan.created else coloured(diff), end="")
        print()
    times = [run.strftime("%a %d %b %Y %H:%M %Z") for run in plan.next_runs()]
    if times:
        print(f"next runs: {', '.join(times)}")
    for line in foreseen_costs(plan):
        print(line)


def foreseen_costs(plan: Plan) -> list[str]:
    """What a run will probably cost, where a platform file may give prices."""
    import importlib.util

    root = plan.project.root
    if not has_platform_file(root) or importlib.util.find_spec("dagster") is None:
        return []
    from dagbook.notebook_runner.foreseen import foreseen

    document = next(
        (d for d in plan.file.documents if d.attributes.get("notebook") == plan.notebook), None
    )
    if document is None:
        return []
    key = document.attributes.get("key") or "/".join(plan.project.asset_key(plan.file.path))
    try:
        return foreseen(document.attributes, root, str(key))
    except DagbookError:
        return []  # A platform file that cannot be read is told where the rules are asked.


def _new_file(plan: Plan) -> str:
    lines = "".join(f"  {line}\n" for line in plan.file.text.splitlines())
    return f"{shown_path(plan.file.path)}\n{lines}"


def _as_json(plan: Plan, diff: str, changed: bool, written: bool) -> dict[str, Any]:
    return {
        "schema": "dagbook.schedule/1",
        "notebook": plan.notebook,
        "component": plan.component,
        "file": str(plan.file.path),
        "created": plan.created,
        "changed": changed,
        "written": written,
        "cron": plan.cron,
        "timezone": plan.timezone,
        "words": plan.words,
        "changes": [
            {"key": change.key, "before": change.before, "after": change.after}
            for change in plan.changes
        ],
        "next_runs": [run.isoformat() for run in plan.next_runs()],
        "diff": diff,
    }
