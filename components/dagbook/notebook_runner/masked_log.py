"""Keeps the values of a run's credentials out of what Dagster stores of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg

from dagbook.masking import Masker, masked_error


@contextmanager
def masked_log(log: logging.Logger, masker: Masker) -> Iterator[None]:
    """Mask every line of a run's log meanwhile, and the exception that ends this, if one does.

    Also lines of other loggers that Dagster takes into the run's log, and what they print.
    """
    mask = _Mask(masker)
    places: list[logging.Filterer] = [log, *log.handlers]
    for place in places:
        place.addFilter(mask)
    try:
        yield
    except BaseException as error:
        masked_error(masker, error)
        raise
    finally:
        for place in places:
            place.removeFilter(mask)


def masked_metadata(masker: Masker, metadata: Mapping[str, Any]) -> dict[str, Any]:
    """What a run tells Dagster about itself, masked; names too."""
    if not masker:
        return dict(metadata)
    return {masker.text(name): _masked(masker, value) for name, value in metadata.items()}


def _masked(masker: Masker, value: Any) -> Any:
    if isinstance(value, dg.MetadataValue):
        shown = masker.value(value.value)
        if shown == value.value:
            return value
        if isinstance(value, dg.JsonMetadataValue):
            return dg.MetadataValue.json(shown)
        # A number, a link or a path that is masked is none any more.
        return dg.MetadataValue.text(str(shown))
    return masker.value(value)


class _Mask(logging.Filter):
    def __init__(self, masker: Masker) -> None:
        super().__init__()
        self._masker = masker

    def filter(self, record: logging.LogRecord) -> bool:
        if not self._masker:
            return True
        if record.args or not isinstance(record.msg, str):
            record.msg, record.args = record.getMessage(), ()
        record.msg = self._masker.text(record.msg)
        if record.exc_info and record.exc_info[1] is not None:
            masked_error(self._masker, record.exc_info[1])
        return True
