"""Keeps the libraries of providers from logging what they receive.

At DEBUG botocore logs whole answers, and Google's library can: who has Dagster keep such lines
would keep the secret in them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LIBRARIES = ("boto3", "botocore", "google", "grpc", "hvac", "requests", "urllib3")

_lock = threading.Lock()
_inside = 0
_levels: dict[logging.Logger, int] = {}


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Let them log no details meanwhile, in all threads; warnings still pass."""
    global _inside
    with _lock:
        _inside += 1
        for logger in _too_loud():
            _levels.setdefault(logger, logger.level)
            logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        with _lock:
            _inside -= 1
            if not _inside:
                for logger, level in _levels.items():
                    logger.setLevel(level)
                _levels.clear()


def _too_loud() -> Iterator[logging.Logger]:
    """The loggers of the libraries that would log details, by their own level or another's."""
    for name in _LIBRARIES:
        logger = logging.getLogger(name)
        if logger.getEffectiveLevel() < logging.INFO:
            yield logger
    # A copy: a library that is imported meanwhile makes loggers.
    for name, known in list(logging.root.manager.loggerDict.items()):
        library, dot, _ = name.partition(".")
        if dot and library in _LIBRARIES and isinstance(known, logging.Logger):
            yield from [known] if logging.NOTSET < known.level < logging.INFO else []
