"""What a terminal would still show of a text that goes back over itself."""

from __future__ import annotations


def collapse_overwritten(text: str) -> str:
    """Keep of a progress bar what a terminal would still show: its last state.

    Line by line and once over each: a pattern that looks for what is overwritten takes hours for
    a megabyte without the end of a line.
    """
    if "\x08" in text:
        text = "\n".join(
            _without_erased(line) if "\x08" in line else line for line in text.split("\n")
        )
    if "\r" in text:
        text = "\n".join(
            _last_written(line) if "\r" in line else line
            for line in text.replace("\r\n", "\n").split("\n")
        )
    return text


def _without_erased(line: str) -> str:
    kept: list[str] = []
    for letter in line:
        if letter != "\x08":
            kept.append(letter)
        elif kept:
            kept.pop()
    return "".join(kept)


def _last_written(line: str) -> str:
    """What was written last over a line; a carriage return at its end may still be followed."""
    shown = line.rstrip("\r")
    return shown[shown.rfind("\r") + 1 :] + line[len(shown) :]
