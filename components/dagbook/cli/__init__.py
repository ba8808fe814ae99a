"""The `dagbook` command: turns words on a command line into calls of the core."""

from __future__ import annotations

import argparse
import gc
import importlib
import io
import os
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import NoReturn

from dagbook.errors import DagbookError, did_you_mean

#: Sub-command -> (module, one line of help). Only the chosen module is imported: `dagbook run`
#: must not pay for what `dagbook up` needs.
COMMANDS: dict[str, tuple[str, str]] = {
    "init": ("dagbook.cli.init", "make a folder a dagbook project"),
    "schedule": ("dagbook.cli.schedule", "put a notebook on a schedule"),
    "validate": ("dagbook.cli.validate", "check component YAML and the notebooks it names"),
    "run": ("dagbook.cli.run", "run one notebook now, as production would"),
    "test": ("dagbook.cli.test", "run one notebook as a sample that is recorded nowhere"),
    "deploy": (
        "dagbook.cli.deploy",
        "check a notebook, have Dagster read it, switch its schedule on",
    ),
    "up": ("dagbook.cli.up", "start the scheduler and the web page of this project"),
    "down": ("dagbook.cli.down", "stop what `dagbook up` started"),
    "runs": ("dagbook.cli.runs", "list the runs of this project, open one"),
    "components": ("dagbook.cli.components", "list and document the components there are"),
    "describe": ("dagbook.cli.describe", "show what one component takes, with an example"),
    "trust": ("dagbook.cli.trust", "say that a project's code may run"),
    "platform": ("dagbook.cli.platform", "show what is allowed, what was launched, what it cost"),
}

INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Run one sub-command and return the process exit status.

    A user's mistake prints one line on stderr and returns 2.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    for stream in (sys.stdout, sys.stderr):
        # A terminal that knows no `✓`, or a file's name that is no text, is no reason to fail
        # after a run that went well.
        if isinstance(stream, io.TextIOWrapper) and stream.errors == "strict":
            stream.reconfigure(errors="backslashreplace")
    try:
        return _dispatch(arguments)
    except DagbookError as error:
        print(f"dagbook: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("dagbook: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away (`dagbook runs list | head`): not an error, but
        # Python would complain once more while flushing at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    finally:
        if argv is None:
            # The process ends now and everything goes with it. Python would look through all
            # of it for garbage first, which takes as long as a sixth of the imports did.
            gc.freeze()


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_overview())
        return 0
    if arguments[0] in ("-V", "--version"):
        from dagbook import __version__

        print(f"dagbook {__version__}")
        return 0
    name = arguments[0]
    if name not in COMMANDS:
        raise DagbookError(f"`{name}` is not a command. {did_you_mean(name, COMMANDS)}")
    module = importlib.import_module(COMMANDS[name][0])
    given = build_parser(name, module).parse_args(arguments[1:])
    if name != "run":  # which starts a measured race, and the one notebook it is given
        from dagbook.cli.trust import ASK_BEFORE, ask_before

        if name in ASK_BEFORE:
            ask_before(given)
    return int(module.run(given))


class _Parser(argparse.ArgumentParser):
    """Says in one line what is wrong with a command line, as every other mistake is said."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise DagbookError(f"{message[:1].lower()}{message[1:]}: see `{self.prog} --help`")


def build_parser(name: str, module: ModuleType) -> argparse.ArgumentParser:
    """The parser of one sub-command, its examples below its options."""
    parser = _Parser(
        prog=f"dagbook {name}",
        description=module.__doc__,
        epilog="examples:\n" + module.EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    module.add_arguments(parser)
    return parser


def _overview() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {text}" for name, (_, text) in COMMANDS.items()]
    return (
        "usage: dagbook COMMAND …\n\n"
        "Turns a Jupyter notebook into a scheduled production run on Dagster.\n\n"
        + "\n".join(lines)
        + "\n\n`dagbook COMMAND --help` shows options and examples."
    )
