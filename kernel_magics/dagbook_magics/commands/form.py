"""Show a form for when it runs, with which values, on what size, and the rest."""

from __future__ import annotations

import argparse

from dagbook.errors import DagbookError
from dagbook_magics.situation import Situation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Which component, where several run the notebook."""
    parser.add_argument(
        "--component", metavar="NAME", help="which one, where several run the notebook"
    )
    parser.add_argument("--init", action="store_true", help="make the project as well")


def run(situation: Situation, args: argparse.Namespace) -> None:
    """Show the form below the cell."""
    if not args.init:
        situation.require_project("%dagster form")
    try:
        from dagbook_magics.form.form import Form
    except ImportError:
        raise DagbookError(
            "the form needs ipywidgets in this kernel's environment: `%pip install ipywidgets`"
        ) from None
    from IPython.display import display

    situation.show(*situation.version_note)
    form = Form(situation, component=args.component, makes_project=args.init)
    display(form.widget)
