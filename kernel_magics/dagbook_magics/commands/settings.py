"""Check settings written as YAML below `%%dagster`, and show what they would change."""

from __future__ import annotations

import argparse
from typing import Any

from dagbook.errors import DagbookError
from dagbook_magics.commands.schedule import reload_services, said_change
from dagbook_magics.note import Note
from dagbook_magics.situation import Situation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Whether it is written as well."""
    parser.add_argument("--save", action="store_true", help="write it, if nothing is wrong")
    parser.add_argument(
        "--component", metavar="NAME", help="which one, where several run the notebook"
    )
    parser.add_argument("--init", action="store_true", help="make the project as well")


def run_on(situation: Situation, args: argparse.Namespace, text: str) -> None:
    """Check `text`, preview it, and write it where that was asked for.

    What stands in it is set, `KEY: null` takes a key out, and everything else stays.
    """
    given, lines = _read(text)
    if given.get("notebook", situation.name) != situation.name:
        raise DagbookError(
            f"line {lines['notebook']}: notebook: these are the settings of {situation.name}: "
            "leave the line out, or say `%%dagster --notebook PATH`"
        )
    if not args.init or not args.save:
        situation.require_project("%%dagster --save")
    if args.init and situation.project is None:
        before: dict[str, Any] = {}
        now: dict[str, Any] = {"component": None}
    else:
        now = situation.ask("settings", component=args.component)
        before = now["attributes"]
    merged = {**before, **given, "notebook": situation.name}
    merged = {key: value for key, value in merged.items() if value is not None}
    if situation.project is not None:
        told = situation.ask("validate", attributes=merged, component=args.component)
        if told["errors"]:
            raise DagbookError(_first(told["errors"], lines))
    if not args.save:
        plan = situation.ask("preview", attributes=merged, component=args.component)
        save = Note("Nothing was written: `%%dagster --save` writes it.")
        situation.show(said_change(situation, plan, dry_run=True), save)
        return
    arguments = {"init": True} if args.init else {"base": now.get("base")}
    plan = situation.ask("write", attributes=merged, component=args.component, **arguments)
    situation.__dict__.pop("project", None)
    situation.show(said_change(situation, plan), reload_services(situation))


def _first(errors: list[dict[str, Any]], lines: dict[str, int]) -> str:
    """The first error in one line, at its line of the cell, and how many more there are."""
    first = errors[0]
    key = ".".join(map(str, first["loc"]))
    line = lines.get(str(first["loc"][0])) if first["loc"] else None
    at = f"line {line}: " if line is not None else ""
    more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
    return f"{at}{key}: {first['msg']}{more}"


def _read(text: str) -> tuple[dict[str, Any], dict[str, int]]:
    """The settings, and the line of the cell each begins on.

    Raises:
        DagbookError: it is no YAML, or no mapping.
    """
    from ruamel.yaml import YAML
    from ruamel.yaml.error import MarkedYAMLError

    yaml = YAML(typ="rt", pure=True)
    try:
        found = yaml.load(text)
        plain = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = f"line {mark.line + 2}: " if mark is not None else ""
        raise DagbookError(f"{line}not YAML: {error.problem or error.context}") from None
    if not isinstance(found, dict):
        raise DagbookError("write settings as `key: value`, such as `compute_size: medium`")
    places: Any = found
    lines = {str(key): places.lc.key(key)[0] + 2 for key in found}
    if {"type", "attributes"} & set(plain):
        raise DagbookError(
            "write the settings alone, without `type:` and `attributes:` around them"
        )
    return plain, lines
