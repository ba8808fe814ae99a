"""Show a diff on a terminal."""

from __future__ import annotations

import sys

_COLOURS = {"+": "\033[32m", "-": "\033[31m", "@": "\033[36m"}


def coloured(diff: str) -> str:
    """A unified diff, in colours where standard output is a terminal."""
    if not sys.stdout.isatty():
        return diff
    return "".join(
        f"{_COLOURS[line[0]]}{line}\033[0m\n" if line[:1] in _COLOURS else f"{line}\n"
        for line in diff.splitlines()
    )
