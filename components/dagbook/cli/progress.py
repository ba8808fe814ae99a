"""Tell a reader at a terminal what is going on; a script is not bothered."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Print a few words about what happens now, if somebody is looking."""
    if sys.stderr.isatty():
        print(f"{text} …", file=sys.stderr, flush=True)
