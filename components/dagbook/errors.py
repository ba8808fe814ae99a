"""The errors a user of dagbook meets: one line each, saying what, where and what to do."""

from __future__ import annotations

from collections.abc import Iterable


class DagbookError(Exception):
    """A mistake the reader can mend: the text says what is wrong, where, and what to do.

    In a notebook it shows as one line without a traceback; the command line prints the
    same line and exits with status 2. A bug of dagbook is never a ``DagbookError``, so it
    keeps its traceback.
    """

    def _render_traceback_(self) -> list[str]:
        # IPython calls this by name and prints what it returns instead of a traceback.
        return [f"{type(self).__name__}: {self}"]


def nearest_first(word: str, choices: Iterable[str]) -> list[str]:
    """Order ``choices`` by likeness to ``word``, the nearest first, ties alphabetically."""
    import difflib  # most runs have nothing to complain about

    return sorted(
        choices,
        key=lambda choice: (
            -difflib.SequenceMatcher(None, word.lower(), choice.lower()).ratio(),
            choice,
        ),
    )


def did_you_mean(word: str, choices: Iterable[str], *, limit: int = 8) -> str:
    """Say which word was probably meant: ``Did you mean `metrics`? Known: metrics, skip``.

    Only a near word is suggested; the known words are listed either way, nearest first.
    """
    import difflib

    ordered = nearest_first(word, choices)
    if not ordered:
        return "There are none."
    listed = ", ".join(ordered[:limit]) + (", …" if len(ordered) > limit else "")
    near = difflib.get_close_matches(word.lower(), [c.lower() for c in ordered], n=1, cutoff=0.6)
    if near:
        meant = next(c for c in ordered if c.lower() == near[0])
        return f"Did you mean `{meant}`? Known: {listed}"
    return f"Known: {listed}"
