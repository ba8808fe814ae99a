"""Masks what an exception says, and what it came from."""

from __future__ import annotations

import json
from contextlib import suppress

from dagbook.masking.masker import Masker

_DEEPEST = 20


def masked_error(masker: Masker | None, error: BaseException) -> BaseException:
    """The exception with every known value masked in its arguments, its notes and its causes.

    It is masked where it is, so that it keeps its kind and its traceback for whoever catches it or
    looks for a bug. Where that cannot be done it is another one, to be raised in its place.
    """
    return _mask(masker, error, _DEEPEST) if masker else error


def _mask(masker: Masker, error: BaseException, depth: int) -> BaseException:
    with suppress(Exception):
        error.args = tuple(_masked(masker, argument) for argument in error.args)
    for name, value in list(getattr(error, "__dict__", {}).items()):
        with suppress(Exception):
            setattr(error, name, _masked(masker, value))
    if isinstance(error, OSError) and error.filename is not None:
        error.filename = _masked(masker, error.filename)
    if depth:
        if error.__cause__ is not None:
            error.__cause__ = _mask(masker, error.__cause__, depth - 1)
        if error.__context__ is not None:
            error.__context__ = _mask(masker, error.__context__, depth - 1)
        if isinstance(error, BaseExceptionGroup):
            for inner in error.exceptions:
                _mask(masker, inner, depth - 1)
    return _silenced(error) if _shows(masker, error) else error


def _shows(masker: Masker, error: BaseException) -> bool:
    try:
        return masker.holds(f"{error} {error!r}")
    except Exception:
        return False  # it cannot be shown at all


def _masked(masker: Masker, value: object) -> object:
    if isinstance(value, bytes):
        return masker.data(value)
    if isinstance(value, str | list | tuple | dict):
        try:
            json.dumps(value)
        except (TypeError, ValueError, RecursionError):
            return value  # it holds objects of somebody else's
        return masker.value(value)
    return value


def _silenced(error: BaseException) -> BaseException:
    """In the place of one whose text is made of something else than its arguments."""
    said = f"{type(error).__name__}, whose text holds the value of a credential"
    other = RuntimeError(said) if isinstance(error, Exception) else KeyboardInterrupt(said)
    return other.with_traceback(error.__traceback__)
