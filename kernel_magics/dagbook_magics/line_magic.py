"""`%dagster …` and `%%dagster` with YAML: reads the words, and has the command do the rest."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

from dagbook.errors import DagbookError, did_you_mean
from dagbook_magics.saved import CellsSeen
from dagbook_magics.situation import Situation

if TYPE_CHECKING:
    from IPython.core.interactiveshell import InteractiveShell

NAME = "dagster"


@dataclass(frozen=True)
class Command:
    """One word behind `%dagster`, with the module that knows it."""

    word: str
    help: str
    module: str


COMMANDS = {
    command.word: command
    for command in (
        Command("form", "a form for size, values, schedule and the rest", "form"),
        Command("validate", "what would go wrong in production, and what mends it", "validate"),
        Command("run", "try it now, exactly as production would", "run"),
        Command("schedule", 'say when it runs: `%dagster schedule "daily 06:00"`', "schedule"),
        Command("pause", "switch the schedule off, or on again with --resume", "pause"),
        Command("runs", "what ran, and what came of it; `runs diff A B` compares", "runs"),
    )
}


class Words(argparse.ArgumentParser):
    """A parser whose complaints are one line for a notebook, and whose help ends nothing."""

    def __init__(self, name: str, description: str) -> None:
        super().__init__(prog=name, description=description, exit_on_error=False)

    def error(self, message: str) -> NoReturn:
        """Refuse what was written."""
        raise DagbookError(f"{self.prog}: {message}. `{self.prog} --help` lists what it takes")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """Stop after the help was shown."""
        raise HelpShown


class HelpShown(Exception):
    """There is nothing more to do."""


class LineMagic:
    """`%dagster`, for one shell."""

    def __init__(self, shell: InteractiveShell, seen: CellsSeen) -> None:
        self._shell = shell
        self._seen = seen

    def line(self, line: str) -> Any:
        """Do what the words behind `%dagster` say."""
        words = _split(self._filled_in(line))
        parser, run = parser_of(words)
        try:
            args = parser.parse_args(words[1:] if _names_command(words) else words)
        except argparse.ArgumentError as error:
            parser.error(str(error))
        except HelpShown:
            return None
        return run(Situation(self._shell, self._seen, args.notebook), args)

    def _filled_in(self, line: str) -> str:
        """The line with `{names}` of the notebook's filled in, as IPython does for its magics.

        But for two braces, which IPython takes for one: those a run fills in.
        """
        doubled = line.replace("{{", "{{{{").replace("}}", "}}}}")
        # Three frames above this one is whoever wrote the line, behind IPython's `run_line_magic`.
        filled = str(self._shell.var_expand(doubled, depth=3))
        return line if filled == doubled else filled

    def cell(self, line: str, cell: str) -> Any:
        """Check and preview the settings below `%%dagster`; write them where `--save` says so."""
        from dagbook_magics.commands import settings

        parser = _parser(settings, "%%dagster")
        try:
            args = parser.parse_args(_split(line))
        except argparse.ArgumentError as error:
            parser.error(str(error))
        except HelpShown:
            return None
        situation = Situation(self._shell, self._seen, args.notebook)
        return settings.run_on(situation, args, cell)

    def completions(self, _shell: Any, event: Any) -> list[str]:
        """The words that may stand where the cursor is."""
        typed = event.symbol
        words = event.line.split()
        before = [word for word in words[1:] if word != typed]
        if not before:
            return [word for word in COMMANDS if word.startswith(typed)]
        if before[0] not in COMMANDS:
            return []
        parser, _ = parser_of(before[:1])
        options = [option for action in parser._actions for option in action.option_strings]
        return [option for option in options if option.startswith(typed or "--")]


def parser_of(words: Sequence[str]) -> tuple[Words, Callable[[Situation, Any], Any]]:
    """The parser of a command, and what does it.

    Raises:
        DagbookError: there is no such command.
    """
    if not _names_command(words):
        if words and not words[0].startswith("-"):
            raise DagbookError(
                f"`%dagster {words[0]}` is not known. {did_you_mean(words[0], COMMANDS)}"
            )
        from dagbook_magics.commands import state

        return _parser(state, "%dagster"), state.run
    command = COMMANDS[words[0]]
    module = import_module(f"dagbook_magics.commands.{command.module}")
    return _parser(module, f"%dagster {command.word}"), module.run


def _parser(module: Any, name: str) -> Words:
    parser = Words(name, (module.__doc__ or "").strip().splitlines()[0])
    module.add_arguments(parser)
    parser.add_argument(
        "--notebook", metavar="PATH", help="another notebook than the one this is written in"
    )
    return parser


def _names_command(words: Sequence[str]) -> bool:
    return bool(words) and words[0] in COMMANDS


def _split(line: str) -> list[str]:
    try:
        return shlex.split(line, comments=True)
    except ValueError as error:
        raise DagbookError(f"%dagster: {str(error).lower()} in `{line.strip()}`") from None
