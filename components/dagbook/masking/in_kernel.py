"""Tells a kernel where its credentials stand, so that what it writes itself is masked too.

What a notebook reports goes through a file of the run's folder, which the runner reads: a name
that holds a value would stand there for a moment, and longer if the runner vanished.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from dagbook.masking.masker import Masker, Valued
from dagbook.report import MASKED_VARIABLE


class _Known(NamedTuple):
    value: str
    label: str


def whereabouts(
    secrets: Iterable[Valued], environment: Mapping[str, str], files: Mapping[str, bytes]
) -> str:
    """Where secrets stand in what a kernel is given, for `MASKED_VARIABLE`.

    Of each the variable that holds it or names its file, where it begins there, how long it is,
    and what is shown in its place; never the value. One that does not stand there word for word,
    such as a part of a file that JSON escapes, is not told.

    Args:
        secrets: what must not be seen.
        environment: the kernel's variables.
        files: the content of its files, by the variables that name them.
    """
    contents = {name: content.decode("utf-8", "replace") for name, content in files.items()}
    found = []
    for secret in secrets:
        for is_file, texts in ((False, environment), (True, contents)):
            for variable, text in texts.items():
                if (at := text.find(secret.value)) >= 0:
                    found.append([variable, is_file, at, len(secret.value), secret.label])
    return json.dumps(found, separators=(",", ":"))


def masker_of(environment: Mapping[str, str] = os.environ) -> Masker:
    """What a kernel masks by: the values where the runner said they are. Never raises."""
    masker = Masker()
    try:
        masker.add(_secrets(environment, json.loads(environment.get(MASKED_VARIABLE, "[]"))))
    except Exception:
        pass  # a notebook may have changed its environment, which must not end its reports
    return masker


def _secrets(environment: Mapping[str, str], places: Iterable[list[object]]) -> Iterable[Valued]:
    for variable, is_file, start, length, label in places:
        text = environment.get(str(variable), "")
        if is_file:
            try:
                text = Path(text).read_bytes().decode("utf-8", "replace")
            except (OSError, ValueError):
                continue
        assert isinstance(start, int) and isinstance(length, int)
        value = text[start : start + length]
        if len(value) == length:
            yield _Known(value, str(label))
