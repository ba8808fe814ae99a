"""Show what the platform file says: rules, sizes, budgets, decisions and costs."""

from __future__ import annotations

import argparse
import importlib
import sys

from dagbook.errors import DagbookError, did_you_mean

#: Word -> (module, one line of help). Only the chosen module is imported.
WORDS: dict[str, tuple[str, str]] = {
    "show": ("dagbook.cli.platform_show", "everything in force, and where each value comes from"),
    "schema": ("dagbook.cli.platform_schema", "the JSON schema of the file, for editors"),
    "keep": (
        "dagbook.cli.platform_keep",
        "keep your own credentials of a connection for your runs",
    ),
    "check": ("dagbook.cli.platform_check", "try every connection, as this deployment"),
    "log": ("dagbook.cli.platform_log", "who launched what under which rules, and if it is whole"),
    "costs": ("dagbook.cli.platform_costs", "what the runs of a month have cost"),
}

EXAMPLES = """\
  dagbook platform show
  dagbook platform show --json | jq .values.compute_sizes
  dagbook platform schema > platform.schema.json
  dagbook platform check
  dagbook platform log --since 2026-11-01 --csv > audit.csv
  dagbook platform costs --month 2026-11
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dagbook platform` takes: a word, and whatever that word takes."""
    width = max(map(len, WORDS))
    lines = [f"  {word:<{width}}  {text}" for word, (_, text) in WORDS.items()]
    parser.usage = f"dagbook platform {'|'.join(WORDS)} …"
    parser.description = "\n".join(
        [str(__doc__), *lines, "", "`dagbook platform WORD --help` shows the options of each."]
    )
    parser.add_argument("words", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)


def run(args: argparse.Namespace) -> int:
    """Hand over to the module of the word that was given."""
    from dagbook.cli import build_parser

    words: list[str] = args.words
    if not words or words[0] == "help":
        build_parser("platform", sys.modules[__name__]).print_help()
        return 0
    word = words[0]
    if word not in WORDS:
        raise DagbookError(f"`platform {word}` is not a command. {did_you_mean(word, WORDS)}")
    module = importlib.import_module(WORDS[word][0])
    return int(module.run(build_parser(f"platform {word}", module).parse_args(words[1:])))
