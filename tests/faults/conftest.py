"""Makes the faults' modules importable: `faults.py` runs as a script, beside them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session", autouse=True)
def nothing_outlives_the_tests() -> Iterator[None]:
    """End what trials share: a process of several that run tests is given little time to exit."""
    yield
    from harness import LASTING

    LASTING.close()
