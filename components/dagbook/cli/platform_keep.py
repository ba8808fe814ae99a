"""Keep your own credentials of a connection for your runs, in Lab and with `dagbook run`.

They are asked for without being shown, or read from standard input; never from the command line,
which others of this machine can see. They lie in ~/.config/dagbook/credentials, which you alone can
read. Runs on Dagster use the platform's own.
"""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from pathlib import Path

from dagbook.cli.table import print_table
from dagbook.errors import DagbookError, did_you_mean
from dagbook.policy.connections import Connection
from dagbook.policy.package_platform import platform_of
from dagbook.policy.presence import PLATFORM_FILE_NAME
from dagbook.project import Project, require_project

EXAMPLES = """\
  dagbook platform keep                                what is kept, by name
  dagbook platform keep analytics_prod                 ask for each of its variables
  dagbook platform keep analytics_prod DB_PASSWORD     ask for one
  pass show db | dagbook platform keep analytics_prod DB_PASSWORD
  dagbook platform keep analytics_prod < .env          lines of NAME=value
  dagbook platform keep analytics_prod --forget"""

SCHEMA_ID = "dagbook.kept/1"
_LARGEST = 1024 * 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dagbook platform keep` takes."""
    parser.add_argument("connection", nargs="?", metavar="NAME", help="of the platform file")
    parser.add_argument(
        "variables", nargs="*", metavar="VARIABLE", help="of the connection (default: each)"
    )
    parser.add_argument("--forget", action="store_true", help="remove what is kept of it")
    parser.add_argument(
        "--project", type=Path, default=Path(), metavar="PATH", help="(default: this folder's)"
    )
    parser.add_argument("--json", action="store_true", help="list what is kept as a JSON object")


def run(args: argparse.Namespace) -> int:
    """Keep, forget or list."""
    project = require_project(args.project)
    if args.connection is None:
        if args.forget:
            raise DagbookError("--forget: name the connection whose values are to be forgotten")
        _list(project, as_json=args.json)
    elif args.forget:
        _forget(project, args.connection, args.variables)
    else:
        _keep(project, args.connection, args.variables)
    return 0


def _list(project: Project, *, as_json: bool) -> None:
    from dagbook.credentials.kept import kept

    found = kept(project.root)
    if as_json:
        print(json.dumps({"schema": SCHEMA_ID, "kept": found}, indent=1, ensure_ascii=False))
    elif not found:
        print(f"nothing is kept for {project.root}: dagbook platform keep NAME")
    else:
        rows = [(name, ", ".join(variables)) for name, variables in found.items()]
        print_table(("CONNECTION", "VARIABLES"), rows)


def _forget(project: Project, name: str, variables: list[str]) -> None:
    from dagbook.credentials.kept import forget, kept

    known = kept(project.root)
    if name not in known:
        raise DagbookError(f"nothing is kept of `{name}`. {did_you_mean(name, known)}")
    for variable in variables:
        if variable not in known[name]:
            raise DagbookError(
                f"no `{variable}` is kept of `{name}`. {did_you_mean(variable, known[name])}"
            )
    if not variables:
        forget(project.root, name)
    for variable in variables:
        forget(project.root, name, variable)
    print(f"✓ forgot {', '.join(variables or known[name])} of {name}")


def _keep(project: Project, name: str, variables: list[str]) -> None:
    from dagbook.credentials.kept import keep
    from dagbook.credentials.own import public_variables

    connection = _connection(project, name)
    known = (*connection.variables, *(file.variable for file in connection.files))
    for variable in variables:
        if variable not in known:
            raise DagbookError(
                f"connection `{name}` has no variable `{variable[:60]}`. "
                f"{did_you_mean(variable, known)}"
            )
    wanted = tuple(dict.fromkeys(variables)) or known
    if not wanted:
        raise DagbookError(f"connection `{name}` has no variable that anybody could keep")
    public = public_variables(connection)
    if sys.stdin.isatty():
        values = _asked(connection, wanted, public)
    else:
        values = _piped(connection, wanted)
    path = keep(project.root, name, values, public=public)
    print(f"✓ kept {', '.join(values)} of {name} for your own runs, in {path}")


def _connection(project: Project, name: str) -> Connection:
    platform = platform_of(project.root)
    connection = platform.connections.get(name)
    if connection is None:
        if not platform.connections:
            raise DagbookError(
                f"there is no connection `{name[:60]}`: {PLATFORM_FILE_NAME} of {project.root} "
                "gives none"
            )
        known = did_you_mean(name, platform.connections)
        raise DagbookError(f"there is no connection `{name[:60]}`. {known}")
    if connection.revoked is not None:
        raise DagbookError(f"the connection `{name}` is revoked: {connection.revoked}")
    return connection


def _asked(
    connection: Connection, wanted: tuple[str, ...], public: frozenset[str]
) -> dict[str, str]:
    files = {file.variable for file in connection.files}
    values: dict[str, str] = {}
    for variable in wanted:
        if variable in files:
            values[variable] = _content(input(f"{variable}, the path of a file to keep: "))
        elif variable in public:
            values[variable] = input(f"{variable}: ")
        else:
            values[variable] = getpass.getpass(f"{variable} (not shown): ")
    return values


def _content(path: str) -> str:
    from dagbook.credentials.private_file import read_private

    try:
        return read_private(Path(path.strip()).expanduser()).decode("utf-8")
    except UnicodeDecodeError:
        raise DagbookError(
            f"{path.strip()} is no text in UTF-8, which is all that can be kept"
        ) from None


def _piped(connection: Connection, wanted: tuple[str, ...]) -> dict[str, str]:
    try:
        text = os.fdopen(sys.stdin.fileno(), "rb", closefd=False).read(_LARGEST + 1).decode("utf-8")
    except UnicodeDecodeError:
        raise DagbookError(
            "standard input is no text in UTF-8, which is all that can be kept"
        ) from None
    if len(wanted) == 1 and not _is_lines(text, wanted[0]):
        is_file = any(file.variable == wanted[0] for file in connection.files)
        return {wanted[0]: text if is_file else text.rstrip("\r\n")}
    values: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if not equals:
            raise DagbookError(f"standard input, line {number}: give a line as NAME=value")
        # A file of several connections' variables may be given whole.
        if (name := name.strip()) in wanted:
            values[name] = _unquoted(value.strip())
    if not values:
        raise DagbookError(
            f"standard input gives none of {', '.join(wanted)}: give lines of NAME=value"
        )
    return values


def _is_lines(text: str, variable: str) -> bool:
    """Whether a text gives a variable by its name, as a `.env` file does, and is not its value."""
    lines = [line.strip().removeprefix("export ") for line in text.splitlines()]
    return any(line.partition("=")[0].strip() == variable and "=" in line for line in lines)


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "\"'" else text
