"""Masks what an exception says, and what it came from."""

from __future__ import annotations

import json
from typing import TypeVar

from dagbook.masking.masker import Masker

_Error = TypeVar("_Error", bound=BaseException)
_DEEPEST = 20


def masked_error(masker: Masker | None, error: _Error) -> _Error:
    """The exception itself, with every known value masked in its arguments, notes and causes.

    It keeps its kind and its traceback, for whoever catches it or looks for a bug.
    """
    if masker:
        _mask(masker, error, _DEEPEST)
    return error


def _mask(masker: Masker, error: BaseException, depth: int) -> None:
    error.args = tuple(_masked(masker, argument) for argument in error.args)
    for name, value in vars(error).items():
        setattr(error, name, _masked(masker, value))
    for other in (error.__cause__, error.__context__):
        if other is not None and depth:
            _mask(masker, other, depth - 1)
    if isinstance(error, BaseExceptionGroup):
        for inner in error.exceptions:
            _mask(masker, inner, depth - 1)
    if isinstance(error, OSError) and error.filename is not None:
        error.filename = _masked(masker, error.filename)
    if masker.holds(str(error)):
        # It is made of something else than its arguments.
        error.__class__ = _silenced(type(error))


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


def _silenced(kind: type[BaseException]) -> type[BaseException]:
    said = f"{kind.__name__}, whose text holds the value of a credential"
    return type(kind.__name__, (kind,), {"__str__": lambda _: said, "__repr__": lambda _: said})
