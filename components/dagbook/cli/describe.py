"""Describe a component: what it takes under the policy in force, and an example that validates."""

from __future__ import annotations

import argparse

from dagbook.cli.components import add_description_arguments, run_describe

EXAMPLES = """\
  dagbook describe NotebookRunnerComponent
  dagbook describe dagbook.NotebookRunnerComponent --json

`dagbook components list` shows all there are.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what `dagbook describe` takes."""
    add_description_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Print what the component takes."""
    return run_describe(args)
