"""The sample of each fault that runs with the tests."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from harness import Fault, Means, Trial, Variant


def samples_of(faults: Iterable[Fault]) -> list[Any]:
    """The parameters ``variant`` and ``means`` of a test, for every way these faults happen."""
    return [
        pytest.param(
            variant,
            means,
            id=f"{fault.number}-{variant.name}-{means}".replace(" ", "_"),
            marks=[pytest.mark.needs(name) for name in variant.needs],
        )
        for fault in faults
        for variant in fault.variants
        if variant.sample
        for means in variant.means
    ]


def assert_held(variant: Variant, means: Means, folders: pytest.TempPathFactory) -> None:
    """Try it as often as the tests do, each time in a folder of its own."""
    for number in range(variant.sample):
        # A short name: where a path is too long for a socket, the runner puts that elsewhere.
        folder = folders.mktemp("trial")
        with means.applied():
            outcome = variant.dagbook(Trial(number, folder))
        assert outcome.held, outcome.note
